"""Judges whether the runs that a schedule expects came: from the schedule, the known runs, and the time, to a finding. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal, TypeAlias

from spark_pd.model import Outcome
from spark_pd.runs.schedules.schedule import Schedule, shown

# A run that ended with an exception, was stopped by a rule or was cancelled has not brought the table.
CAME = ("passed", "unknown")
LOOKS_BACK = 4
"""Slots before the last one that are looked at, so that one run does not count for two slots."""

What: TypeAlias = Literal["on time", "came late", "late", "missing", "too long", "failed", "not known", "not due yet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """A run that ended, as the stats table has it."""

    run_id: str
    started_at: datetime
    ended_at: datetime
    status: str
    reported: bool = False
    """Whether its own failure opened an incident."""

    @property
    def took(self) -> timedelta:
        """From its start to its verdict."""
        return self.ended_at - self.started_at


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunRun:
    """A run that has recorded its start but no end: it is running, or its process died."""

    run_id: str
    began_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a subject's runs."""

    ended: tuple[EndedRun, ...] = ()
    """In the order in which they ended; all that ended since the first slot that is looked at."""
    begun: tuple[BegunRun, ...] = ()
    """Those without an end, in order; empty as well where there is no state's table."""
    first_at: datetime | None = None
    """When the first run started that is known at all. None where there is none."""
    since: datetime | None = None
    """When the watch started: slots up to then are not judged. None: all slots are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The judgment of one schedule at one time."""

    what: What
    outcome: Outcome
    reason: str
    at: datetime
    """The time of the slot or of the run's end. A later finding about an earlier time changes nothing."""
    slot: datetime | None
    """The last slot whose time is over; None where there is none."""
    run: EndedRun | None = None
    """The run that decided it."""
    under_way: BegunRun | None = None


def earliest(schedule: Schedule, now: datetime, grace: timedelta) -> datetime:
    """From when on runs have to be known to judge the schedule."""
    slots = schedule.slots_until(now - grace, LOOKS_BACK)
    return slots[0] if slots else now


def judge(schedule: Schedule, known: Known, now: datetime, grace: timedelta) -> Finding:
    """The finding now. grace: how long after a slot a run is not late yet."""
    closes = [slot + grace for slot in schedule.slots_until(now - grace, LOOKS_BACK)]
    came = [run for run in known.ended if run.status in CAME]
    late = _slot(schedule, known, came, closes, now, grace)
    long = _too_long(schedule, known, came, now)
    if long is None:
        return late
    reason = f"{long.reason}; {late.reason}" if late.outcome == "firing" else long.reason
    what: What = late.what if late.outcome == "firing" else "too long"
    at = max(late.at, long.at)
    return Finding(what=what, outcome="firing", reason=reason, at=at, slot=late.slot, run=long.run or late.run, under_way=long.under_way)


# ---- late --------------------------------------------------------------------------------------------------------------------------


def _slot(
    schedule: Schedule, known: Known, came: Sequence[EndedRun], closes: Sequence[datetime], now: datetime, grace: timedelta
) -> Finding:
    """Of the last slot whose time is over."""
    if len(closes) < 2:
        return Finding(what="not due yet", outcome="none", reason="no two slots of it have ever been", at=now, slot=None)
    over, slot = closes[-1], closes[-1] - grace
    due = f"due by {_time(schedule, slot)}{f' with {shown(grace)} of grace' if grace else ''}"
    under_way = known.begun[-1] if known.begun else None
    mine = _mine(came, closes, known)
    behind = [run for run in came if over < run.ended_at <= now]
    if mine or behind:
        run = mine[-1] if mine else behind[0]
        what: What = "on time" if mine else "came late"
        reason = f"{due}, and a run ended at {_time(schedule, run.ended_at)}"
        return Finding(what=what, outcome="good", reason=reason, at=max(over, (behind or mine)[-1].ended_at), slot=slot, run=run)

    def silent(what: What, outcome: Outcome, why: str, run: EndedRun | None = None) -> Finding:
        """A finding that opens and closes nothing."""
        return Finding(what=what, outcome=outcome, reason=f"{due}; {why}", at=over, slot=slot, run=run, under_way=under_way)

    if known.first_at is None:
        return silent("not known", "unknown", "no run of it is known, so none is missed; a run is known by its subject, scope and job")
    if known.first_at > closes[-2]:
        return silent("not known", "unknown", f"its first run that is known began only at {_time(schedule, known.first_at)}")
    if known.since is not None and over <= known.since:
        return silent("not known", "unknown", f"it is watched from {_time(schedule, known.since)} on")
    bad = [run for run in known.ended if run.ended_at > closes[-2] and run.status in ("failed", "errored")]
    if bad and bad[-1].reported:
        how = "was stopped by a rule" if bad[-1].status == "failed" else "errored"
        return silent("failed", "none", f"a run {how} at {_time(schedule, bad[-1].ended_at)}, which has its own incident", bad[-1])
    if under_way is not None:
        reason = f"{due}; a run began at {_time(schedule, under_way.began_at)} and has not ended"
        return Finding(what="late", outcome="firing", reason=reason, at=over, slot=slot, under_way=under_way)
    last = came[-1] if came else None
    seen = f"the last one ended at {_time(schedule, last.ended_at)}" if last else f"none came since {_time(schedule, closes[0])}"
    if bad:
        seen = f"one ended {bad[-1].status} at {_time(schedule, bad[-1].ended_at)}, and that was not reported"
    return Finding(what="missing", outcome="firing", reason=f"{due}; {seen}", at=over, slot=slot, run=bad[-1] if bad else last)


def _mine(came: Sequence[EndedRun], closes: Sequence[datetime], known: Known) -> list[EndedRun]:
    """The runs that came for the last slot in time: behind the slot before it, unless they are that one's, late.

    Where nothing came for a slot in time, what comes in the first half of the time to the next is its own.
    """
    mine: list[EndedRun] = []
    met = True
    for opens, over in pairwise(closes):
        mine = [run for run in came if opens < run.ended_at <= over]
        if not met:
            mine = [run for run in mine if run.ended_at > opens + (over - opens) / 2]
        # Nothing is missed before the first run that is known.
        met = bool(mine) or known.first_at is None or over <= known.first_at
    return mine


# ---- too long ----------------------------------------------------------------------------------------------------------------------


def _too_long(schedule: Schedule, known: Known, came: Sequence[EndedRun], now: datetime) -> Finding | None:
    """The running run, or else the last one that came, where it takes or took too long."""
    if schedule.at_most is None:
        return None
    allowed = f"at most {shown(schedule.at_most)}"
    # A run that a later one has overtaken is dead. That is reported elsewhere, and its duration is not.
    newest = max((run.started_at for run in known.ended), default=None)
    for begun in known.begun:
        if now - begun.began_at > schedule.at_most and (newest is None or begun.began_at > newest):
            reason = f"a run began at {_time(schedule, begun.began_at)} and has not ended, {allowed}"
            at = begun.began_at + schedule.at_most
            return _if_new(Finding(what="too long", outcome="firing", reason=reason, at=at, slot=None, under_way=begun), known)
    last = came[-1] if came else None
    if last is None or last.took <= schedule.at_most:
        return None
    reason = f"the run that ended at {_time(schedule, last.ended_at)} took {_minutes(last.took)}, {allowed}"
    return _if_new(Finding(what="too long", outcome="firing", reason=reason, at=last.ended_at, slot=None, run=last), known)


def _if_new(finding: Finding, known: Known) -> Finding | None:
    """The finding, unless it was already so before the watch started."""
    return None if known.since is not None and finding.at <= known.since else finding


def _minutes(length: timedelta) -> str:
    """A run's time in words, rounded up: 40 minutes and a second are not 40 minutes."""
    return shown(timedelta(minutes=-(-length // timedelta(minutes=1))))


def _time(schedule: Schedule, at: datetime) -> str:
    return f"{schedule.local(at):%a %Y-%m-%d %H:%M} {schedule.zone}"
