"""What one run says about one incident: the run's facts and decisions, as far as policy needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from spark_pd.alerting.alerts import alert_when_switched_off
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.triggers import breached, ignored_failures
from spark_pd.model import Alert, Decision, Outcome, Rule, RuleResult, Subject
from spark_pd.rules.loading import NO_RULES


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one run says about one incident. A firing alert opens or updates it, a resolved one closes it; without one nothing is told."""

    subject: Subject
    trigger: str
    rule: str | None = None
    """The rule whose own incident it is about; None for the table's."""
    outcome: Outcome
    alert: Alert | None
    started_at: datetime
    """When the run started, in the order of runs (`Notifier.begin`)."""
    failing: tuple[str, ...] = ()
    """The rules that failed and are the reason, by name."""
    evaluated: frozenset[str] = frozenset()
    """The rules that the run evaluated."""
    rules: frozenset[str] = frozenset()
    """The active rules that the run was given."""
    tags: frozenset[str] = frozenset()
    """Of the rules that failed and are the reason."""
    rules_source: str = NO_RULES
    passed: bool = False
    """Whether the run passed: no other run closes anything."""
    switched_off: bool = False
    """Whether the trigger is off: its alert closes an incident that was opened when it was on, and there is none for any other."""
    renamed: bool = False
    """Whether it is about the table's former name, which no run will ever evaluate again."""

    @property
    def dedup_key(self) -> str:
        """The incident's."""
        return self.subject.dedup_key(self.trigger, self.rule)


def blamed(facts: RunFacts, triggers: TriggerSettings, trigger: str, rule: str | None) -> frozenset[str]:
    """The rules that failed and made the trigger fire, by name. Empty where none did, or it is not known which."""
    results: Sequence[RuleResult] = ()
    if trigger == "failure":
        results = facts.failed_rules
    elif trigger == "ignored_rules":
        results = ignored_failures(facts, rule)
    elif trigger == "error_drop_threshold" and facts.stats is not None:
        found = {breach.rule for breach in breached(facts, triggers, rule)}
        dropping = None in found
        results = [r for r in facts.stats.rules if r.name in found or (dropping and r.action_if_failed == "drop" and r.status == "failed")]
    return frozenset(result.name for result in results)


def verdicts_at_start(facts: RunFacts, alerts: Sequence[Alert], started_at: datetime) -> tuple[Verdict, ...]:
    """What a run's start says. started_at: when that was, in the order of runs."""
    return tuple(_told(facts, started_at, alert, "firing" if alert.state == "firing" else "good") for alert in alerts)


def verdicts_at_end(
    facts: RunFacts, triggers: TriggerSettings, decisions: Sequence[Decision], alerts: Sequence[Alert], started_at: datetime
) -> tuple[Verdict, ...]:
    """What a run's end says: its alerts, the triggers that could not tell, and those that are switched off."""
    verdicts = []
    for alert in alerts:
        # A run whose counts are unknown pages where it was asked to, and still knows nothing.
        unknown = alert.state == "firing" and alert.trigger == "failure" and facts.status == "unknown"
        outcome: Outcome = "unknown" if unknown else "firing" if alert.state == "firing" else "good"
        failing = blamed(facts, triggers, alert.trigger, alert.rule) if outcome == "firing" else frozenset()
        verdicts.append(_told(facts, started_at, alert, outcome, failing))
    told = {verdict.dedup_key for verdict in verdicts}
    for decision in decisions:
        trigger, rule = decision.trigger, decision.rule
        if facts.subject.dedup_key(trigger, rule) in told:
            continue
        if not triggers.on.get(trigger, False) and facts.status == "passed":
            closing = alert_when_switched_off(facts, triggers, trigger, rule)
            verdicts.append(_verdict(facts, started_at, trigger, rule, "none", closing, switched_off=True))
        elif decision.outcome == "unknown":
            verdicts.append(_verdict(facts, started_at, trigger, rule, "unknown", None))
    return tuple(verdicts)


def _told(facts: RunFacts, started_at: datetime, alert: Alert, outcome: Outcome, failing: frozenset[str] = frozenset()) -> Verdict:
    renamed = facts.previous is not None and alert.dedup_key != facts.subject.dedup_key(alert.trigger, alert.rule)
    return _verdict(facts, started_at, alert.trigger, alert.rule, outcome, alert, failing=failing, renamed=renamed)


def _verdict(
    facts: RunFacts,
    started_at: datetime,
    trigger: str,
    rule: str | None,
    outcome: Outcome,
    alert: Alert | None,
    *,
    failing: frozenset[str] = frozenset(),
    switched_off: bool = False,
    renamed: bool = False,
) -> Verdict:
    results = facts.stats.rules if facts.stats is not None else ()
    return Verdict(
        subject=facts.previous if renamed and facts.previous is not None else facts.subject,
        trigger=trigger,
        rule=rule,
        outcome=outcome,
        alert=alert,
        started_at=started_at,
        failing=tuple(sorted(failing)),
        evaluated=frozenset(r.name for r in results if r.status != "unknown"),
        rules=frozenset(r.name for r in facts.rules if _is_active(r)),
        tags=frozenset(r.tag for r in facts.rules if r.tag and r.name in failing),
        rules_source=facts.rules_source,
        passed=facts.status == "passed",
        switched_off=switched_off,
        renamed=renamed,
    )


def _is_active(rule: Rule) -> bool:
    """Whether a run that checks evaluates it. A rule over the whole data that is neither for source nor target is as good as removed."""
    whole = rule.rule_type != "row_dq"
    return rule.is_active and (not whole or rule.enable_for_source_dq_validation or rule.enable_for_target_dq_validation)
