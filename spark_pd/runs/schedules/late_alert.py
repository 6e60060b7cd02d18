"""From a finding to a verdict of the trigger `late`, with its alert. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from spark_pd.alerting.policy import Verdict
from spark_pd.model import Alert, AlertState, Severity, Subject
from spark_pd.runs.schedules.late_judge import Finding
from spark_pd.runs.schedules.schedule import Schedule, shown

TRIGGER = "late"
SOURCE = "spark-pd watch"


def verdict_of(schedule: Schedule, subject: Subject, finding: Finding, *, severity: Severity, on: bool, now: datetime) -> Verdict | None:
    """The verdict for the subject's incident; None where the finding opens and closes nothing. on: whether the trigger is on."""
    if not on:
        closing = _alert(schedule, subject, finding, "resolved", severity, f"trigger {TRIGGER} switched off", now)
        return _verdict(subject, finding, closing, switched_off=True)
    if finding.outcome == "firing":
        what = {"late": "is late", "missing": "is missing"}.get(finding.what, "takes too long" if finding.under_way else "took too long")
        return _verdict(subject, finding, _alert(schedule, subject, finding, "firing", severity, f"{what}: {finding.reason}", now))
    if finding.outcome == "good":
        return _verdict(subject, finding, _alert(schedule, subject, finding, "resolved", severity, f"came: {finding.reason}", now))
    return None


def _verdict(subject: Subject, finding: Finding, alert: Alert, *, switched_off: bool = False) -> Verdict:
    return Verdict(
        subject=subject,
        trigger=TRIGGER,
        outcome="none" if switched_off else finding.outcome,
        alert=alert,
        started_at=finding.at,
        passed=alert.state == "resolved",
        switched_off=switched_off,
    )


def _alert(
    schedule: Schedule, subject: Subject, finding: Finding, state: AlertState, severity: Severity, what: str, now: datetime
) -> Alert:
    return Alert(
        trigger=TRIGGER,
        state=state,
        severity=severity,
        summary=f"{subject.title} {what}",
        details=_details(schedule, subject, finding),
        dedup_key=subject.dedup_key(TRIGGER),
        source=SOURCE,
        component=subject.table,
        group=subject.product_id,
        at=now,
    )


def _details(schedule: Schedule, subject: Subject, finding: Finding) -> dict[str, Any]:
    run, begun = finding.run, finding.under_way
    details = {
        "trigger": TRIGGER,
        "reason": finding.reason,
        "found": finding.what,
        "schedule": str(schedule),
        "due": finding.slot,
        "at_most": None if schedule.at_most is None else shown(schedule.at_most),
        "table": subject.table,
        "product_id": subject.product_id,
        "environment": subject.environment,
        "scope": subject.scope,
        "job": subject.job,
        "run_under_way": begun.run_id if begun else None,
        "began_at": begun.began_at if begun else None,
        "last_run": run.run_id if run else None,
        "last_run_started_at": run.started_at if run else None,
        "last_run_ended_at": run.ended_at if run else None,
        "last_run_status": run.status if run else None,
    }
    return {name: value for name, value in details.items() if value is not None}
