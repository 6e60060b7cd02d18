"""Alerts: from decisions to what is told, in no channel's words. Pure; knows no channel and no Spark."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from spark_pd.alerting import thresholds as breaches
from spark_pd.alerting.attempts import failure_severity
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.lifecycle_details import headline, lifecycle_details
from spark_pd.alerting.lifecycle_triggers import OVERRUN, duration
from spark_pd.alerting.thresholds import number, percent
from spark_pd.alerting.triggers import breached, ended, ignored_failures, named, plural, unusual
from spark_pd.alerting.unusual import ERRORS, VOLUME
from spark_pd.model import SEVERITIES, Alert, AlertState, Decision, RuleResult, Severity

RULES_IN_DETAILS = 50


def alerts_at_start(facts: RunFacts, policy: TriggerSettings) -> tuple[Alert, ...]:
    """What a run's start tells: that it started, and that the last completion is over."""
    alerts = []
    if policy.on["start"]:
        alerts.append(_alert(facts, policy, "start", "firing", "run started", "the run started"))
    if policy.on["completion"]:
        alerts.append(_alert(facts, policy, "completion", "resolved", "next run started", "the next run started"))
    return tuple(alerts)


def alerts_at_end(facts: RunFacts, policy: TriggerSettings, decisions: tuple[Decision, ...]) -> tuple[Alert, ...]:
    """What a run's verdict tells: firing alerts first, then those that are closed."""
    alerts: list[Alert] = []
    for decision in decisions:
        if decision.trigger == "start":
            if decision.outcome == "firing":
                alerts.append(_alert(facts, policy, "start", "resolved", f"run {ended(facts.status)}", "the run has its verdict"))
        elif decision.outcome == "firing":
            if decision.trigger == OVERRUN and facts.reported_overrun is not None:
                continue  # it was told while the run ran
            what = _headline(facts, policy, decision)
            alerts.append(_alert(facts, policy, decision.trigger, "firing", what, decision.reason, decision.rule))
        elif decision.outcome == "good" and facts.status == "passed":
            alerts.append(_alert(facts, policy, decision.trigger, "resolved", decision.reason, decision.reason, decision.rule))
    if facts.previous is not None:
        renamed = replace(facts, subject=facts.previous)
        moved = [a for a in alerts if a.trigger not in ("start", "completion")]
        alerts += [
            _alert(renamed, policy, a.trigger, "resolved", f"now called {facts.subject.table}", "the table was renamed", a.rule)
            for a in moved
        ]
    return tuple(sorted(alerts, key=lambda a: a.state != "firing"))


def alert_while_running(facts: RunFacts, policy: TriggerSettings) -> Alert:
    """What tells of a run that takes too long, while it does. `ended_at` of the facts is now."""
    what = f"still runs after {duration((facts.ended_at - facts.started_at).total_seconds())}"
    limit = policy.limit.get(OVERRUN)
    reason = what if limit is None else f"{what}, limit {duration(limit)}"
    alert = _alert(facts, policy, OVERRUN, "firing", reason, reason)
    # It has no end, no counts and no verdict yet.
    known = {name: value for name, value in alert.details.items() if name != "ended_at"}
    return replace(alert, details=known | {"status": "running"})


def alert_when_switched_off(facts: RunFacts, policy: TriggerSettings, trigger: str, rule: str | None = None) -> Alert:
    """What closes the incident of a trigger that was switched off since it opened."""
    return _alert(facts, policy, trigger, "resolved", f"trigger {trigger} switched off", f"switched off (spark.pd.on.{trigger})", rule)


def _headline(facts: RunFacts, policy: TriggerSettings, decision: Decision) -> str:
    """What broke and how badly, for the summary."""
    stats = facts.stats
    if decision.rule is not None:
        failed = ignored_failures(facts, decision.rule)
        return decision.reason if decision.trigger == "error_drop_threshold" else f"broke rule {named(failed)}, which has action ignore"
    if decision.trigger == "error_drop_threshold" and stats is not None and stats.input_count and stats.dropped_count:
        table, *others = breached(facts, policy)
        if table.rule is not None:
            return decision.reason
        droppers = sorted((r for r in stats.rules if r.action_if_failed == "drop" and r.failed_count), key=lambda r: -(r.failed_count or 0))
        most = f": {named(droppers)}" if droppers else ""
        return (
            f"dropped {percent(stats.dropped_count, stats.input_count)} of its rows ({stats.dropped_count:,} of {stats.input_count:,}), "
            f"{'warning ' if table.level == 'warning' else ''}threshold {number(table.limit)} %{most}"
        ) + (f"; {breaches.told(others, 1)}" if others else "")
    if decision.trigger == "ignored_rules":
        failed = ignored_failures(facts)
        return f"broke {plural(len(failed), 'rule')} with action ignore: {named(failed)}"
    if decision.trigger == "completion":
        if stats is not None and stats.output_count is not None:
            return f"run completed: {stats.output_count:,} rows written of {stats.input_count:,}"
        return "run completed"
    if decision.trigger in (VOLUME, ERRORS):
        return f"had unusual {'volume' if decision.trigger == VOLUME else 'errors'}: {decision.reason}"
    if decision.trigger != "failure":
        return headline(decision.trigger, decision.reason)
    attempt = f" ({facts.attempt})" if facts.attempt is not None else ""
    if facts.failed_rules:
        return f"stopped by {plural(len(facts.failed_rules), 'rule')} with action fail{attempt}: {named(facts.failed_rules)}"
    return f"failed{attempt}: {decision.reason}"


def _severity(facts: RunFacts, policy: TriggerSettings, trigger: str, rule: str | None) -> Severity:
    """How severe a firing alert is: as the worst of what it is about. A warning is no more than a warning."""
    usual = policy.severity[trigger]
    priorities = {r.name: r.priority or "medium" for r in facts.rules}

    def of(name: str | None) -> Severity:
        """The severity of what that rule failed."""
        return policy.by_priority.get(priorities.get(name or "", ""), None) or usual

    if trigger == "error_drop_threshold":
        found = [of(b.rule) if b.level == "alarm" else _least(of(b.rule), "warning") for b in breached(facts, policy, rule)]
    else:
        results = facts.failed_rules if trigger == "failure" else ignored_failures(facts, rule) if trigger == "ignored_rules" else ()
        found = [of(result.name) for result in results]
    worst = min(found, key=SEVERITIES.index) if found else usual
    return failure_severity(worst, facts.attempt) if trigger == "failure" else worst


def _least(one: Severity, other: Severity) -> Severity:
    return max(one, other, key=SEVERITIES.index)


def _alert(
    facts: RunFacts, policy: TriggerSettings, trigger: str, state: AlertState, what: str, reason: str, rule: str | None = None
) -> Alert:
    subject = facts.subject
    return Alert(
        trigger=trigger,
        state=state,
        severity=_severity(facts, policy, trigger, rule) if state == "firing" else policy.severity[trigger],
        summary=f"{subject.title} {what}",
        details=_details(facts, policy, trigger, reason, rule),
        dedup_key=subject.dedup_key(trigger, rule),
        source=facts.application,
        component=subject.table,
        group=subject.product_id,
        at=facts.ended_at,
        links=facts.links,
        change=trigger in policy.changes,
        rule=rule,
    )


def _details(facts: RunFacts, policy: TriggerSettings, trigger: str, reason: str, name: str | None) -> dict[str, Any]:
    """What the one woken reads. Only names, counts, percentages, rule texts, links, and what samples may show of a row."""
    subject, stats = facts.subject, facts.stats
    details: dict[str, Any] = {
        "trigger": trigger,
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
    details |= lifecycle_details(trigger, facts.lifecycle, policy.exceptions)
    if trigger == "error_drop_threshold":
        details |= _thresholds(facts, policy, name)
    if trigger in (VOLUME, ERRORS):
        details["unusual"] = [each.details() for each in unusual(facts, policy, trigger)[2][:RULES_IN_DETAILS]] or None
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


def _thresholds(facts: RunFacts, policy: TriggerSettings, name: str | None) -> dict[str, float | None]:
    """The limits that the trigger compares with, in percent: the rule's for its own incident, else the table's."""
    for rule in facts.rules:
        if rule.name == name:
            return {"error_drop_threshold": rule.error_drop_threshold or 0.0, "warning_threshold": rule.warning_threshold}
    return {"error_drop_threshold": policy.error_drop_threshold, "warning_threshold": policy.warning_threshold}


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
    """What an aggregate gave, where it cannot be a value of a row that nobody may see: numbers and times."""
    return value if isinstance(value, (bool, int, float, Decimal, date)) else None


def _or_unknown(value: float | None) -> float | str:
    return "unknown" if value is None else value
