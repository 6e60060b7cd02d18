"""One look at all schedules: what is known of their runs, what is to be said of it, and who was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol

from spark_pd.alerting.policy import Verdict
from spark_pd.model import Delivery, Severity, Subject
from spark_pd.model.incident_state import IncidentState, StateStore
from spark_pd.runs.schedules.late_alert import TRIGGER, verdict_of
from spark_pd.runs.schedules.late_judge import Finding, Known, earliest, judge
from spark_pd.runs.schedules.schedule import Schedule

if TYPE_CHECKING:
    from spark_pd.delivery.notifier import Notifier

Told = Literal["told", "told before", "withheld", "not delivered", "nobody"]


class Runs(Protocol):
    """Where runs are known from."""

    def read(self, since: Mapping[str, datetime]) -> Mapping[str, Known]:
        """What is known of each subject (`Subject.prefix`), of its runs those that ended from that time on."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A schedule and whose runs it is about."""

    schedule: Schedule
    subject: Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look found of one schedule, and what became of it."""

    watched: Watched
    finding: Finding
    told: Told = "nobody"
    why: str = ""
    """What became of the alert, in a sentence; empty where there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Looks at schedules, as often as it is asked to. Which runs were seen and told of is in the state, not in here."""

    watched: tuple[Watched, ...]
    notifier: Notifier
    store: StateStore | None
    """None where nothing is remembered, since nothing is sent."""
    grace: timedelta
    """Of schedules that name none."""
    severity: Severity
    on: bool
    deadline: float
    """Seconds."""
    since: datetime | None = None
    """Slots up to then are not judged. None: those before the first look that the state remembers."""

    def look(self, runs: Runs, now: datetime) -> list[Seen]:
        """Look once, and tell who must know. Raises what reading raises."""
        wanted = {each.subject.prefix: earliest(each.schedule, now, self._grace(each)) for each in self.watched}
        known = runs.read(wanted) if wanted else {}
        memories = self._remembered(now)
        verdicts: list[Verdict] = []
        seen: list[Seen] = []
        for each in self.watched:
            memory = memories.get(each.subject.dedup_key(TRIGGER))
            mine = replace(known.get(each.subject.prefix, Known()), since=self._since(memory))
            finding = judge(each.schedule, mine, now, self._grace(each))
            before = _told_before(finding, memory) if self.on else ""
            seen.append(Seen(watched=each, finding=finding, told="told before" if before else "nobody", why=before))
            verdict = verdict_of(each.schedule, each.subject, finding, severity=self.severity, on=self.on, now=now)
            if verdict is not None and not before and (mine.since is None or finding.at > mine.since):
                verdicts.append(verdict)
        notification = self.notifier.submit(verdicts, seconds=self.deadline) if verdicts else None
        deliveries = {each.alert.dedup_key: each for each in (notification.wait() if notification is not None else ())}
        return [_with(each, deliveries.get(each.watched.subject.dedup_key(TRIGGER))) for each in seen]

    def _grace(self, each: Watched) -> timedelta:
        return self.grace if each.schedule.grace is None else each.schedule.grace

    def _since(self, memory: IncidentState | None) -> datetime | None:
        """Slots up to then are not judged: those before the first look, and those before somebody resolved the incident by hand."""
        remembered = memory.run_started_at if memory is not None and memory.outcome == "none" else None
        return max((at for at in (self.since, remembered) if at is not None), default=None)

    def _remembered(self, now: datetime) -> Mapping[str, IncidentState]:
        """What is remembered of each incident. Of those that are new to the state, that they are looked after from now on."""
        if self.store is None:
            return {}
        found: dict[str, IncidentState] = {}
        for each in self.watched:  # one by one: a run of one table does not wait for all the others
            key = each.subject.dedup_key(TRIGGER)
            with self.store.hold([key]) as held:
                memory = held.memories.get(key)
                if memory is None and held.known and self.on and self.since is None:
                    memory = IncidentState(dedup_key=key, run_started_at=now)
                    held.save([memory])
            if memory is not None:
                found[key] = memory
        return found


def _told_before(finding: Finding, memory: IncidentState | None) -> str:
    """Why an earlier look told the same already; empty where none did."""
    if memory is None or memory.run_started_at is None or memory.outcome != finding.outcome:
        return ""
    if finding.outcome == "firing" and memory.open_since is not None and memory.run_started_at == finding.at:
        return f"its incident is open since {memory.open_since:%Y-%m-%d %H:%M} UTC"
    closed = finding.outcome == "good" and memory.open_since is None and memory.run_started_at >= (finding.slot or finding.at)
    return "nothing is open" if closed else ""


def _with(seen: Seen, delivery: Delivery | None) -> Seen:
    """With what became of its alert."""
    if delivery is None:
        return seen
    told: Told = {"sent": "told", "suppressed": "withheld"}.get(delivery.status, "not delivered")  # type: ignore[assignment]
    return replace(seen, told=told, why=f"{delivery.status}: {delivery.reason}")
