"""Triggers: from the facts of a run to decisions with a reason. Pure; knows no channel and no Spark.

Each enabled trigger is an incident of its own. When it opens and closes is fixed: it closes only by a run that evaluated its trigger,
exactly, as good; errored, cancelled and unknown runs close nothing; an empty input closes `failure` only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from spark_pd.alerting import thresholds as breaches
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.lifecycle_triggers import (
    EXECUTOR_LOST,
    JOB_FAILURE,
    NO_OUTPUT,
    OVERRUN,
    STAGE_RETRY,
    TASK_FAILURES,
    Seen,
    judge_lifecycle,
)
from spark_pd.alerting.past_runs import PastRun
from spark_pd.alerting.thresholds import Breach, number, percent
from spark_pd.alerting.unusual import ERRORS, NO_HISTORY, VOLUME, Unusual, judge_unusual
from spark_pd.model import Decision, Outcome, Rule, RuleResult, RunStats, RunStatus

RULES_IN_SUMMARY = 3


def _counts_needed(facts: RunFacts) -> tuple[Outcome, str] | None:
    """Why a trigger that needs the counts cannot judge this run; None where it can."""
    if facts.stats is None:
        if facts.status == "errored":
            return "unknown", "the run errored before it checked anything"
        return "none", facts.unchecked
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


def _start(facts: RunFacts, policy: TriggerSettings) -> tuple[Outcome, str]:
    return "firing", "the run started, which is told as a change" if "start" in policy.changes else "the run started; its verdict closes it"


def _completion(facts: RunFacts, policy: TriggerSettings) -> tuple[Outcome, str]:
    if facts.status in ("passed", "unknown"):
        told = "the run completed, which is told as a change"
        return "firing", told if "completion" in policy.changes else "the run completed; the next run's start closes it"
    return "none", f"the run did not complete: it {ended(facts.status)}"


def _failure(facts: RunFacts, policy: TriggerSettings) -> tuple[Outcome, str]:
    if facts.reported_elsewhere is not None and facts.status in ("failed", "errored"):
        return "none", f"{facts.failure or ended(facts.status)}; {facts.reported_elsewhere}"
    if facts.status in ("failed", "errored"):
        return "firing", facts.failure or f"the run {ended(facts.status)}"
    if facts.status == "cancelled":
        return "none", "the run was cancelled, which is no failure"
    if facts.status == "unknown":
        reason = facts.unknown or "the counts are not known"
        return ("firing", f"{reason} (spark.pd.on_unknown=page)") if policy.page_on_unknown else ("unknown", reason)
    return "good", "the run ended without an exception"


def _error_drop_threshold(facts: RunFacts, policy: TriggerSettings) -> tuple[Outcome, str]:
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


def breached(facts: RunFacts, policy: TriggerSettings, rule: str | None = None) -> tuple[Breach, ...]:
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


def _ignored_rules(facts: RunFacts, policy: TriggerSettings) -> tuple[Outcome, str]:
    cannot = _counts_needed(facts)
    if cannot:
        return cannot
    failed = ignored_failures(facts)
    if failed:
        return "firing", f"{plural(len(failed), 'rule')} with action ignore failed: {named(failed)}"
    return "good", "no rule with action ignore failed"


def unusual(facts: RunFacts, policy: TriggerSettings, trigger: str) -> tuple[Outcome, str, tuple[Unusual, ...]]:
    """What the history says of the run, with the values outside their range."""
    if facts.history is None:
        return "none", NO_HISTORY, ()
    cannot = _counts_needed(facts)
    stats = facts.stats
    # An empty input is the most unusual volume of all.
    if stats is None or (cannot and stats.input_count != 0):
        return *(cannot or ("none", facts.unchecked)), ()
    this = PastRun(
        run_id=facts.run_id,
        started_at=facts.started_at,
        status=facts.status,
        input_count=stats.input_count,
        error_count=stats.error_count,
        dropped_count=stats.dropped_count,
        rules={r.name: r.failed_percentage for r in stats.rules if r.failed_percentage is not None},
    )
    return judge_unusual(trigger, this, facts.history, policy.limit[trigger] or 0.0)


def _unusual_volume(facts: RunFacts, policy: TriggerSettings) -> tuple[Outcome, str]:
    return unusual(facts, policy, VOLUME)[:2]


def _unusual_errors(facts: RunFacts, policy: TriggerSettings) -> tuple[Outcome, str]:
    return unusual(facts, policy, ERRORS)[:2]


def _of_lifecycle(trigger: str, facts: RunFacts, policy: TriggerSettings) -> tuple[Outcome, str]:
    seen = Seen(
        status=facts.status,
        lifecycle=facts.lifecycle,
        no_lifecycle=facts.no_lifecycle,
        stats=facts.stats,
        unknown=facts.unknown,
        stream=facts.unchecked if facts.streamed else None,
        endless=facts.query is not None,
        seconds=(facts.ended_at - facts.started_at).total_seconds(),
        reported_overrun=facts.reported_overrun,
        reported_failure=policy.on.get("failure", False),
        shown=policy.exceptions,
    )
    return judge_lifecycle(trigger, seen, policy.limit.get(trigger))


def _query_failure(facts: RunFacts, policy: TriggerSettings) -> tuple[Outcome, str]:
    query = facts.query
    if query is None:
        return "none", "it is about streaming queries that monitor.watch watches"
    if query.failure is not None:
        reason = f"query {query.name} failed: {query.failure}"
        return ("firing", reason) if facts.reported_elsewhere is None else ("none", f"{reason}; {facts.reported_elsewhere}")
    if query.completed is not None:
        return "good", f"query {query.name} completed batch {query.completed}"
    return "none", f"query {query.name} {'ended without an exception' if query.ended else 'has completed no batch since it was started'}"


TRIGGERS: Mapping[str, Callable[[RunFacts, TriggerSettings], tuple[Outcome, str]]] = {
    "start": _start,
    "completion": _completion,
    "failure": _failure,
    "error_drop_threshold": _error_drop_threshold,
    "ignored_rules": _ignored_rules,
    VOLUME: _unusual_volume,
    ERRORS: _unusual_errors,
    **{each: partial(_of_lifecycle, each) for each in (JOB_FAILURE, STAGE_RETRY, TASK_FAILURES, EXECUTOR_LOST, OVERRUN, NO_OUTPUT)},
    "query_failure": _query_failure,
}


def _own_threshold(facts: RunFacts, policy: TriggerSettings, rule: Rule) -> tuple[Outcome, str]:
    found = breached(facts, policy, rule.name)
    if found:
        return "firing", str(found[0])
    least = rule.error_drop_threshold or 0.0 if rule.warning_threshold is None else rule.warning_threshold
    return "good", f"rule {rule.name} failed for no more of the rows than its threshold {number(least)} % allows"


def _own_failure(facts: RunFacts, policy: TriggerSettings, rule: Rule) -> tuple[Outcome, str]:
    failed = ignored_failures(facts, rule.name)
    return ("firing", f"it has action ignore and failed: {named(failed)}") if failed else ("good", f"rule {rule.name} did not fail")


_OWN: Mapping[str, Callable[[RunFacts, TriggerSettings, Rule], tuple[Outcome, str]]] = {
    "error_drop_threshold": _own_threshold,
    "ignored_rules": _own_failure,
}


def _own(facts: RunFacts, policy: TriggerSettings, trigger: str, rule: Rule) -> tuple[Outcome, str]:
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


def decide(facts: RunFacts, policy: TriggerSettings) -> tuple[Decision, ...]:
    """One decision for every trigger, enabled or not; behind them those about rules that ask for incidents of their own."""
    found = [(trigger, None, *judge(facts, policy)) for trigger, judge in TRIGGERS.items()]
    own = [(trigger, rule.name, *_own(facts, policy, trigger, rule)) for trigger in _OWN for rule in facts.rules if has_own(rule, trigger)]
    decisions = []
    for trigger, name, outcome, reason in (*found, *own):
        if not policy.on.get(trigger, False):
            outcome, reason = "none", f"switched off (spark.pd.on.{trigger}); it would have been {outcome}: {reason}"
        elif outcome == "good" and facts.status != "passed":
            reason = f"{reason}; nothing is closed, since the run {ended(facts.status)}"
        decisions.append(Decision(trigger=trigger, outcome=outcome, reason=reason, rule=name))
    return tuple(decisions)


# ---- in words ------------------------------------------------------------------------------------------------------------------


def named(results: Sequence[RuleResult]) -> str:
    """The worst rules for a sentence: `a (8,255 rows, 2.45 %), b (1 row, 0.01 %) and 4 more`."""

    def one(result: RuleResult) -> str:
        if result.failed_count is None:
            return result.name
        errors = f"; not evaluable for {plural(result.evaluation_errors, 'row')}" if result.evaluation_errors else ""
        return f"{result.name} ({plural(result.failed_count, 'row')}, {result.failed_percentage:g} %{errors})"

    more = len(results) - RULES_IN_SUMMARY
    return ", ".join(one(r) for r in results[:RULES_IN_SUMMARY]) + (f" and {more} more" if more > 0 else "")


def plural(count: int, noun: str) -> str:
    """Such as `1 row`, `8,255 rows`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def ended(status: RunStatus) -> str:
    """How a run with that status ended, behind `it` or `the run`."""
    return {
        "passed": "passed",
        "failed": "was stopped by a rule",
        "errored": "errored",
        "cancelled": "was cancelled",
        "unknown": "ended with unknown counts",
    }[status]
