"""What stands of an incident, from what runs on any machine wrote down: what is remembered, and whether nothing is open for sure. Pure.

A run writes down that it began before it can page anybody, and what it remembers when its alerts were told. So a run that died, or could
not write, is seen by the beginning that has no end. A double resolve is harmless, one that is withheld is not: each doubt lets it go out.
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
"""How long a run without an end may still page: whoever finds it dead tells of it, and that alert may wait in turn."""
SURE = timedelta(days=7)
"""How long an accepted resolve is believed. After it one goes out again: a run that could write nothing at all may have paged meanwhile."""
_LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
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
    told: Mapping[str, Told] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What stands of one incident."""

    memory: IncidentState | None = None
    told: Told = Told()
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
    told = newest.told.get(key, Told())
    over = {entry.run_id for entry in ended}
    under_way = [e.run_id for e in others if e.event == "began" and e.run_id not in over and e.at > now - DEAD]
    doubt = None
    if under_way:
        doubt = f"the run {under_way[0]} began and has not written down its end"
    elif told.closed_at is None:
        doubt = "PagerDuty has not accepted a resolve since the last alert"
    elif not now - SURE < told.closed_at <= now + (WAITS - SURE):
        doubt = "the last resolve was accepted long ago"
    elif not set(opened_by) <= set(told.cleared):
        doubt = "another run at the same time left it open"
    waits = [e.told[key].waits_until for e in about if key in e.told]
    if doubt is None and any(until is not None and until > now for until in waits):
        doubt = "an alert may wait in another outbox"
    return Standing(memory=newest.memories[key], told=told, opened_by=opened_by, doubt=doubt)


def told_after(told: Told, stood: Standing, *, state: AlertState, status: DeliveryStatus, now: datetime) -> Told:
    """What is known after one more alert was handed over and came to `status`, by a run that found `stood`."""
    if state == "resolved":
        accepted = status == "sent"
        return Told(closed_at=now if accepted else None, cleared=stood.opened_by if accepted else (), waits_until=told.waits_until)
    # What PagerDuty refused is nowhere any more; what it did not accept yet may still come.
    waits = None if status in ("sent", "failed", "dead") else now + WAITS
    return Told(closed_at=None, waits_until=waits or told.waits_until)


# ---- as the table has it ---------------------------------------------------------------------------------------------------------


def told_fields(told: Told) -> dict[str, Any]:
    """As JSON has it."""
    return {
        "closed_at": None if told.closed_at is None else told.closed_at.isoformat(),
        "cleared": list(told.cleared),
        "waits_until": None if told.waits_until is None else told.waits_until.isoformat(),
    }


def told_of(fields: Mapping[str, Any]) -> Told:
    """From JSON. Raises ValueError, TypeError or KeyError for anything else."""

    def time(name: str) -> datetime | None:
        """An aware time."""
        if fields[name] is None:
            return None
        at = datetime.fromisoformat(fields[name])
        if at.utcoffset() is None:
            raise ValueError
        return at

    return Told(closed_at=time("closed_at"), cleared=tuple(map(str, fields["cleared"])), waits_until=time("waits_until"))
