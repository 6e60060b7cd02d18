"""The triggers about the rows that were counted: `error_drop_threshold` and `ignored_rules`. Pure."""

from __future__ import annotations

from spark_pd.alerting import thresholds
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.thresholds import Breach
from spark_pd.alerting.trigger import Conclusion, Trigger
from spark_pd.alerting.wording import RULES_IN_SUMMARY, named, number, percent, plural
from spark_pd.model import Rule, RuleResult, RunStats


def _error_drop_threshold(facts: RunFacts, settings: TriggerSettings, trigger: Trigger) -> Conclusion:
    """The table's own threshold, and those of rules without an incident of their own."""
    alarm, warning, stats = settings.error_drop_threshold, settings.warning_threshold, _counted(facts)
    details = {"error_drop_threshold": alarm, "warning_threshold": warning}
    found = thresholds.of_table(stats, alarm, warning) + thresholds.of_rules(stats, [r for r in facts.rules if r.incident == "table"])
    if not found:
        limit = f"threshold {number(alarm)} %" if warning is None else f"warning threshold {number(warning)} %"
        others = ", and no rule reached its own" if any(thresholds.has_threshold(rule) for rule in facts.rules) else ""
        dropped, rows = stats.dropped_count or 0, stats.input_count or 0
        share = f"{percent(dropped, rows)} of the rows were dropped ({dropped:,} of {rows:,})"
        return Conclusion("good", f"{share}, below the {limit}{others}", details=details)
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


def _dropped(stats: RunStats, found: tuple[Breach, ...]) -> str:
    """How many rows were dropped, for the summary, the rules that dropped most of them, and the first of other thresholds."""
    table, *others = found
    droppers = _worst_first([r for r in stats.rules if r.action_if_failed == "drop" and r.failed_count])
    most = f": {named(droppers)}" if droppers else ""
    limit = f"{'warning ' if table.level == 'warning' else ''}threshold {number(table.limit)} %"
    share = f"dropped {percent(table.rows, table.input)} of its rows ({table.rows:,} of {table.input:,})"
    return f"{share}, {limit}{most}" + (f"; {thresholds.first(others, 1)}" if others else "")


def _threshold_of_rule(facts: RunFacts, settings: TriggerSettings, trigger: Trigger, rule: Rule) -> Conclusion:
    found = thresholds.of_rules(_counted(facts), [rule])
    alarm, warning = rule.error_drop_threshold or 0.0, rule.warning_threshold
    details = {"error_drop_threshold": alarm, "warning_threshold": warning}
    if not found:
        limit = number(alarm if warning is None else warning)
        return Conclusion("good", f"rule {rule.name} failed for fewer rows than its threshold {limit} %", details=details)
    severity = trigger.worst_severity(facts, settings, [(rule.name, found[0].level == "warning")])
    return Conclusion("firing", str(found[0]), failed_rules=(rule.name,), severity=severity, details=details)


def _ignored_rules(facts: RunFacts, settings: TriggerSettings, trigger: Trigger) -> Conclusion:
    own = {rule.name for rule in facts.rules if rule.incident == "rule"}
    failed = _worst_first([r for r in _counted(facts).rules if r.name not in own and _ignored(r)])
    if not failed:
        return Conclusion("good", "no rule with action ignore failed")
    names = tuple(result.name for result in failed)
    what = f"{plural(len(failed), 'rule')} with action ignore"
    return Conclusion(
        "firing",
        f"{what} failed: {named(failed)}",
        headline=f"broke {what}: {named(failed)}",
        failed_rules=names,
        severity=trigger.worst_severity(facts, settings, [(name, False) for name in names]),
    )


def _ignored_rule(facts: RunFacts, settings: TriggerSettings, trigger: Trigger, rule: Rule) -> Conclusion:
    failed = [r for r in _counted(facts).rules if r.name == rule.name and _ignored(r)]
    if not failed:
        return Conclusion("good", f"rule {rule.name} did not fail")
    return Conclusion(
        "firing",
        f"it has action ignore and failed: {named(failed)}",
        headline=f"broke rule {named(failed)}, which has action ignore",
        failed_rules=(rule.name,),
        severity=trigger.worst_severity(facts, settings, [(rule.name, False)]),
    )


def _counted(facts: RunFacts) -> RunStats:
    assert facts.stats is not None  # these triggers are asked only where the counts are known
    return facts.stats


def _ignored(result: RuleResult) -> bool:
    return result.action_if_failed == "ignore" and result.status == "failed"


def _worst_first(results: list[RuleResult]) -> list[RuleResult]:
    return sorted(results, key=lambda result: -(result.failed_count or 0))


ERROR_DROP_THRESHOLD = Trigger(
    name="error_drop_threshold",
    judge=_error_drop_threshold,
    needs=("counts",),
    judge_rule=_threshold_of_rule,
    applies_to=thresholds.has_threshold,
)
IGNORED_RULES = Trigger(
    name="ignored_rules",
    judge=_ignored_rules,
    needs=("counts",),
    judge_rule=_ignored_rule,
    applies_to=lambda rule: rule.action_if_failed == "ignore",
)
