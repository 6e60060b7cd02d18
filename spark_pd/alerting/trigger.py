"""What a trigger is: one value with its name, the function that judges a run, and its defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.model import SEVERITIES, Decision, Outcome, Rule, Severity
from spark_pd.model.lifecycle import EventKind

Need: TypeAlias = Literal["counts", "rules", "lifecycle", "history", "query"]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a trigger concludes of a run and why, with the evidence that its alert needs."""

    outcome: Outcome
    reason: str
    _: KW_ONLY
    headline: str | None = None
    """What follows the table's name in the summary of a firing alert. None: the reason."""
    failed_rules: tuple[str, ...] = ()
    """The names of the rules whose failure made the trigger fire."""
    severity: Severity | None = None
    """Of a firing alert. None: the trigger's severity."""
    details: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """What the alert's details say in addition to those of the run. None in it: left out."""
    uncertain: bool = False
    """Whether it fires only because it is not known whether the run was good."""
    reported: bool = False
    """Whether it was reported while the run was running, so the run's end reports it no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A named condition that turns the facts of a run into a conclusion."""

    name: str
    judge: Callable[[RunFacts, TriggerSettings, Trigger], Conclusion]
    needs: tuple[Need, ...] = ()
    """The facts without which it is not asked: why they are missing is then its conclusion."""
    on: bool = False
    """Whether it is on where the settings do not say so."""
    severity: Severity = "error"
    """The severity of its alerts where the settings name none."""
    limit: float | None = None
    """The number from which it fires where the settings name none: sigmas, events, percent, seconds. None: never, or it has no limit."""
    announces: Literal["start", "end"] | None = None
    """Of a trigger that announces each run, good or bad: whether its incident opens at the run's start, and closes at its end,
    or opens at its end, and closes at the next run's start."""
    events: tuple[EventKind, ...] = ()
    """The lifecycle events that its alerts list: those that it counts, or that may have led to it."""
    judge_rule: Callable[[RunFacts, TriggerSettings, Trigger, Rule], Conclusion] | None = None
    """Judges one rule that asks for an incident of its own. None: its incidents are always the table's."""
    applies_to: Callable[[Rule], bool] = lambda rule: True
    """Whether such a rule has anything to judge."""

    def is_on(self, settings: TriggerSettings) -> bool:
        """Whether it opens incidents."""
        return settings.on.get(self.name, self.on)

    def limit_in(self, settings: TriggerSettings) -> float | None:
        """The number from which it fires."""
        return settings.limit.get(self.name, self.limit)

    def severity_in(self, settings: TriggerSettings) -> Severity:
        """The severity of its alerts, unless the evidence says otherwise."""
        return settings.severity.get(self.name, self.severity)

    def worst_severity(self, facts: RunFacts, settings: TriggerSettings, failed: Iterable[tuple[str | None, bool]]) -> Severity | None:
        """The highest severity of what failed, by the priority of each rule. None where nothing failed.

        failed: the names of rules, None for all of them together, and whether each is only a warning.
        """
        usual = self.severity_in(settings)
        priorities = {rule.name: rule.priority or "medium" for rule in facts.rules}
        found = []
        for name, warning in failed:
            one = settings.by_priority.get(priorities.get(name or "", ""), None) or usual
            found.append(max(one, "warning", key=SEVERITIES.index) if warning else one)
        return min(found, key=SEVERITIES.index, default=None)

    def has_own(self, rule: Rule) -> bool:
        """Whether the rule has an incident of this trigger of its own."""
        return self.judge_rule is not None and rule.is_active and rule.incident == "rule" and self.applies_to(rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A trigger's decision on one run, with the conclusion that it is based on."""

    trigger: Trigger
    on: bool
    decision: Decision
    conclusion: Conclusion

    @property
    def key(self) -> tuple[str, str | None]:
        """The names of the trigger and of the rule whose own incident it is about; None for the table's."""
        return self.decision.trigger, self.decision.rule


def missing(facts: RunFacts, need: Need) -> Conclusion | None:
    """Why a trigger that needs those facts cannot judge this run. None where it can."""
    if need == "counts":
        return _missing_counts(facts)
    if need == "rules":
        return None if _has_reported_rules(facts) else _missing_counts(facts)
    if need == "lifecycle":
        return None if facts.lifecycle is not None else Conclusion("none", facts.no_lifecycle)
    if need == "history":
        return None if facts.history is not None else Conclusion("none", "there is no history: spark.pd.stats.table is not set")
    return None if facts.query is not None else Conclusion("none", "it is only for streaming queries that monitor.watch watches")


def _has_reported_rules(facts: RunFacts) -> bool:
    """Whether another engine gave rules' results, which hold also where it gave no counts. An empty input is no breach all the same."""
    stats = facts.stats
    return stats is not None and facts.status != "failed" and stats.counting == "reported" and bool(stats.rules) and stats.input_count != 0


def _missing_counts(facts: RunFacts) -> Conclusion | None:
    if facts.stats is None:
        if facts.status == "errored":
            return Conclusion("unknown", "the run ended with an error before it checked anything")
        return Conclusion("none", facts.unchecked)
    if facts.status == "failed":
        return Conclusion("unknown", "a rule with action fail stopped the run before anything was written")
    if facts.stats.input_count is None or facts.stats.dropped_count is None:
        return Conclusion("unknown", facts.unknown or "the counts are not known")
    return Conclusion("none", "the input was empty") if facts.stats.input_count == 0 else None
