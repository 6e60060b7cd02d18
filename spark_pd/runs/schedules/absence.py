"""Triggers of one's own that fire where a table has no run within a time (`absent`). `spark-pd watch` looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from spark_pd.alerting.policy import Verdict
from spark_pd.delivery.notifier import Notifier
from spark_pd.model import Alert, Delivery, Outcome, Subject
from spark_pd.model.incident_state import IncidentState, StateStore
from spark_pd.model.own_trigger import OwnTrigger
from spark_pd.runs.schedules.late_alert import SOURCE
from spark_pd.runs.schedules.late_judge import CAME, Known
from spark_pd.runs.schedules.schedule import shown
from spark_pd.runs.schedules.schedule_watch import RunsReader


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsenceReport:
    """What one look found of one trigger, and what became of its alert."""

    trigger: OwnTrigger
    subject: Subject
    outcome: Outcome
    reason: str
    delivery: Delivery | None = None

    @property
    def is_bad(self) -> bool:
        """Whether runs are absent, or the alert was not delivered."""
        return self.outcome == "firing" or (self.delivery is not None and self.delivery.status not in ("sent", "suppressed"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsenceWatch:
    """Looks at triggers, each with the subject whose runs it expects. What was reported before is in the incident state."""

    triggers: tuple[tuple[OwnTrigger, Subject], ...]
    notifier: Notifier
    store: StateStore | None
    deadline: float
    """Seconds."""

    def look(self, runs: RunsReader, now: datetime) -> list[AbsenceReport]:
        """Look once, and submit what is new. Raises what reading raises."""
        since: dict[str, datetime] = {}
        for trigger, subject in self.triggers:
            begin = now - timedelta(seconds=trigger.within or 0.0)
            since[subject.prefix] = min(begin, since.get(subject.prefix, begin))
        known = runs.read(since) if since else {}
        states = self._states()
        reports, verdicts = [], []
        for trigger, subject in self.triggers:
            outcome, reason, at = judge_absence(trigger, known.get(subject.prefix, Known()), now)
            reports.append(AbsenceReport(trigger=trigger, subject=subject, outcome=outcome, reason=reason))
            if outcome in ("firing", "good") and _is_new(outcome, states.get(subject.dedup_key(trigger.name))):
                verdicts.append(_verdict(trigger, subject, outcome, reason, at))
        return _with_deliveries(reports, self.notifier.submit(verdicts, seconds=self.deadline).wait() if verdicts else ())

    def _states(self) -> Mapping[str, IncidentState]:
        keys = [subject.dedup_key(trigger.name) for trigger, subject in self.triggers]
        if self.store is None or not keys:
            return {}
        with self.store.hold(keys) as locked:
            return dict(locked.memories) if locked.known else {}


def judge_absence(trigger: OwnTrigger, known: Known, now: datetime) -> tuple[Outcome, str, datetime]:
    """Whether runs are absent, why, and when that was so. Of a table that has no run at all, nothing is known."""
    within = timedelta(seconds=trigger.within or 0.0)
    came = [run for run in known.ended if run.status in CAME and now - within < run.ended_at <= now]
    span = shown(within)
    if came:
        return "good", f"a run ended at {came[-1].ended_at:%Y-%m-%d %H:%M} UTC, within the last {span}", came[-1].ended_at
    if known.first_at is None:
        return "unknown", "no run of it is known, so none is absent", now
    if known.first_at > now - within:
        return "unknown", f"its first run that is known began only at {known.first_at:%Y-%m-%d %H:%M} UTC", now
    return "firing", f"no run ended within the last {span}", now


def _is_new(outcome: Outcome, state: IncidentState | None) -> bool:
    """Whether an earlier look has not reported the same."""
    if state is None:
        return True
    return state.open_since is None if outcome == "firing" else state.open_since is not None or state.outcome != "good"


def _verdict(trigger: OwnTrigger, subject: Subject, outcome: Outcome, reason: str, at: datetime) -> Verdict:
    alert = Alert(
        trigger=trigger.name,
        state="firing" if outcome == "firing" else "resolved",
        severity=trigger.severity,
        summary=f"{subject.title} {reason}",
        details={"trigger": trigger.name, "reason": reason, "table": subject.table, "environment": subject.environment},
        dedup_key=subject.dedup_key(trigger.name),
        source=SOURCE,
        component=subject.table,
        group=subject.product_id,
        at=at,
    )
    return Verdict(subject=subject, trigger=trigger.name, outcome=outcome, alert=alert, started_at=at, passed=outcome == "good")


def _with_deliveries(reports: Sequence[AbsenceReport], deliveries: Sequence[Delivery]) -> list[AbsenceReport]:
    found = {each.alert.dedup_key: each for each in deliveries}
    return [
        AbsenceReport(
            trigger=each.trigger,
            subject=each.subject,
            outcome=each.outcome,
            reason=each.reason,
            delivery=found.get(each.subject.dedup_key(each.trigger.name)),
        )
        for each in reports
    ]
