"""Triggers: from what is known of a run to decisions with a reason, and from those to alerts. Pure; knows no channel and no Spark.

Each enabled trigger is an incident of its own. When it opens and closes is fixed: it closes only by a run that evaluated its trigger,
exactly, as good; errored, cancelled and unknown runs close nothing; an empty input closes `failure` only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from spark_pd import breaches
from spark_pd.breaches import Breach, number, percent
from spark_pd.history.past import History, PastRun
from spark_pd.history.unusual import ERRORS, NO_HISTORY, VOLUME, Unusual, judge_unusual
from spark_pd.model import SEVERITIES, Alert, AlertState, Decision, Link, Outcome, Rule, RuleResult, RunStats, RunStatus, Severity, Subject
from spark_pd.rules import NO_RULES

LIFECYCLE = frozenset({"start", "completion"})
"""Triggers that tell of a run, good or bad, and so may be told as changes."""
RULES_IN_DETAILS = 50
RULES_IN_SUMMARY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerPolicy:
    """Which triggers are on, how severe they are, and the thresholds in percent."""

    on: Mapping[str, bool]
    severity: Mapping[str, Severity]
    error_drop_threshold: float
    warning_threshold: float | None = None
    """Of the dropped rows as well, and below that one: from there on it is a warning. None: there is no warning."""
    by_priority: Mapping[str, Severity | None] = field(default_factory=lambda: MappingProxyType({}))
    """The severity of what rules of a priority failed; None, or no entry: the trigger's."""
    page_on_unknown: bool = False
    changes: frozenset[str] = frozenset()
    """Triggers whose alerts are changes: they open and close nothing."""
    limit: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({VOLUME: 3.5, ERRORS: 3.5}))
    """Sigmas from which on a run is unusual, by trigger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """All that is known of a run when it is judged."""

    subject: Subject
    run_id: str
    status: RunStatus
    stats: RunStats | None
    """None where the run checked nothing."""
    unknown: str | None
    """Why the counts are unknown; None where they are known or nothing was checked."""
    failure: str | None
    """What the exception was, as far as it may leave the cluster; None where none left the block."""
    failed_rules: tuple[RuleResult, ...] = ()
    """The rules with action `fail` that stopped the run."""
    rules: tuple[Rule, ...] = ()
    rules_source: str = NO_RULES
    """Where the rules are from: `rules.source_of`."""
    started_at: datetime
    ended_at: datetime
    application: str
    application_id: str | None = None
    job_metadata: str | None = None
    links: tuple[Link, ...] = ()
    previous: Subject | None = None
    """What the table was called before: its incidents are closed under that name."""
    history: History | None = None
    """The subject's earlier runs. None where there is no stats table."""


# ---- decisions -----------------------------------------------------------------------------------------------------------------


def _counts_needed(facts: RunFacts) -> tuple[Outcome, str] | None:
    """Why a trigger that needs the counts cannot judge this run; None where it can."""
    if facts.stats is None:
        if facts.status == "errored":
            return "unknown", "the run errored before it checked anything"
        return "none", "the run checked nothing"
    if facts.status == "failed":
        return "unknown", "a rule with action fail stopped the run before anything was written"
    if facts.stats.input_count is None or facts.stats.dropped_count is None:
        return "unknown", facts.unknown or "the counts are not known"
    if facts.stats.input_count == 0:
        return "none", "the input was empty"
    return None


def _known(stats: RunStats | None) -> tuple[int, int]:
    """The dropped and the input rows of a run whose counts are known."""
    assert stats is not None
    assert stats.dropped_count is not None
    assert stats.input_count is not None
    return stats.dropped_count, stats.input_count


def _start(facts: RunFacts, policy: TriggerPolicy) -> tuple[Outcome, str]:
    return "firing", "the run started, which is told as a change" if "start" in policy.changes else "the run started; its verdict closes it"


def _completion(facts: RunFacts, policy: TriggerPolicy) -> tuple[Outcome, str]:
    if facts.status in ("passed", "unknown"):
        told = "the run completed, which is told as a change"
        return "firing", told if "completion" in policy.changes else "the run completed; the next run's start closes it"
    return "none", f"the run did not complete: it {_ended(facts.status)}"


def _failure(facts: RunFacts, policy: TriggerPolicy) -> tuple[Outcome, str]:
    if facts.status in ("failed", "errored"):
        return "firing", facts.failure or f"the run {_ended(facts.status)}"
    if facts.status == "cancelled":
        return "none", "the run was cancelled, which is no failure"
    if facts.status == "unknown":
        reason = facts.unknown or "the counts are not known"
        return ("firing", f"{reason} (spark.pd.on_unknown=page)") if policy.page_on_unknown else ("unknown", reason)
    return "good", "the run ended without an exception"


def _error_drop_threshold(facts: RunFacts, policy: TriggerPolicy) -> tuple[Outcome, str]:
    cannot = _counts_needed(facts)
    if cannot:
        return cannot
    dropped, rows = _known(facts.stats)
    found = breached(facts, policy)
    if found:
        return "firing", breaches.told(found, RULES_IN_SUMMARY)
    least = policy.error_drop_threshold if policy.warning_threshold is None else policy.warning_threshold
    limit = f"{'' if policy.warning_threshold is None else 'warning '}threshold {number(least)} %"
    others = ", and no rule reached its own" if any(breaches.has_threshold(rule) for rule in facts.rules) else ""
    return "good", f"{percent(dropped, rows)} of the rows were dropped ({dropped:,} of {rows:,}), below the {limit}{others}"


def breached(facts: RunFacts, policy: TriggerPolicy, rule: str | None = None) -> tuple[Breach, ...]:
    """The thresholds that were reached: the rule's own, for its own incident; else the table's, and those of rules that are part of it."""
    if facts.stats is None:
        return ()
    if rule is not None:
        return breaches.of_rules(facts.stats, [r for r in facts.rules if r.name == rule])
    table = breaches.of_table(facts.stats, policy.error_drop_threshold, policy.warning_threshold)
    return table + breaches.of_rules(facts.stats, [r for r in facts.rules if r.incident == "table"])


def ignored_failures(facts: RunFacts, rule: str | None = None) -> tuple[RuleResult, ...]:
    """The rules with action `ignore` that failed, worst first: that one, for its own incident; else those that are part of the table's."""
    if facts.stats is None:
        return ()
    own = {r.name for r in facts.rules if r.incident == "rule"}
    wanted = [r for r in facts.stats.rules if (r.name == rule if rule is not None else r.name not in own)]
    failed = [r for r in wanted if r.action_if_failed == "ignore" and r.status == "failed"]
    return tuple(sorted(failed, key=lambda r: -(r.failed_count or 0)))


def _ignored_rules(facts: RunFacts, policy: TriggerPolicy) -> tuple[Outcome, str]:
    cannot = _counts_needed(facts)
    if cannot:
        return cannot
    failed = ignored_failures(facts)
    if failed:
        return "firing", f"{_plural(len(failed), 'rule')} with action ignore failed: {named(failed)}"
    return "good", "no rule with action ignore failed"


def _unusual(facts: RunFacts, policy: TriggerPolicy, trigger: str) -> tuple[Outcome, str, tuple[Unusual, ...]]:
    """What the history says of the run, with the values outside their range."""
    if facts.history is None:
        return "none", NO_HISTORY, ()
    cannot = _counts_needed(facts)
    stats = facts.stats
    # An empty input is the most unusual volume of all.
    if stats is None or (cannot and stats.input_count != 0):
        return *(cannot or ("none", "the run checked nothing")), ()
    this = PastRun(
        run_id=facts.run_id,
        started_at=facts.started_at,
        status=facts.status,
        input_count=stats.input_count,
        error_count=stats.error_count,
        dropped_count=stats.dropped_count,
        rules={r.name: r.failed_percentage for r in stats.rules if r.failed_percentage is not None},
    )
    return judge_unusual(trigger, this, facts.history, policy.limit[trigger])


def _unusual_volume(facts: RunFacts, policy: TriggerPolicy) -> tuple[Outcome, str]:
    return _unusual(facts, policy, VOLUME)[:2]


def _unusual_errors(facts: RunFacts, policy: TriggerPolicy) -> tuple[Outcome, str]:
    return _unusual(facts, policy, ERRORS)[:2]


TRIGGERS: Mapping[str, Callable[[RunFacts, TriggerPolicy], tuple[Outcome, str]]] = {
    "start": _start,
    "completion": _completion,
    "failure": _failure,
    "error_drop_threshold": _error_drop_threshold,
    "ignored_rules": _ignored_rules,
    VOLUME: _unusual_volume,
    ERRORS: _unusual_errors,
}


def _own_threshold(facts: RunFacts, policy: TriggerPolicy, rule: Rule) -> tuple[Outcome, str]:
    found = breached(facts, policy, rule.name)
    if found:
        return "firing", str(found[0])
    least = rule.error_drop_threshold or 0.0 if rule.warning_threshold is None else rule.warning_threshold
    return "good", f"rule {rule.name} failed for no more of the rows than its threshold {number(least)} % allows"


def _own_failure(facts: RunFacts, policy: TriggerPolicy, rule: Rule) -> tuple[Outcome, str]:
    failed = ignored_failures(facts, rule.name)
    return ("firing", f"it has action ignore and failed: {named(failed)}") if failed else ("good", f"rule {rule.name} did not fail")


_OWN: Mapping[str, Callable[[RunFacts, TriggerPolicy, Rule], tuple[Outcome, str]]] = {
    "error_drop_threshold": _own_threshold,
    "ignored_rules": _own_failure,
}


def _own(facts: RunFacts, policy: TriggerPolicy, trigger: str, rule: Rule) -> tuple[Outcome, str]:
    """What a trigger concludes of a rule that asks for incidents of its own."""
    cannot = _counts_needed(facts)
    if cannot:
        return cannot
    known = facts.stats is not None and any(r.name == rule.name and r.status != "unknown" for r in facts.stats.rules)
    return _OWN[trigger](facts, policy, rule) if known else ("unknown", f"it is not known whether rule {rule.name} failed")


def has_own(rule: Rule, trigger: str) -> bool:
    """Whether the rule asks for an incident of that trigger of its own."""
    if not rule.is_active or rule.incident != "rule":
        return False
    return breaches.has_threshold(rule) if trigger == "error_drop_threshold" else trigger in _OWN and rule.action_if_failed == "ignore"


def decide(facts: RunFacts, policy: TriggerPolicy) -> tuple[Decision, ...]:
    """One decision for every trigger, enabled or not; behind them those about rules that ask for incidents of their own."""
    found = [(trigger, None, *judge(facts, policy)) for trigger, judge in TRIGGERS.items()]
    own = [(trigger, rule.name, *_own(facts, policy, trigger, rule)) for trigger in _OWN for rule in facts.rules if has_own(rule, trigger)]
    decisions = []
    for trigger, name, outcome, reason in (*found, *own):
        if not policy.on.get(trigger, False):
            outcome, reason = "none", f"switched off (spark.pd.on.{trigger}); it would have been {outcome}: {reason}"
        elif outcome == "good" and facts.status != "passed":
            reason = f"{reason}; nothing is closed, since the run {_ended(facts.status)}"
        decisions.append(Decision(trigger=trigger, outcome=outcome, reason=reason, rule=name))
    return tuple(decisions)


# ---- alerts --------------------------------------------------------------------------------------------------------------------


def alerts_at_start(facts: RunFacts, policy: TriggerPolicy) -> tuple[Alert, ...]:
    """What a run's start tells: that it started, and that the last completion is over."""
    alerts = []
    if policy.on["start"]:
        alerts.append(_alert(facts, policy, "start", "firing", "run started", "the run started"))
    if policy.on["completion"]:
        alerts.append(_alert(facts, policy, "completion", "resolved", "next run started", "the next run started"))
    return tuple(alerts)


def alerts_at_end(facts: RunFacts, policy: TriggerPolicy, decisions: tuple[Decision, ...]) -> tuple[Alert, ...]:
    """What a run's verdict tells: firing alerts first, then those that are closed."""
    alerts: list[Alert] = []
    for decision in decisions:
        if decision.trigger == "start":
            if decision.outcome == "firing":
                alerts.append(_alert(facts, policy, "start", "resolved", f"run {_ended(facts.status)}", "the run has its verdict"))
        elif decision.outcome == "firing":
            headline = _headline(facts, policy, decision)
            alerts.append(_alert(facts, policy, decision.trigger, "firing", headline, decision.reason, decision.rule))
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


def alert_when_switched_off(facts: RunFacts, policy: TriggerPolicy, trigger: str, rule: str | None = None) -> Alert:
    """What closes the incident of a trigger that was switched off since it opened."""
    return _alert(facts, policy, trigger, "resolved", f"trigger {trigger} switched off", f"switched off (spark.pd.on.{trigger})", rule)


def _headline(facts: RunFacts, policy: TriggerPolicy, decision: Decision) -> str:
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
        return f"broke {_plural(len(failed), 'rule')} with action ignore: {named(failed)}"
    if decision.trigger == "completion":
        if stats is not None and stats.output_count is not None:
            return f"run completed: {stats.output_count:,} rows written of {stats.input_count:,}"
        return "run completed"
    if decision.trigger in (VOLUME, ERRORS):
        return f"had unusual {'volume' if decision.trigger == VOLUME else 'errors'}: {decision.reason}"
    if facts.failed_rules:
        return f"stopped by {_plural(len(facts.failed_rules), 'rule')} with action fail: {named(facts.failed_rules)}"
    return f"failed: {decision.reason}" if decision.trigger == "failure" else decision.reason


def _severity(facts: RunFacts, policy: TriggerPolicy, trigger: str, rule: str | None) -> Severity:
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
    return min(found, key=SEVERITIES.index) if found else usual


def _least(one: Severity, other: Severity) -> Severity:
    return max(one, other, key=SEVERITIES.index)


def _alert(
    facts: RunFacts, policy: TriggerPolicy, trigger: str, state: AlertState, what: str, reason: str, rule: str | None = None
) -> Alert:
    subject = facts.subject
    place = f"[{subject.environment}] {subject.table}" if subject.environment else subject.table
    return Alert(
        trigger=trigger,
        state=state,
        severity=_severity(facts, policy, trigger, rule) if state == "firing" else policy.severity[trigger],
        summary=f"{place}{f' ({subject.scope})' if subject.scope else ''} {what}",
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


def _details(facts: RunFacts, policy: TriggerPolicy, trigger: str, reason: str, name: str | None) -> dict[str, Any]:
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
    }
    if trigger == "error_drop_threshold":
        details |= _thresholds(facts, policy, name)
    if trigger in (VOLUME, ERRORS):
        details["unusual"] = [each.details() for each in _unusual(facts, policy, trigger)[2][:RULES_IN_DETAILS]] or None
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


def _thresholds(facts: RunFacts, policy: TriggerPolicy, name: str | None) -> dict[str, float | None]:
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


def named(results: Sequence[RuleResult]) -> str:
    """The worst rules for a sentence: `a (8,255 rows, 2.45 %), b (1 row, 0.01 %) and 4 more`."""

    def one(result: RuleResult) -> str:
        if result.failed_count is None:
            return result.name
        return f"{result.name} ({_plural(result.failed_count, 'row')}, {result.failed_percentage:g} %)"

    more = len(results) - RULES_IN_SUMMARY
    return ", ".join(one(r) for r in results[:RULES_IN_SUMMARY]) + (f" and {more} more" if more > 0 else "")


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _ended(status: RunStatus) -> str:
    return {
        "passed": "passed",
        "failed": "was stopped by a rule",
        "errored": "errored",
        "cancelled": "was cancelled",
        "unknown": "ended with unknown counts",
    }[status]
