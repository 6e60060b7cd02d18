"""One look at all schedules: reads what is known of their runs, judges it, and submits the alerts."""

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

Reported = Literal["told", "told before", "withheld", "not delivered", "nobody"]


class RunsReader(Protocol):
    """Reads runs."""

    def read(self, since: Mapping[str, datetime]) -> Mapping[str, Known]:
        """What is known of each subject (`Subject.prefix`), of its runs those that ended from that time on."""


@dataclass(frozen=True, slots=True)
class ScheduledSubject:
    """A schedule, and the subject whose runs it expects."""

    schedule: Schedule
    subject: Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleReport:
    """What one look found of one schedule, and what became of the alert."""

    scheduled: ScheduledSubject
    finding: Finding
    reported: Reported = "nobody"
    why: str = ""
    """What became of the alert, in a sentence; empty where there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleWatch:
    """Looks at schedules, as often as it is called. Which runs were seen and reported is in the incident state, not in here."""

    scheduled: tuple[ScheduledSubject, ...]
    notifier: Notifier
    store: StateStore | None
    """None where no state is kept, since nothing is sent."""
    grace: timedelta
    """Of schedules that name none."""
    severity: Severity
    on: bool
    deadline: float
    """Seconds."""
    since: datetime | None = None
    """Slots up to then are not judged. None: those before the first look that is in the state."""

    def look(self, runs: RunsReader, now: datetime) -> list[ScheduleReport]:
        """Look once, and submit the alerts. Raises what reading raises."""
        wanted = {each.subject.prefix: earliest(each.schedule, now, self._grace(each)) for each in self.scheduled}
        known = runs.read(wanted) if wanted else {}
        states = self._states(now)
        verdicts: list[Verdict] = []
        reports: list[ScheduleReport] = []
        for each in self.scheduled:
            state = states.get(each.subject.dedup_key(TRIGGER))
            mine = replace(known.get(each.subject.prefix, Known()), since=self._since(state))
            finding = judge(each.schedule, mine, now, self._grace(each))
            before = _reported_before(finding, state) if self.on else ""
            reports.append(ScheduleReport(scheduled=each, finding=finding, reported="told before" if before else "nobody", why=before))
            verdict = verdict_of(each.schedule, each.subject, finding, severity=self.severity, on=self.on, now=now)
            if verdict is not None and not before and (mine.since is None or finding.at > mine.since):
                verdicts.append(verdict)
        notification = self.notifier.submit(verdicts, seconds=self.deadline) if verdicts else None
        deliveries = {each.alert.dedup_key: each for each in (notification.wait() if notification is not None else ())}
        return [_with(each, deliveries.get(each.scheduled.subject.dedup_key(TRIGGER))) for each in reports]

    def _grace(self, each: ScheduledSubject) -> timedelta:
        return self.grace if each.schedule.grace is None else each.schedule.grace

    def _since(self, state: IncidentState | None) -> datetime | None:
        """Slots up to then are not judged: those before the first look, and those before the incident was resolved by hand."""
        first = state.run_started_at if state is not None and state.outcome == "none" else None
        return max((at for at in (self.since, first) if at is not None), default=None)

    def _states(self, now: datetime) -> Mapping[str, IncidentState]:
        """The state of each incident. New ones are saved, with now as the time from which they are watched."""
        if self.store is None:
            return {}
        found: dict[str, IncidentState] = {}
        for each in self.scheduled:  # one by one: a run of one table does not wait for all the others
            key = each.subject.dedup_key(TRIGGER)
            with self.store.hold([key]) as locked:
                state = locked.memories.get(key)
                if state is None and locked.known and self.on and self.since is None:
                    state = IncidentState(dedup_key=key, run_started_at=now)
                    locked.save([state])
            if state is not None:
                found[key] = state
        return found


def _reported_before(finding: Finding, state: IncidentState | None) -> str:
    """Why the alert need not be sent, since an earlier look reported the same; empty where none did."""
    if state is None or state.run_started_at is None or state.outcome != finding.outcome:
        return ""
    if finding.outcome == "firing" and state.open_since is not None and state.run_started_at == finding.at:
        return f"its incident is open since {state.open_since:%Y-%m-%d %H:%M} UTC"
    closed = finding.outcome == "good" and state.open_since is None and state.run_started_at >= (finding.slot or finding.at)
    return "nothing is open" if closed else ""


def _with(report: ScheduleReport, delivery: Delivery | None) -> ScheduleReport:
    """The report, with what became of its alert."""
    if delivery is None:
        return report
    reported: Reported = {"sent": "told", "suppressed": "withheld"}.get(delivery.status, "not delivered")  # type: ignore[assignment]
    return replace(report, reported=reported, why=f"{delivery.status}: {delivery.reason}")
