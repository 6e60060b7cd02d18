"""The triggers about the rows that were counted: `error_drop_threshold` and `ignored_rules`. Pure."""

from __future__ import annotations

from spark_pd.alerting import thresholds
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.thresholds import Breach
from spark_pd.alerting.trigger import Conclusion, Trigger
from spark_pd.alerting.wording import RULES_IN_SUMMARY, named, number, percent, plural
from spark_pd.model import Rule, RuleResult, RunStats


def _error_drop_threshold(facts: RunFacts, settings: TriggerSettings, trigger: Trigger, rule: Rule | None = None) -> Conclusion:
    """The table's threshold and those of rules without an incident of their own; or that of one rule that has one."""
    stats = _counted(facts)
    if rule is None:
        alarm, warning = settings.error_drop_threshold, settings.warning_threshold
        shared = [each for each in facts.rules if each.incident == "table"]
        found = thresholds.of_table(stats, alarm, warning) + thresholds.of_rules(stats, shared)
    else:
        alarm, warning = rule.error_drop_threshold or 0.0, rule.warning_threshold
        found = thresholds.of_rules(stats, [rule])
    details = {"error_drop_threshold": alarm, "warning_threshold": warning}
    if not found:
        return Conclusion("good", _below(facts, stats, rule, alarm, warning), details=details)
    rules = {breach.rule for breach in found}
    failed = [r.name for r in stats.rules if r.name in rules or (None in rules and r.action_if_failed == "drop" and r.status == "failed")]
    return Conclusion(
        "firing",
        thresholds.first(found, RULES_IN_SUMMARY),
        headline=_dropped(stats, found) if found[0].rule is None else None,
        failed_rules=tuple(failed),
        severity=trigger.worst_severity(facts, settings, [(breach.rule, breach.level == "warning") for breach in found]),
        details=details,
    )


def _below(facts: RunFacts, stats: RunStats, rule: Rule | None, alarm: float, warning: float | None) -> str:
    limit = f"threshold {number(alarm)} %" if warning is None else f"warning threshold {number(warning)} %"
    if rule is not None:
        return f"rule {rule.name} failed for fewer rows than its {limit}"
    others = ", and no rule reached its own" if any(thresholds.has_threshold(each) for each in facts.rules) else ""
    dropped, rows = stats.dropped_count or 0, stats.input_count or 0
    return f"{percent(dropped, rows)} of the rows were dropped ({dropped:,} of {rows:,}), below the {limit}{others}"


def _dropped(stats: RunStats, found: tuple[Breach, ...]) -> str:
    """How many rows were dropped, for the summary, the rules that dropped most of them, and the first of other thresholds."""
    table, *others = found
    droppers = _worst_first([r for r in stats.rules if r.action_if_failed == "drop" and r.failed_count])
    most = f": {named(droppers)}" if droppers else ""
    limit = f"{'warning ' if table.level == 'warning' else ''}threshold {number(table.limit)} %"
    share = f"dropped {percent(table.rows, table.input)} of its rows ({table.rows:,} of {table.input:,})"
    return f"{share}, {limit}{most}" + (f"; {thresholds.first(others, 1)}" if others else "")


def _ignored_rules(facts: RunFacts, settings: TriggerSettings, trigger: Trigger, rule: Rule | None = None) -> Conclusion:
    """The rules without an incident of their own; or one rule that has one."""
    own = {each.name for each in facts.rules if each.incident == "rule"}
    results = [r for r in _counted(facts).rules if (r.name not in own if rule is None else r.name == rule.name)]
    failed = _worst_first([r for r in results if r.action_if_failed == "ignore" and r.status == "failed"])
    unknown = [r.name for r in results if r.action_if_failed == "ignore" and r.status == "unknown"]
    if unknown and not failed:
        return Conclusion(
            "unknown", f"it is not known whether {plural(len(unknown), 'rule')} failed: {', '.join(unknown[:RULES_IN_SUMMARY])}"
        )
    if not failed:
        return Conclusion("good", "no rule with action ignore failed" if rule is None else f"rule {rule.name} did not fail")
    names = tuple(result.name for result in failed)
    what = f"{plural(len(failed), 'rule')} with action ignore"
    return Conclusion(
        "firing",
        f"{what} failed: {named(failed)}",
        headline=f"broke {what}: {named(failed)}",
        failed_rules=names,
        severity=trigger.worst_severity(facts, settings, [(name, False) for name in names]),
    )


def _counted(facts: RunFacts) -> RunStats:
    assert facts.stats is not None  # these triggers are asked only where the counts are known
    return facts.stats


def _worst_first(results: list[RuleResult]) -> list[RuleResult]:
    return sorted(results, key=lambda result: -(result.failed_count or 0))


ERROR_DROP_THRESHOLD = Trigger(
    name="error_drop_threshold",
    judge=_error_drop_threshold,
    needs=("counts",),
    judge_rule=_error_drop_threshold,
    applies_to=thresholds.has_threshold,
)
IGNORED_RULES = Trigger(
    name="ignored_rules",
    judge=_ignored_rules,
    needs=("rules",),
    judge_rule=_ignored_rules,
    applies_to=lambda rule: rule.action_if_failed == "ignore",
)
