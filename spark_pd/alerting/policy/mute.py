"""A mute: for which incidents, when, why, and who said so. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Protocol

from spark_pd.model import Subject
from spark_pd.model.recurring_window import MuteWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """One entry of a mutes file. What is None or empty does not narrow it down."""

    reason: str
    who: str | None = None
    table: str | None = None
    """A pattern: `sales.*`. It is held against the table's name as the dedup key has it."""
    product_id: str | None = None
    environment: str | None = None
    triggers: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    windows: tuple[MuteWindow, ...] = ()

    def is_for(self, subject: Subject, trigger: str) -> bool:
        """Whether it is about this incident."""
        return (
            (not self.triggers or trigger in self.triggers)
            and (self.table is None or fnmatchcase(subject.table, self.table.replace("`", "").casefold()))
            and (self.product_id is None or self.product_id == subject.product_id)
            and (self.environment is None or self.environment == subject.environment)
        )

    def holds(self, now: datetime) -> bool:
        """Whether it holds at the aware time `now`: from `since` on, before `until`, and in one of its windows, where it has any."""
        if (self.since is not None and now < self.since) or (self.until is not None and now >= self.until):
            return False
        return not self.windows or any(window.covers(now) for window in self.windows)

    def __str__(self) -> str:
        end = "" if self.until is None else f", until {self.until.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
        return f"{self.reason}{f' ({self.who})' if self.who else ''}{end}"


class MuteSource(Protocol):
    """Where mutes come from."""

    def read(self) -> Sequence[Mute]:
        """The mutes as they stand now. Never raises; what cannot be read is no mute."""


@dataclass(frozen=True, slots=True)
class Mutes:
    """All that may mute an incident: the windows of the settings, and a file of mutes."""

    windows: tuple[MuteWindow, ...] = ()
    file: MuteSource | None = None

    def read(self) -> tuple[Mute, ...]:
        """The file's mutes now."""
        return () if self.file is None else tuple(self.file.read())


def why_muted(windows: Sequence[MuteWindow], mutes: Sequence[Mute], subject: Subject, trigger: str, now: datetime) -> str | None:
    """Why nobody is to be paged about this incident at `now`; None where somebody is."""
    for window in windows:
        if window.covers(now):
            return f"muted: it is in the window {window} (spark.pd.mute)"
    for mute in mutes:
        if mute.is_for(subject, trigger) and mute.holds(now):
            return f"muted: {mute} (spark.pd.mutes.file)"
    return None
