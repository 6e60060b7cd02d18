"""What stands of an incident, from what runs on any machine wrote down: what is remembered, and whether nothing is open for sure. Pure.

A run appends an entry when it begins, before it can page anybody, and one with its states when its alerts were reported. A run that died,
or could not write, has a beginning without an end. A second resolve does no harm and a missing one does, so each doubt lets it go out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any, Literal

from spark_pd.model import AlertState, DeliveryStatus
from spark_pd.model.incident_state import IncidentState

WAITS = timedelta(days=8)
"""How long an alert may come out of some machine's outbox: its time to live, 7 days, and a day for clocks that differ."""
DEAD = timedelta(days=15)
"""How long a run without an end may still page: whoever finds it dead reports it, and that alert may wait in turn."""
SURE = timedelta(days=7)
"""How long an accepted resolve is believed. After it one goes out again: a run that could write nothing at all may have paged meanwhile."""
_LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertProgress:
    """What is known of the way of one incident's alerts to PagerDuty, up to and with one run."""

    closed_at: datetime | None = None
    """When PagerDuty last accepted a resolve, if no alert was handed over since."""
    cleared: tuple[str, ...] = ()
    """The runs whose open incident that resolve closed."""
    waits_until: datetime | None = None
    """Until when a firing alert may come out of some outbox; None where none is known to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one run wrote down, when it began or when it ended."""

    run_id: str
    event: Literal["began", "ended"]
    at: datetime
    memories: Mapping[str, IncidentState] = field(default_factory=lambda: MappingProxyType({}))
    """By dedup key."""
    progress: Mapping[str, AlertProgress] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What stands of one incident."""

    memory: IncidentState | None = None
    progress: AlertProgress = AlertProgress()
    opened_by: tuple[str, ...] = ()
    """The runs that left it open, of late."""
    doubt: str | None = None
    """Why something may be open, though nothing is remembered to be. None: nothing is, for sure, unless the memory says so."""


def standing(entries: Sequence[Entry], key: str, *, but: str, now: datetime) -> Standing:
    """What stands of the incident `key` for the run `but`, whose own entries do not count."""
    others = [entry for entry in entries if entry.run_id != but]
    ended = [entry for entry in others if entry.event == "ended"]
    about = [entry for entry in ended if key in entry.memories]
    opened_by = tuple(sorted(e.run_id for e in about if e.memories[key].open_since is not None and e.at > now - WAITS))
    if not about:
        return Standing(opened_by=opened_by, doubt="nothing is remembered of it")
    newest = max(about, key=lambda entry: (entry.memories[key].run_started_at or _LONG_AGO, entry.at))
    progress = newest.progress.get(key, AlertProgress())
    over = {entry.run_id for entry in ended}
    under_way = [e.run_id for e in others if e.event == "began" and e.run_id not in over and e.at > now - DEAD]
    doubt = None
    if under_way:
        doubt = f"the run {under_way[0]} began and has not written down its end"
    elif progress.closed_at is None:
        doubt = "PagerDuty has not accepted a resolve since the last alert"
    elif not now - SURE < progress.closed_at <= now + (WAITS - SURE):
        doubt = "the last resolve was accepted long ago"
    elif not set(opened_by) <= set(progress.cleared):
        doubt = "another run at the same time left it open"
    waits = [e.progress[key].waits_until for e in about if key in e.progress]
    if doubt is None and any(until is not None and until > now for until in waits):
        doubt = "an alert may wait in another outbox"
    return Standing(memory=newest.memories[key], progress=progress, opened_by=opened_by, doubt=doubt)


def progress_after(progress: AlertProgress, stood: Standing, *, state: AlertState, status: DeliveryStatus, now: datetime) -> AlertProgress:
    """What is known after one more alert was handed over and came to `status`, by a run that found `stood`."""
    if state == "resolved":
        accepted = status == "sent"
        return AlertProgress(
            closed_at=now if accepted else None, cleared=stood.opened_by if accepted else (), waits_until=progress.waits_until
        )
    # What PagerDuty refused is nowhere any more; what it did not accept yet may still come.
    waits = None if status in ("sent", "failed", "dead") else now + WAITS
    return AlertProgress(closed_at=None, waits_until=waits or progress.waits_until)


# ---- as the table has it ---------------------------------------------------------------------------------------------------------


def progress_fields(progress: AlertProgress) -> dict[str, Any]:
    """As JSON has it."""
    return {
        "closed_at": None if progress.closed_at is None else progress.closed_at.isoformat(),
        "cleared": list(progress.cleared),
        "waits_until": None if progress.waits_until is None else progress.waits_until.isoformat(),
    }


def progress_of(fields: Mapping[str, Any]) -> AlertProgress:
    """From JSON. Raises ValueError, TypeError or KeyError for anything else."""

    def time(name: str) -> datetime | None:
        """An aware time."""
        if fields[name] is None:
            return None
        at = datetime.fromisoformat(fields[name])
        if at.utcoffset() is None:
            raise ValueError
        return at

    return AlertProgress(closed_at=time("closed_at"), cleared=tuple(map(str, fields["cleared"])), waits_until=time("waits_until"))
