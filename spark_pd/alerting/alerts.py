"""Alerts: from the evaluations of a run to channel-neutral alerts. Pure; knows no channel and no Spark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.lifecycle_triggers import OVERRUN, lifecycle_details
from spark_pd.alerting.trigger import Conclusion, Evaluation, Trigger
from spark_pd.alerting.triggers import triggers_of
from spark_pd.alerting.wording import duration, ended
from spark_pd.model import Alert, AlertState, RuleResult

RULES_IN_DETAILS = 50


def alerts_at_start(facts: RunFacts, settings: TriggerSettings) -> tuple[Alert, ...]:
    """The alerts of a run's start: that it started, and that the last completion is over."""
    alerts = []
    for trigger in triggers_of(settings):
        if trigger.announces == "start" and trigger.is_on(settings):
            alerts.append(_alert(facts, settings, trigger, "firing", "run started", "the run started"))
        elif trigger.announces == "end" and trigger.is_on(settings):
            alerts.append(_alert(facts, settings, trigger, "resolved", "next run started", "the next run started"))
    return tuple(alerts)


def alerts_at_end(facts: RunFacts, settings: TriggerSettings, evaluations: Sequence[Evaluation]) -> tuple[Alert, ...]:
    """The alerts of a run's end: firing ones first, then resolved ones; under the table's former name, all are resolved."""
    alerts, former = [], []
    for each in evaluations:
        trigger, outcome, what = each.trigger, each.decision.outcome, each.decision.reason
        reason, rest = what, (each.conclusion, each.decision.rule)
        state: AlertState = "resolved"
        if outcome == "firing" and trigger.announces == "start":
            what, reason = f"run {ended(facts.status)}", "the run ended"
        elif outcome == "firing" and not each.conclusion.reported:
            what, state = each.conclusion.headline or reason, "firing"
        elif outcome != "good" or facts.status != "passed":
            continue
        alerts.append(_alert(facts, settings, trigger, state, what, reason, *rest))
        if facts.previous is not None and trigger.announces is None:
            what, old = f"now called {facts.subject.table}", replace(facts, subject=facts.previous)
            former.append(_alert(old, settings, trigger, "resolved", what, "the table was renamed", *rest))
    return tuple(sorted((*alerts, *former), key=lambda a: a.state != "firing"))


def alert_while_running(facts: RunFacts, settings: TriggerSettings) -> Alert:
    """The alert for a run that takes too long, while it is still running. `ended_at` of the facts is now."""
    what = f"still runs after {duration((facts.ended_at - facts.started_at).total_seconds())}"
    limit = OVERRUN.limit_in(settings)
    reason = what if limit is None else f"{what}, limit {duration(limit)}"
    alert = _alert(facts, settings, OVERRUN, "firing", reason, reason)
    known = {name: value for name, value in alert.details.items() if name != "ended_at"}
    return replace(alert, details=known | {"status": "running"})


def alert_when_switched_off(facts: RunFacts, settings: TriggerSettings, evaluation: Evaluation) -> Alert:
    """The alert that closes the incident of a trigger that was switched off while it was open."""
    trigger = evaluation.trigger
    what, reason = f"trigger {trigger.name} switched off", f"switched off (spark.pd.on.{trigger.name})"
    return _alert(facts, settings, trigger, "resolved", what, reason, evaluation.conclusion, evaluation.decision.rule)


def _alert(
    facts: RunFacts,
    settings: TriggerSettings,
    trigger: Trigger,
    state: AlertState,
    what: str,
    reason: str,
    conclusion: Conclusion | None = None,
    rule: str | None = None,
) -> Alert:
    subject = facts.subject
    severity = None if conclusion is None or state == "resolved" else conclusion.severity
    return Alert(
        trigger=trigger.name,
        state=state,
        severity=severity or trigger.severity_in(settings),
        summary=f"{subject.title} {what}",
        details=_details(facts, settings, trigger, reason, conclusion, rule),
        dedup_key=subject.dedup_key(trigger.name, rule),
        source=facts.application,
        component=subject.table,
        group=subject.product_id,
        at=facts.ended_at,
        links=facts.links,
        change=trigger.name in settings.changes,
        rule=rule,
    )


def _details(
    facts: RunFacts, settings: TriggerSettings, trigger: Trigger, reason: str, conclusion: Conclusion | None, name: str | None
) -> dict[str, Any]:
    """What a responder reads. Only names, counts, percentages, rule texts, links, and what samples may show of a row."""
    subject, stats = facts.subject, facts.stats
    details: dict[str, Any] = {
        "trigger": trigger.name,
        "reason": reason,
        "rule": name,
        "table": subject.table,
        "product_id": subject.product_id,
        "environment": subject.environment,
        "scope": subject.scope,
        "job": subject.job,
        "run_id": facts.run_id,
        "status": facts.status,
        "application": facts.application,
        "application_id": facts.application_id,
        "job_metadata": facts.job_metadata,
        "started_at": facts.started_at,
        "ended_at": facts.ended_at,
        "failure": facts.failure,
        "attempt": str(facts.attempt) if facts.attempt is not None else None,
        "platform": dict(facts.platform) or None,
    }
    details |= lifecycle_details(trigger.events, facts.lifecycle, settings.exceptions)
    if conclusion is not None:
        details |= conclusion.details
    if facts.history is not None:
        details |= facts.history.details()
    if stats is not None:
        counts = ("input_count", "error_count", "dropped_count", "output_count")
        percentages = ("error_percentage", "output_percentage", "success_percentage", "error_drop_percentage")
        details |= {name: _or_unknown(getattr(stats, name)) for name in (*counts, *percentages)}
        details |= {"exact": stats.exact, "counting": stats.counting}
        if facts.unknown:
            details["counts_unknown_because"] = facts.unknown
        failed = facts.failed_rules or tuple(r for r in stats.rules if r.status == "failed")
        details["failed_rules"] = _rules(facts, tuple(r for r in failed if name in (None, r.name)))
    return {name: value for name, value in details.items() if value is not None}


def _rules(facts: RunFacts, failed: tuple[RuleResult, ...]) -> list[dict[str, Any]]:
    texts = {rule.name: rule for rule in facts.rules}
    worst = sorted(failed, key=lambda r: -(r.failed_count or 0))
    listed = []
    for result in worst[:RULES_IN_DETAILS]:
        rule = texts.get(result.name)
        entry = {
            "rule": result.name,
            "expectation": rule.expectation if rule else None,
            "action_if_failed": result.action_if_failed,
            "failed_count": result.failed_count,
            "failed_percentage": result.failed_percentage,
            "observed": _observed(result.observed),
            "samples": [dict(row) for row in result.samples] or None,
            "judged_on": result.judged_on,
            "column_name": result.column_name,
            "description": rule.description if rule else None,
            "tag": rule.tag if rule else None,
            "priority": rule.priority if rule else None,
        }
        listed.append({name: value for name, value in entry.items() if value is not None})
    if len(worst) > RULES_IN_DETAILS:
        listed.append({"rule": f"and {len(worst) - RULES_IN_DETAILS} more"})
    return listed


def _observed(value: object) -> object:
    """What an aggregate gave, if a number or a time: a text might be a value of a row, which must stay in the cluster."""
    return value if isinstance(value, (bool, int, float, Decimal, date)) else None


def _or_unknown(value: float | None) -> float | str:
    return "unknown" if value is None else value
