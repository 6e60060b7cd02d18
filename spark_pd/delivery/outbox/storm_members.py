"""The members of a storm incident: the alerts that it stands for. One file for each, so that two processes never overwrite each other.

storms/<storm>/members/<line>.json   a member; written once, replaced where the same alert comes again with another severity
storms/<storm>/told.json             what PagerDuty was told of the storm; may lag behind the members, and is what shows that it does
storms/<storm>/lock                  held while PagerDuty is told
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from spark_pd.delivery.outbox.atomic_files import PART, locked, settle, write_whole
from spark_pd.model import SEVERITIES, Alert, Severity
from spark_pd.secrets.redaction import one_line

_SUMMARY_LIMIT = 300  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An alert that is part of a storm incident."""

    line: str
    dedup_key: str
    trigger: str
    severity: Severity
    component: str
    """The table."""
    summary: str
    source: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Who is a member now. Equal digests: nothing that PagerDuty should be told has changed."""

    lines: frozenset[str]
    digest: str


class Members(Protocol):
    """Where a storm's members and what was told of it are remembered. What cannot be written raises OSError."""

    def join(self, member: Member) -> bool:
        """Remember a member, before this returns. Whether that is news."""

    def leave(self, line: str) -> bool:
        """Forget the member of this line. Whether there was one."""

    def has(self, line: str) -> bool:
        """Whether there is a member of this line."""

    def listing(self) -> Listing:
        """Who is a member."""

    def read(self) -> list[Member]:
        """All members, in the order of their dedup keys."""

    def told(self) -> Mapping[str, Any]:
        """What was last written by `tell`; empty where there is nothing."""

    def tell(self, told: Mapping[str, Any]) -> None:
        """Remember what PagerDuty is told, or was."""

    def lock(self, *, until: float) -> AbstractContextManager[bool]:
        """Hold the storm, so that nobody else tells PagerDuty of it; whether that was to be had before `until` (monotonic)."""


def member_of(line: str, alert: Alert) -> Member:
    """The member that an alert becomes."""
    return Member(
        line=line,
        dedup_key=alert.dedup_key,
        trigger=alert.trigger,
        severity=alert.severity,
        component=alert.component,
        summary=one_line(alert.summary, _SUMMARY_LIMIT),
        source=alert.source,
    )


class OwnMembers:
    """The members in this process's memory: they are gone with it."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._told: Mapping[str, Any] = {}

    def join(self, member: Member) -> bool:
        """As Members has it."""
        known = self._members.get(member.line)
        self._members[member.line] = member
        return known is None or known.severity != member.severity

    def leave(self, line: str) -> bool:
        """As Members has it."""
        return self._members.pop(line, None) is not None

    def has(self, line: str) -> bool:
        """As Members has it."""
        return line in self._members

    def listing(self) -> Listing:
        """As Members has it."""
        members = dict(self._members)
        return _listing({line: member.severity for line, member in members.items()})

    def read(self) -> list[Member]:
        """As Members has it."""
        return _ordered(list(self._members.values()))

    def told(self) -> Mapping[str, Any]:
        """As Members has it."""
        return self._told

    def tell(self, told: Mapping[str, Any]) -> None:
        """As Members has it."""
        self._told = dict(told)

    def lock(self, *, until: float) -> AbstractContextManager[bool]:
        """As Members has it: one thread at a time tells, since one delivers."""
        return nullcontext(True)


class FiledMembers:
    """The members in a folder beside the outbox. Any number of processes may share it. With `local`, its locks can be trusted."""

    def __init__(self, folder: Path, *, local: bool) -> None:
        self._folder = folder
        self._members = folder / "members"
        self._local = local
        self._read: dict[str, tuple[str, Member]] = {}  # by file: what changes with each writing, and what was in it then

    def join(self, member: Member) -> bool:
        """As Members has it: on the disk."""
        path = self._path(member.line)
        known = self._open(path)
        if known is not None and known.severity == member.severity and known.dedup_key == member.dedup_key:
            return False
        self._members.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, json.dumps(asdict(member)).encode("ascii"))
        settle(self._members)
        return True

    def leave(self, line: str) -> bool:
        """As Members has it: on the disk."""
        path = self._path(line)
        with suppress(OSError):  # what a killed process had not written to its end
            path.with_name(f".{path.name}{PART}").unlink(missing_ok=True)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        settle(self._members)
        return True

    def has(self, line: str) -> bool:
        """As Members has it."""
        return self._path(line).exists()

    def listing(self) -> Listing:
        """As Members has it. It opens none of them."""
        marks: dict[str, str] = {}
        with suppress(FileNotFoundError), os.scandir(self._members) as entries:
            for entry in entries:
                if entry.name.endswith(".json") and not entry.name.startswith("."):
                    with suppress(FileNotFoundError):
                        marks[entry.name[:-5]] = _mark(entry.stat())
        return _listing(marks)

    def read(self) -> list[Member]:
        """As Members has it. A file that is no member's, such as a disk that was full may leave, counts as one of which little is known."""
        lines = self.listing().lines
        found = {line: self._open(self._path(line)) for line in lines}
        self._read = {line: known for line, known in self._read.items() if line in lines}
        return _ordered([_unreadable(line) if member is None else member for line, member in found.items()])

    def told(self) -> Mapping[str, Any]:
        """As Members has it. What is no whole file stands for something that was told."""
        try:
            fields = json.loads((self._folder / "told.json").read_bytes())
        except OSError:
            return {}
        except (ValueError, RecursionError):
            return {"state": "broken"}
        return fields if isinstance(fields, dict) else {"state": "broken"}

    def tell(self, told: Mapping[str, Any]) -> None:
        """As Members has it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self._folder / "told.json", json.dumps(dict(told)).encode("ascii"))
        settle(self._folder)

    def lock(self, *, until: float) -> AbstractContextManager[bool]:
        """As Members has it; where locks are weak everybody has it."""
        return locked(self._folder / "lock", until=until) if self._local else nullcontext(True)

    def _path(self, line: str) -> Path:
        return self._members / f"{line}.json"

    def _open(self, path: Path) -> Member | None:
        try:
            mark = _mark(path.stat())
            known = self._read.get(path.stem)
            if known is None or known[0] != mark:
                known = self._read[path.stem] = (mark, _member(json.loads(path.read_bytes())))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return known[1]


def storms_in(outbox: Path, *, local: bool) -> list[FiledMembers]:
    """The storms of an outbox that have members, or may be open."""
    with suppress(OSError):
        storms = [FiledMembers(path, local=local) for path in sorted((outbox / "storms").iterdir()) if path.is_dir()]
        return [storm for storm in storms if storm.listing().lines or storm.told().get("state", "closed") != "closed"]
    return []


def forget_member(outbox: Path, line: str, *, local: bool) -> None:
    """Take the member of this line out of all storms of an outbox. The next run or replay tells PagerDuty of it."""
    for storm in storms_in(outbox, local=local):
        with suppress(OSError):
            storm.leave(line)


def _mark(stat: os.stat_result) -> str:
    return f"{stat.st_mtime_ns} {stat.st_size}"


def _listing(marks: Mapping[str, str]) -> Listing:
    text = "\n".join(f"{line} {mark}" for line, mark in sorted(marks.items()))
    return Listing(frozenset(marks), hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32] if marks else "")


def _ordered(members: list[Member]) -> list[Member]:
    return sorted(members, key=lambda member: member.dedup_key)


def _member(fields: Mapping[str, Any]) -> Member:
    member = Member(**fields)
    if member.severity not in SEVERITIES or not all(isinstance(value, str) for value in asdict(member).values()):
        raise ValueError
    return member


def _unreadable(line: str) -> Member:
    return Member(
        line=line, dedup_key=line, trigger="unknown", severity="error", component="unknown", summary="its file cannot be read", source=""
    )
