"""The triggers about the run itself, or its streaming query: `start`, `completion`, `failure` and `query_failure`. Pure."""

from __future__ import annotations

from spark_pd.alerting.attempts import failure_severity
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.trigger import Conclusion, Trigger
from spark_pd.alerting.wording import ended, named, plural


def _start(facts: RunFacts, settings: TriggerSettings, trigger: Trigger) -> Conclusion:
    closing = "it is sent as a change event" if trigger.name in settings.changes else "the incident closes when the run ends"
    return Conclusion("firing", f"the run started; {closing}")


def _completion(facts: RunFacts, settings: TriggerSettings, trigger: Trigger) -> Conclusion:
    if facts.status not in ("passed", "unknown"):
        return Conclusion("none", f"the run did not complete: it {ended(facts.status)}")
    closing = "it is sent as a change event" if trigger.name in settings.changes else "the incident closes when the next run starts"
    stats, written = facts.stats, ""
    if stats is not None and stats.output_count is not None:
        written = f": {stats.output_count:,} rows written of {stats.input_count:,}"
    return Conclusion("firing", f"the run completed; {closing}", headline=f"run completed{written}")


def _failure(facts: RunFacts, settings: TriggerSettings, trigger: Trigger) -> Conclusion:
    if facts.status == "cancelled":
        return Conclusion("none", "the run was cancelled, which is not a failure")
    if facts.status == "passed":
        return Conclusion("good", "the run ended without an exception")
    if facts.status == "unknown":
        reason = facts.unknown or "the counts are not known"
        if not settings.page_on_unknown:
            return Conclusion("unknown", reason)
        reason = f"{reason} (spark.pd.on_unknown=page)"
    elif facts.reported_elsewhere is not None:
        return Conclusion("none", f"{facts.failure or ended(facts.status)}; {facts.reported_elsewhere}")
    else:
        reason = facts.failure or f"the run {ended(facts.status)}"
    attempt = f" ({facts.attempt})" if facts.attempt is not None else ""
    stopped = facts.failed_rules
    headline = f"failed{attempt}: {reason}"
    if stopped:
        headline = f"stopped by {plural(len(stopped), 'rule')} with action fail{attempt}: {named(stopped)}"
    worst = trigger.worst_severity(facts, settings, [(result.name, False) for result in stopped])
    return Conclusion(
        "firing",
        reason,
        headline=headline,
        failed_rules=tuple(result.name for result in stopped),
        severity=failure_severity(worst or trigger.severity_in(settings), facts.attempt),
        uncertain=facts.status == "unknown",
    )


def _query_failure(facts: RunFacts, settings: TriggerSettings, trigger: Trigger) -> Conclusion:
    query = facts.query
    assert query is not None
    if query.failure is not None:
        reason = f"query {query.name} failed: {query.failure}"
        return (
            Conclusion("firing", reason)
            if facts.reported_elsewhere is None
            else Conclusion("none", f"{reason}; {facts.reported_elsewhere}")
        )
    if query.completed is not None:
        return Conclusion("good", f"query {query.name} completed batch {query.completed}")
    state = "ended without an exception" if query.ended else "has completed no batch since it was started"
    return Conclusion("none", f"query {query.name} {state}")


START = Trigger(name="start", judge=_start, announces="start")
COMPLETION = Trigger(name="completion", judge=_completion, announces="end")
FAILURE = Trigger(name="failure", judge=_failure, events=("job_failed", "executor_lost"))
QUERY_FAILURE = Trigger(name="query_failure", judge=_query_failure, needs=("query",))
