"""Triggers: from what is known of a run to decisions with a reason, and from those to alerts. Pure; knows no channel and no Spark.

Each enabled trigger is an incident of its own. When it opens and closes is fixed: it closes only by a run that evaluated its trigger,
exactly, as good; errored, cancelled and unknown runs close nothing; an empty input closes `failure` only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from spark_pd.history.past import History, PastRun
from spark_pd.history.unusual import ERRORS, NO_HISTORY, VOLUME, Unusual, judge_unusual
from spark_pd.model import Alert, AlertState, Decision, Link, Outcome, Rule, RuleResult, RunStats, RunStatus, Severity, Subject
from spark_pd.rules import NO_RULES

LIFECYCLE = frozenset({"start", "completion"})
"""Triggers that tell of a run, good or bad, and so may be told as changes."""
RULES_IN_DETAILS = 50
RULES_IN_SUMMARY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerPolicy:
    """Which triggers are on, how severe they are, and the threshold in percent."""

    on: Mapping[str, bool]
    severity: Mapping[str, Severity]
    error_drop_threshold: float
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


def percent(part: int, whole: int) -> str:
    """A percentage with two decimals, cut off rather than rounded: 9.996 % is not shown as the 10 that it is below."""
    hundredths = 10_000 * part // whole
    return "less than 0.01 %" if part and not hundredths else f"{hundredths / 100:g} %"


def number(value: float) -> str:
    """A threshold as it was written: 10, 15.5."""
    return f"{value:.10g}"


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
    # exact arithmetic: 9.996 % is below 10, and 0.1 + 0.2 never decides
    breached = dropped > 0 and 100 * dropped >= Fraction(str(policy.error_drop_threshold)) * rows
    limit = f"threshold {number(policy.error_drop_threshold)} %"
    if breached:
        return "firing", f"{percent(dropped, rows)} of the rows were dropped ({dropped:,} of {rows:,}), {limit}"
    return "good", f"{percent(dropped, rows)} of the rows were dropped ({dropped:,} of {rows:,}), below the {limit}"


def ignored_failures(facts: RunFacts) -> tuple[RuleResult, ...]:
    """The rules with action `ignore` that failed, worst first."""
    if facts.stats is None:
        return ()
    failed = [r for r in facts.stats.rules if r.action_if_failed == "ignore" and r.status == "failed"]
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


def decide(facts: RunFacts, policy: TriggerPolicy) -> tuple[Decision, ...]:
    """One decision for every trigger, enabled or not."""
    decisions = []
    for trigger, judge in TRIGGERS.items():
        outcome, reason = judge(facts, policy)
        if not policy.on.get(trigger, False):
            outcome, reason = "none", f"switched off (spark.pd.on.{trigger}); it would have been {outcome}: {reason}"
        elif outcome == "good" and facts.status != "passed":
            reason = f"{reason}; nothing is closed, since the run {_ended(facts.status)}"
        decisions.append(Decision(trigger=trigger, outcome=outcome, reason=reason))
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
            alerts.append(_alert(facts, policy, decision.trigger, "firing", _headline(facts, policy, decision), decision.reason))
        elif decision.outcome == "good" and facts.status == "passed":
            alerts.append(_alert(facts, policy, decision.trigger, "resolved", decision.reason, decision.reason))
    if facts.previous is not None:
        renamed = replace(facts, subject=facts.previous)
        moved = [a for a in alerts if a.trigger not in ("start", "completion")]
        alerts += [
            _alert(renamed, policy, a.trigger, "resolved", f"now called {facts.subject.table}", "the table was renamed") for a in moved
        ]
    return tuple(sorted(alerts, key=lambda a: a.state != "firing"))


def alert_when_switched_off(facts: RunFacts, policy: TriggerPolicy, trigger: str) -> Alert:
    """What closes the incident of a trigger that was switched off since it opened."""
    return _alert(facts, policy, trigger, "resolved", f"trigger {trigger} switched off", f"switched off (spark.pd.on.{trigger})")


def _headline(facts: RunFacts, policy: TriggerPolicy, decision: Decision) -> str:
    """What broke and how badly, for the summary."""
    stats = facts.stats
    if decision.trigger == "error_drop_threshold" and stats is not None and stats.input_count and stats.dropped_count:
        droppers = sorted((r for r in stats.rules if r.action_if_failed == "drop" and r.failed_count), key=lambda r: -(r.failed_count or 0))
        most = f": {named(droppers)}" if droppers else ""
        return (
            f"dropped {percent(stats.dropped_count, stats.input_count)} of its rows ({stats.dropped_count:,} of {stats.input_count:,}), "
            f"threshold {number(policy.error_drop_threshold)} %{most}"
        )
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


def _alert(facts: RunFacts, policy: TriggerPolicy, trigger: str, state: AlertState, what: str, reason: str) -> Alert:
    subject = facts.subject
    place = f"[{subject.environment}] {subject.table}" if subject.environment else subject.table
    return Alert(
        trigger=trigger,
        state=state,
        severity=policy.severity[trigger],
        summary=f"{place}{f' ({subject.scope})' if subject.scope else ''} {what}",
        details=_details(facts, policy, trigger, reason),
        dedup_key=subject.dedup_key(trigger),
        source=facts.application,
        component=subject.table,
        group=subject.product_id,
        at=facts.ended_at,
        links=facts.links,
        change=trigger in policy.changes,
    )


def _details(facts: RunFacts, policy: TriggerPolicy, trigger: str, reason: str) -> dict[str, Any]:
    """What the one woken reads. Only names, counts, percentages, rule texts, links, and what samples may show of a row."""
    subject, stats = facts.subject, facts.stats
    details: dict[str, Any] = {
        "trigger": trigger,
        "reason": reason,
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
        details["error_drop_threshold"] = policy.error_drop_threshold
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
        details["failed_rules"] = _rules(facts, facts.failed_rules or tuple(r for r in stats.rules if r.status == "failed"))
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
