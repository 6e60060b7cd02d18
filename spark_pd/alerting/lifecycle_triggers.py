"""The triggers about what Spark did during a run, and what their alerts list of it. Pure.

An event that cannot be attributed to a run may have been this run's. Where it would decide the outcome, the outcome is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.root_cause import Shown, cause_of
from spark_pd.alerting.trigger import Conclusion, Trigger
from spark_pd.alerting.wording import duration, number, percent, plural
from spark_pd.model import RunStats
from spark_pd.model.lifecycle import EventKind, Lifecycle, LifecycleEvent

EVENTS_IN_SUMMARY = 3
EVENTS_IN_DETAILS = 20
_NOUNS: Mapping[EventKind, tuple[str, str]] = MappingProxyType(
    {
        "job_failed": ("failed Spark job", "failed Spark jobs"),
        "stage_retried": ("stage retry", "stage retries"),
        "executor_lost": ("lost executor", "lost executors"),
    }
)


# ---- what is counted -----------------------------------------------------------------------------------------------------------------


def _job_failure(facts: RunFacts, settings: TriggerSettings, trigger: Trigger) -> Conclusion:
    """A job that failed in a run that went on: of one that ended with the job, `failure` reports it."""
    if facts.lifecycle is not None and facts.lifecycle.incomplete is None:
        if facts.status == "cancelled":
            return Conclusion("none", "the run was cancelled, and its Spark jobs with it")
        if facts.status == "errored" and settings.on.get("failure", False):
            return Conclusion("none", "the run ended with an error, which the trigger failure reports")
    return _events(facts, settings, trigger)


def _events(facts: RunFacts, settings: TriggerSettings, trigger: Trigger) -> Conclusion:
    """Compares the number of events of the trigger's kind with its limit."""
    lifecycle, kind, limit = facts.lifecycle, trigger.events[0], trigger.limit_in(settings) or 1
    assert lifecycle is not None
    own, others = lifecycle.of(kind), [event for event in lifecycle.unattributed if event.kind == kind]
    reason = _counted(kind, own, settings.exceptions)
    if own and limit > 1:
        reason = f"{reason}, limit {limit:g}"
    if others:
        reason = f"{reason}; {len(others)} more in the application could not be attributed to a run"
    if len(own) >= limit:
        return Conclusion("firing", reason, headline=f"had {reason}")
    if lifecycle.incomplete is not None:
        return Conclusion("unknown", f"{reason}, and there may have been more: {lifecycle.incomplete}")
    return Conclusion("unknown" if len(own) + len(others) >= limit else "good", reason)


def _counted(kind: EventKind, events: Sequence[LifecycleEvent], shown: Shown) -> str:
    one, several = _NOUNS[kind]
    if not events:
        return f"no {one}"
    # A reason is kept in the stats table too, where no whole message belongs.
    brief: Shown = "class" if shown == "class" else "scrubbed"
    first = "; ".join(_named(event, brief) for event in events[:EVENTS_IN_SUMMARY])
    more = len(events) - EVENTS_IN_SUMMARY
    return f"{len(events):,} {one if len(events) == 1 else several}: {first}{f'; and {more:,} more' if more > 0 else ''}"


def _named(event: LifecycleEvent, shown: Shown) -> str:
    """An event in a few words: `job 12 (save at orders.py:31): ValueError: no`."""
    name = {
        "job_failed": f"job {_or_unknown(event.job_id)}",
        "stage_retried": f"stage {_or_unknown(event.stage_id)}{'' if event.attempt is None else f', attempt {event.attempt}'}",
        "executor_lost": f"executor {_or_unknown(event.executor)}",
    }[event.kind]
    site = f" ({event.call_site})" if event.call_site else ""
    cause = cause_of(event.cause, shown)
    return f"{name}{site}{f': {cause}' if cause else ''}"


def _or_unknown(value: object) -> str:
    return "unknown" if value is None else str(value)


def _task_failures(facts: RunFacts, settings: TriggerSettings, trigger: Trigger) -> Conclusion:
    lifecycle, limit = facts.lifecycle, trigger.limit_in(settings) or 0.0
    assert lifecycle is not None
    failed, tasks = lifecycle.activity.failed_tasks, lifecycle.activity.tasks
    if lifecycle.incomplete is not None:
        return Conclusion("unknown", f"at least {failed:,} of {tasks:,} tasks failed: {lifecycle.incomplete}")
    if not tasks:
        return Conclusion("none", "the run had no task")
    reason = f"{percent(failed, tasks)} failed tasks ({failed:,} of {tasks:,}), limit {number(limit)} %"
    fires = failed and 100 * failed >= Fraction(str(limit)) * tasks
    return Conclusion("firing" if fires else "good", reason, headline=f"had {reason}")


# ---- how long it took, and what it wrote -----------------------------------------------------------------------------------------------


def _overrun(facts: RunFacts, settings: TriggerSettings, trigger: Trigger) -> Conclusion:
    limit, seconds = trigger.limit_in(settings), (facts.ended_at - facts.started_at).total_seconds()
    if facts.query is not None:
        return Conclusion("none", "a streaming query has no end")
    if limit is None:
        return Conclusion("none", "there is no limit (spark.pd.limit.overrun is not set)")
    reason = f"took {duration(seconds)}, limit {duration(limit)}"
    if facts.reported_overrun is not None:
        return Conclusion("firing", f"{reason}; reported while it was running, {facts.reported_overrun}", reported=True)
    return Conclusion("firing" if seconds >= limit else "good", reason)


def _no_output(facts: RunFacts, settings: TriggerSettings, trigger: Trigger) -> Conclusion:
    if facts.status not in ("passed", "unknown"):
        return Conclusion("unknown", "the run did not complete, so it is not known what it would have written")
    return _unchecked_output(facts) if facts.stats is None else _checked_output(facts.stats, facts.unknown)


def _checked_output(stats: RunStats, unknown: str | None) -> Conclusion:
    if stats.input_count == 0:
        return Conclusion("none", "the input was empty")
    if stats.output_count is None:
        return Conclusion("unknown", unknown or "the counts are not known")
    if stats.output_count:
        return Conclusion("good", f"wrote {plural(stats.output_count, 'row')}")
    rows = "" if stats.input_count is None else f": none of the {stats.input_count:,} checked rows was kept"
    return Conclusion("firing", f"wrote nothing{rows}")


def _unchecked_output(facts: RunFacts) -> Conclusion:
    if facts.judged_elsewhere:
        return Conclusion("none", facts.unchecked)
    if facts.lifecycle is None:
        return Conclusion("none", f"the run checked nothing, and {facts.no_lifecycle}")
    done, incomplete = facts.lifecycle.activity, facts.lifecycle.incomplete
    if done.records_written:
        return Conclusion("good", f"wrote {plural(done.records_written, 'row')}")
    if incomplete is not None:
        return Conclusion("unknown", f"wrote nothing as far as is known: {incomplete}")
    if not done.records_read:
        return Conclusion("none", "the run read no rows, so it had none to write")
    return Conclusion("firing", f"wrote nothing: it read {plural(done.records_read, 'row')} and checked none")


_ANY: tuple[EventKind, ...] = ("job_failed", "stage_retried", "executor_lost")
JOB_FAILURE = Trigger(name="job_failure", judge=_job_failure, needs=("lifecycle",), limit=1, events=("job_failed",))
STAGE_RETRY = Trigger(name="stage_retry", judge=_events, needs=("lifecycle",), limit=1, events=("stage_retried",))
TASK_FAILURES = Trigger(name="task_failures", judge=_task_failures, needs=("lifecycle",), limit=10.0, events=_ANY)
EXECUTOR_LOST = Trigger(name="executor_lost", judge=_events, needs=("lifecycle",), limit=1, events=("executor_lost",))
OVERRUN = Trigger(name="overrun", judge=_overrun, events=_ANY)
NO_OUTPUT = Trigger(name="no_output", judge=_no_output, events=("job_failed",))


# ---- in the details of an alert --------------------------------------------------------------------------------------------------------


def lifecycle_details(kinds: Sequence[EventKind], lifecycle: Lifecycle | None, shown: Shown) -> dict[str, Any]:
    """What an alert that lists events of those kinds says: Spark's counters, and the events. Empty for an alert that lists none."""
    if lifecycle is None or not kinds:
        return {}
    return {
        "spark": asdict(lifecycle.activity) | ({"incomplete": lifecycle.incomplete} if lifecycle.incomplete else {}),
        "events": _listed([event for event in lifecycle.events if event.kind in kinds], shown),
        "unattributed_events": _listed([event for event in lifecycle.unattributed if event.kind in kinds], shown),
    }


def _listed(events: Sequence[LifecycleEvent], shown: Shown) -> list[dict[str, Any]] | None:
    """The first events. None where there are none."""
    listed = [_entry(event, shown) for event in events[:EVENTS_IN_DETAILS]]
    if len(events) > EVENTS_IN_DETAILS:
        listed.append({"event": f"and {len(events) - EVENTS_IN_DETAILS} more"})
    return listed or None


def _entry(event: LifecycleEvent, shown: Shown) -> dict[str, Any]:
    entry = {
        "event": event.kind,
        "at": event.at,
        "cause": cause_of(event.cause, shown),
        "job_id": event.job_id,
        "stage_id": event.stage_id,
        "attempt": event.attempt,
        "sql_execution_id": event.execution_id,
        "executor": event.executor,
        "job_group": event.job_group,
        "call_site": event.call_site,
    }
    return {name: value for name, value in entry.items() if value is not None}
