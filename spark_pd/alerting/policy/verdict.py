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
    tags: frozenset[str] = frozenset()
    """Of the rules that failed and are the reason."""
    owner: str | None = None
    """Who owns the table, where the run's rules say so."""
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
    return tuple(_verdict(facts, started_at, (alert.trigger, alert.rule), _outcome(alert), alert) for alert in alerts)


def verdicts_at_end(
    facts: RunFacts, settings: TriggerSettings, evaluations: Sequence[Evaluation], alerts: Sequence[Alert], started_at: datetime
) -> tuple[Verdict, ...]:
    """The verdicts of a run's end: those with its alerts, those that are unknown, and those of triggers that are switched off."""
    conclusions = {each.key: each.conclusion for each in evaluations}
    verdicts = []
    for alert in alerts:
        key, outcome = (alert.trigger, alert.rule), _outcome(alert)
        if outcome == "firing" and conclusions[key].uncertain:
            outcome = "unknown"
        failing = conclusions[key].failed_rules if outcome == "firing" else ()
        verdicts.append(_verdict(facts, started_at, key, outcome, alert, failing=failing))
    with_alert = {(verdict.trigger, verdict.rule) for verdict in verdicts if not verdict.renamed}
    for each in evaluations:
        if each.key in with_alert:
            continue
        if not each.on and facts.status == "passed":
            closing = alert_when_switched_off(facts, settings, each)
            verdicts.append(_verdict(facts, started_at, each.key, "none", closing, switched_off=True))
        elif each.decision.outcome == "unknown":
            verdicts.append(_verdict(facts, started_at, each.key, "unknown", None))
    return tuple(verdicts)


def _outcome(alert: Alert) -> Outcome:
    return "firing" if alert.state == "firing" else "good"


def _verdict(
    facts: RunFacts,
    started_at: datetime,
    key: tuple[str, str | None],
    outcome: Outcome,
    alert: Alert | None,
    *,
    failing: Sequence[str] = (),
    switched_off: bool = False,
) -> Verdict:
    renamed = facts.previous is not None and alert is not None and alert.dedup_key != facts.subject.dedup_key(*key)
    results = facts.stats.rules if facts.stats is not None else ()
    return Verdict(
        subject=facts.previous if renamed and facts.previous is not None else facts.subject,
        trigger=key[0],
        rule=key[1],
        outcome=outcome,
        alert=alert,
        started_at=started_at,
        failing=tuple(sorted(set(failing))),
        evaluated=frozenset(r.name for r in results if r.status != "unknown"),
        rules=frozenset(r.name for r in facts.rules if _is_active(r)),
        tags=frozenset(r.tag for r in facts.rules if r.tag and r.name in failing),
        owner=facts.owner,
        rules_source=facts.rules_source,
        passed=facts.status == "passed",
        switched_off=switched_off,
        renamed=renamed,
    )


def _is_active(rule: Rule) -> bool:
    """Whether runs evaluate it. An aggregate or query that is for neither source nor target is treated as removed."""
    whole = rule.rule_type != "row_dq"
    return rule.is_active and (not whole or rule.enable_for_source_dq_validation or rule.enable_for_target_dq_validation)
