"""What one run says about one incident: the part of its facts and decisions that policy needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from spark_pd.alerting.alerts import alert_when_switched_off
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.trigger import Evaluation
from spark_pd.model import Alert, Outcome, Rule, Subject
from spark_pd.rules.loading import NO_RULES


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one run says about one incident. A firing alert opens or updates it, a resolved one closes it; without one nothing is sent."""

    subject: Subject
    trigger: str
    rule: str | None = None
    """The rule whose own incident it is about; None for the table's."""
    outcome: Outcome
    alert: Alert | None
    started_at: datetime
    """When the run started, in the order of runs (`Notifier.begin`)."""
    failing: tuple[str, ...] = ()
    """The names of the rules whose failure is the reason."""
    evaluated: frozenset[str] = frozenset()
    """The rules that the run evaluated."""
    rules: frozenset[str] = frozenset()
    """The active rules that the run was given."""
    rules_source: str = NO_RULES
    passed: bool = False
    """Whether the run passed. Only such a run closes incidents."""
    switched_off: bool = False
    """Whether the trigger is off. The alert then closes an incident that was opened while it was on."""
    renamed: bool = False
    """Whether it is about the table's former name, which no later run evaluates."""

    @property
    def dedup_key(self) -> str:
        """The incident's."""
        return self.subject.dedup_key(self.trigger, self.rule)


def verdicts_at_start(facts: RunFacts, alerts: Sequence[Alert], started_at: datetime) -> tuple[Verdict, ...]:
    """The verdicts of alerts from before the run's end. started_at: when the run started, in the order of runs."""
    return tuple(_of_alert(facts, started_at, alert, "firing" if alert.state == "firing" else "good") for alert in alerts)


def verdicts_at_end(
    facts: RunFacts, settings: TriggerSettings, evaluations: Sequence[Evaluation], alerts: Sequence[Alert], started_at: datetime
) -> tuple[Verdict, ...]:
    """The verdicts of a run's end: those with its alerts, those that are unknown, and those of triggers that are switched off."""
    conclusions = {each.key: each.conclusion for each in evaluations}
    verdicts = []
    for alert in alerts:
        found = conclusions[alert.trigger, alert.rule]
        if alert.state == "resolved":
            verdicts.append(_of_alert(facts, started_at, alert, "good"))
        elif found.uncertain:
            verdicts.append(_of_alert(facts, started_at, alert, "unknown"))
        else:
            verdicts.append(_of_alert(facts, started_at, alert, "firing", found.failed_rules))
    with_alert = {verdict.dedup_key for verdict in verdicts}
    for each in evaluations:
        trigger, rule = each.key
        if facts.subject.dedup_key(trigger, rule) in with_alert:
            continue
        if not each.on and facts.status == "passed":
            closing = alert_when_switched_off(facts, settings, each)
            verdicts.append(_verdict(facts, started_at, trigger, rule, "none", closing, switched_off=True))
        elif each.decision.outcome == "unknown":
            verdicts.append(_verdict(facts, started_at, trigger, rule, "unknown", None))
    return tuple(verdicts)


def _of_alert(facts: RunFacts, started_at: datetime, alert: Alert, outcome: Outcome, failing: Sequence[str] = ()) -> Verdict:
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
    failing: Sequence[str] = (),
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
        failing=tuple(sorted(set(failing))),
        evaluated=frozenset(r.name for r in results if r.status != "unknown"),
        rules=frozenset(r.name for r in facts.rules if _is_active(r)),
        rules_source=facts.rules_source,
        passed=facts.status == "passed",
        switched_off=switched_off,
        renamed=renamed,
    )


def _is_active(rule: Rule) -> bool:
    """Whether runs evaluate it. An aggregate or query that is for neither source nor target is treated as removed."""
    whole = rule.rule_type != "row_dq"
    return rule.is_active and (not whole or rule.enable_for_source_dq_validation or rule.enable_for_target_dq_validation)
