"""From the window of a stream's last batches, and the end of its query, to decisions and verdicts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from spark_pd.alerting.alerts import alerts_at_end
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.policy import Verdict, verdicts_at_end
from spark_pd.alerting.trigger import Evaluation
from spark_pd.checks.counts import Counts
from spark_pd.model import Alert, Decision, Rule, RuleResult, RuleStatus, RunStats, Subject, percentage
from spark_pd.runs.streaming.batch_window import BatchWindow

OF_COUNTS = frozenset({"error_drop_threshold", "ignored_rules"})
OF_QUERY = frozenset({"query_failure"})


def stats_of(
    counts: Counts | None,
    rules: tuple[Rule, ...],
    *,
    exact: bool,
    subject: Subject,
    table: str,
    run_id: str,
    started_at: datetime,
    ended_at: datetime,
) -> RunStats:
    """The stats of the batches' rows together; `rules` are those that are counted, in the counts' order.

    exact: whether counts that are known are exact.
    """
    rows = None if counts is None else counts.rows
    return RunStats(
        product_id=subject.product_id,
        table_name=table,
        run_id=run_id,
        started_at=started_at,
        ended_at=ended_at,
        status="passed",
        input_count=rows,
        error_count=None if counts is None else counts.failed,
        dropped_count=None if counts is None else counts.dropped,
        output_count=None if counts is None else counts.rows - counts.dropped,
        exact=counts is not None and exact,
        counting="observation",
        rules=tuple(_result(rule, counts, place) for place, rule in enumerate(rules)),
    )


def _result(rule: Rule, counts: Counts | None, place: int) -> RuleResult:
    failed = None if counts is None else counts.rules[place]
    status: RuleStatus = "unknown" if failed is None else "failed" if failed else "passed"
    return RuleResult.of(rule, status, failed_count=failed, failed_percentage=percentage(failed, None if counts is None else counts.rows))


def decisions_of(evaluations: Sequence[Evaluation]) -> tuple[Decision, ...]:
    """One decision for every trigger: those of runs do not apply to a stream."""
    return tuple(
        d
        if d.trigger in OF_COUNTS | OF_QUERY
        else Decision(trigger=d.trigger, outcome="none", reason="it is about runs, and this is a stream", rule=d.rule)
        for d in (each.decision for each in evaluations)
    )


def verdicts_of(
    facts: RunFacts,
    policy: TriggerSettings,
    evaluations: Sequence[Evaluation],
    triggers: frozenset[str],
    window: BatchWindow,
    order: datetime,
) -> tuple[Verdict, ...]:
    """The verdicts of a batch, or of the query's end, about the incidents of these triggers."""
    judged = [each for each in evaluations if each.trigger.name in triggers]
    alerts = tuple(_with_query(alert, facts, window) for alert in alerts_at_end(facts, policy, judged))
    return verdicts_at_end(facts, policy, judged, alerts, order)


def _with_query(alert: Alert, facts: RunFacts, window: BatchWindow) -> Alert:
    """The alert, with the query and its batches."""
    assert facts.query is not None
    details = {**alert.details, "query": facts.query.name, "batches": str(window)}
    if window.uncounted:
        details["batches_unknown_because"] = window.uncounted[-1].unknown
    if alert.trigger in OF_QUERY:
        return replace(alert, details=details)
    return replace(alert, summary=f"{alert.summary}, in {window}" if alert.state == "firing" else alert.summary, details=details)
