"""The triggers about what Spark did during a run: what each concludes of the facts that it is given, and why. Pure.

What happened and is nobody's for sure may have been the run's: where that would decide, nothing is decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from spark_pd.alerting.root_cause import Shown, cause_of
from spark_pd.alerting.thresholds import number, percent
from spark_pd.model import Outcome, RunStats, RunStatus
from spark_pd.model.lifecycle import EventKind, Lifecycle, LifecycleEvent

JOB_FAILURE, STAGE_RETRY, EXECUTOR_LOST = "job_failure", "stage_retry", "executor_lost"
TASK_FAILURES, OVERRUN, NO_OUTPUT = "task_failures", "overrun", "no_output"
LIMITS: Mapping[str, float | None] = MappingProxyType(
    {JOB_FAILURE: 1, STAGE_RETRY: 1, TASK_FAILURES: 10.0, EXECUTOR_LOST: 1, OVERRUN: None}
)
"""From which number on they fire, where nothing else is said."""
KINDS: Mapping[str, EventKind] = MappingProxyType({JOB_FAILURE: "job_failed", STAGE_RETRY: "stage_retried", EXECUTOR_LOST: "executor_lost"})
"""The events that a trigger counts."""
EVENTS_IN_SUMMARY = 3
_NOUNS: Mapping[EventKind, tuple[str, str]] = MappingProxyType(
    {
        "job_failed": ("failed Spark job that the run got over", "failed Spark jobs that the run got over"),
        "stage_retried": ("retry of a stage", "retries of stages"),
        "executor_lost": ("lost executor", "lost executors"),
    }
)

Conclusion = tuple[Outcome, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What these triggers are given of a run."""

    status: RunStatus
    lifecycle: Lifecycle | None
    no_lifecycle: str
    """Why there is none, where there is none."""
    stats: RunStats | None = None
    unknown: str | None = None
    """Why the counts are unknown."""
    stream: str | None = None
    """Of a run that only starts a stream: who judges its batches. None where it is none."""
    endless: bool = False
    """Whether the facts are of a streaming query's last batches: it has no end to be late for."""
    seconds: float = 0.0
    """From its start to its end."""
    reported_overrun: str | None = None
    """When it was said of it, while it ran, that it takes too long, and what became of that. None where nothing was."""
    reported_failure: bool = True
    """Whether an error of the run is told anyway, by the trigger failure."""
    shown: Shown = "scrubbed"


def judge_lifecycle(trigger: str, seen: Seen, limit: float | None) -> Conclusion:
    """What the trigger concludes."""
    if trigger == OVERRUN:
        return _overrun(seen, limit)
    if trigger == NO_OUTPUT:
        return _no_output(seen)
    if seen.lifecycle is None:
        return "none", seen.no_lifecycle
    if trigger == TASK_FAILURES:
        return _task_failures(seen.lifecycle, limit or 0.0)
    if trigger == JOB_FAILURE and seen.lifecycle.incomplete is None:
        if seen.status == "cancelled":
            return "none", "the run was cancelled, and its Spark jobs with it"
        if seen.status == "errored" and seen.reported_failure:
            return "none", "the run errored itself, which the trigger failure tells"
    return _events(KINDS[trigger], seen.lifecycle, limit or 1, seen.shown)


# ---- what is counted -----------------------------------------------------------------------------------------------------------------


def _events(kind: EventKind, lifecycle: Lifecycle, limit: float, shown: Shown) -> Conclusion:
    own, others = lifecycle.of(kind), _unattributed(kind, lifecycle)
    reason = _counted(kind, own, shown)
    if own and limit > 1:
        reason = f"{reason}, limit {limit:g}"
    if others:
        reason = f"{reason}; {len(others)} more in the application, and it is not known whose"
    if len(own) >= limit:
        return "firing", reason
    if lifecycle.incomplete is not None:
        return "unknown", f"{reason}, and there may have been more: {lifecycle.incomplete}"
    if len(own) + len(others) >= limit:
        return "unknown", reason
    return "good", reason


def _unattributed(kind: EventKind, lifecycle: Lifecycle) -> tuple[LifecycleEvent, ...]:
    return tuple(event for event in lifecycle.unattributed if event.kind == kind)


def _counted(kind: EventKind, events: Sequence[LifecycleEvent], shown: Shown) -> str:
    one, several = _NOUNS[kind]
    if not events:
        return f"no {one}"
    # A reason is kept in the stats table too, where no whole message belongs.
    brief: Shown = "class" if shown == "class" else "scrubbed"
    told = "; ".join(_named(event, brief) for event in events[:EVENTS_IN_SUMMARY])
    more = len(events) - EVENTS_IN_SUMMARY
    return f"{len(events):,} {one if len(events) == 1 else several}: {told}{f'; and {more:,} more' if more > 0 else ''}"


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


def _task_failures(lifecycle: Lifecycle, limit: float) -> Conclusion:
    failed, tasks = lifecycle.activity.failed_tasks, lifecycle.activity.tasks
    if lifecycle.incomplete is not None:
        return "unknown", f"{failed:,} of {tasks:,} tasks failed as far as is known: {lifecycle.incomplete}"
    if not tasks:
        return "none", "the run had no task"
    reason = f"{percent(failed, tasks)} failed tasks ({failed:,} of {tasks:,}), limit {number(limit)} %"
    return "firing" if failed and 100 * failed >= Fraction(str(limit)) * tasks else "good", reason


# ---- how long, and what came of it -----------------------------------------------------------------------------------------------------


def _overrun(seen: Seen, limit: float | None) -> Conclusion:
    if seen.endless:
        return "none", "a streaming query has no end"
    if limit is None:
        return "none", "there is no limit (spark.pd.limit.overrun is not set)"
    reason = f"took {duration(seen.seconds)}, limit {duration(limit)}"
    if seen.reported_overrun is not None:
        return "firing", f"{reason}; found while it ran, {seen.reported_overrun}"
    return "firing" if seen.seconds >= limit else "good", reason


def duration(seconds: float) -> str:
    """Such as `0.4 s`, `59 s`, `10 min`, `1 h 40 min`, `2 d 1 h`: no more than two units, the rest cut off."""
    if seconds < 10 and seconds != int(seconds):
        return f"{int(seconds * 10) / 10:g} s"
    parts: list[str] = []
    rest = int(seconds)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part) or "0 s"


def _no_output(seen: Seen) -> Conclusion:
    if seen.status not in ("passed", "unknown"):
        return "unknown", "the run did not come to its end, so what it left out says nothing"
    return _unchecked_output(seen) if seen.stats is None else _checked_output(seen.stats, seen.unknown)


def _checked_output(stats: RunStats, unknown: str | None) -> Conclusion:
    if stats.input_count == 0:
        return "none", "the input was empty"
    if stats.output_count is None:
        return "unknown", unknown or "the counts are not known"
    if stats.output_count:
        return "good", f"wrote {stats.output_count:,} row{'' if stats.output_count == 1 else 's'}"
    rows = "" if stats.input_count is None else f": none of the {stats.input_count:,} rows that it checked was kept"
    return "firing", f"wrote nothing{rows}"


def _unchecked_output(seen: Seen) -> Conclusion:
    if seen.stream is not None:
        return "none", seen.stream
    if seen.lifecycle is None:
        return "none", f"the run checked nothing, and {seen.no_lifecycle}"
    done, incomplete = seen.lifecycle.activity, seen.lifecycle.incomplete
    if done.records_written:
        return "good", f"wrote {done.records_written:,} row{'' if done.records_written == 1 else 's'}"
    if incomplete is not None:
        return "unknown", f"wrote nothing as far as is known: {incomplete}"
    if not done.records_read:
        return "none", "the run read nothing, and so had nothing to write"
    return "firing", f"wrote nothing: it read {done.records_read:,} row{'' if done.records_read == 1 else 's'}, and checked none"
