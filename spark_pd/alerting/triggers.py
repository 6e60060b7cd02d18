"""The built-in triggers, and the decisions of all triggers of a run. Pure; knows no channel and no Spark.

Each enabled trigger is an incident of its own. Only a run that evaluated the trigger, exactly, as good closes it; errored, cancelled and
unknown runs close nothing; an empty input closes `failure` only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from spark_pd.alerting.count_triggers import ERROR_DROP_THRESHOLD, IGNORED_RULES
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.lifecycle_triggers import EXECUTOR_LOST, JOB_FAILURE, NO_OUTPUT, OVERRUN, STAGE_RETRY, TASK_FAILURES
from spark_pd.alerting.run_triggers import COMPLETION, FAILURE, QUERY_FAILURE, START
from spark_pd.alerting.trigger import Conclusion, Evaluation, Trigger, missing
from spark_pd.alerting.unusual import UNUSUAL_ERRORS, UNUSUAL_VOLUME
from spark_pd.alerting.wording import ended
from spark_pd.model import Decision, Rule, names

_BUILT_IN = (
    START,
    COMPLETION,
    FAILURE,
    ERROR_DROP_THRESHOLD,
    IGNORED_RULES,
    UNUSUAL_VOLUME,
    UNUSUAL_ERRORS,
    JOB_FAILURE,
    STAGE_RETRY,
    TASK_FAILURES,
    EXECUTOR_LOST,
    OVERRUN,
    NO_OUTPUT,
    QUERY_FAILURE,
)
TRIGGERS: Mapping[str, Trigger] = MappingProxyType({trigger.name: trigger for trigger in _BUILT_IN})
"""The built-in triggers by name, in the order of decisions."""


def triggers_of(settings: TriggerSettings) -> tuple[Trigger, ...]:
    """The triggers of a run: the built-in ones, then those of its settings."""
    return (*TRIGGERS.values(), *settings.custom_triggers)


def decide(facts: RunFacts, settings: TriggerSettings) -> tuple[Evaluation, ...]:
    """One evaluation for every trigger, enabled or not; then one for each rule that asks for an incident of its own."""
    triggers = triggers_of(settings)
    own = [(trigger, rule) for trigger in triggers for rule in facts.rules if trigger.has_own(rule)]
    return tuple(_evaluated(facts, settings, trigger, rule) for trigger, rule in (*((each, None) for each in triggers), *own))


def _evaluated(facts: RunFacts, settings: TriggerSettings, trigger: Trigger, rule: Rule | None) -> Evaluation:
    found, on = _concluded(facts, settings, trigger, rule), trigger.is_on(settings)
    outcome, reason = found.outcome, found.reason
    if not on:
        reason = f"switched off (spark.pd.on.{trigger.name}); if it were on, the outcome would be {outcome}: {reason}"
        outcome = "none"
    elif outcome == "good" and facts.status != "passed":
        reason = f"{reason}; this closes no incident, because the run {ended(facts.status)}"
    decision = Decision(trigger=trigger.name, outcome=outcome, reason=reason, rule=None if rule is None else rule.name)
    return Evaluation(trigger=trigger, on=on, decision=decision, conclusion=found)


def _concluded(facts: RunFacts, settings: TriggerSettings, trigger: Trigger, rule: Rule | None) -> Conclusion:
    for need in trigger.needs:
        cannot = missing(facts, need)
        if cannot is not None:
            return cannot
    if rule is None or trigger.judge_rule is None:
        return trigger.judge(facts, settings, trigger)
    known = facts.stats is not None and any(r.name == rule.name and r.status != "unknown" for r in facts.stats.rules)
    if not known:
        return Conclusion("unknown", f"it is not known whether rule {rule.name} failed")
    return trigger.judge_rule(facts, settings, trigger, rule)


def decision_lines(decisions: Sequence[Decision], on: Mapping[str, bool]) -> list[str]:
    """The decisions as lines for people: one for each trigger that is on, then one that names all that are switched off.

    on: the switches of the triggers, as `monitor.settings.on` has them.
    """
    shown = [each for each in decisions if on.get(each.trigger, True)]
    labels = [each.trigger if each.rule is None else f"{each.trigger} of rule {each.rule}" for each in shown]
    width = max(map(len, labels), default=0)
    lines = [f"{label:{width}}  {each.outcome:7}  {each.reason}" for label, each in zip(labels, shown, strict=True)]
    off = list(dict.fromkeys(each.trigger for each in decisions if not on.get(each.trigger, True)))
    return [*lines, f"switched off (spark.pd.on.<trigger>): {names(off)}"] if off else lines
