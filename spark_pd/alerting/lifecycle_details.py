"""What an incident says of what Spark did during a run. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from spark_pd.alerting.lifecycle_triggers import EXECUTOR_LOST, JOB_FAILURE, KINDS, NO_OUTPUT, OVERRUN, STAGE_RETRY, TASK_FAILURES
from spark_pd.alerting.root_cause import Shown, cause_of
from spark_pd.model.lifecycle import EventKind, Lifecycle, LifecycleEvent

EVENTS_IN_DETAILS = 20
HAD = frozenset({JOB_FAILURE, STAGE_RETRY, EXECUTOR_LOST, TASK_FAILURES})
"""Triggers whose reasons are what the run had."""
ABOUT: Mapping[str, tuple[EventKind, ...]] = MappingProxyType(
    {
        **{trigger: (kind,) for trigger, kind in KINDS.items()},
        TASK_FAILURES: ("job_failed", "stage_retried", "executor_lost"),
        OVERRUN: ("job_failed", "stage_retried", "executor_lost"),
        NO_OUTPUT: ("job_failed",),
        "failure": ("job_failed", "executor_lost"),
    }
)
"""The events that an incident shows, by trigger: what it counts, or what may have led to it."""


def headline(trigger: str, reason: str) -> str:
    """What comes behind the table's name in a summary."""
    return f"had {reason}" if trigger in HAD else reason


def lifecycle_details(trigger: str, lifecycle: Lifecycle | None, shown: Shown) -> dict[str, Any]:
    """What an incident of that trigger says of it: counts, and events that it is about. Empty for others."""
    if lifecycle is None or trigger not in ABOUT:
        return {}
    kinds = ABOUT[trigger]
    own = [event for event in lifecycle.events if event.kind in kinds]
    others = [event for event in lifecycle.unattributed if event.kind in kinds]
    return {
        "spark": asdict(lifecycle.activity) | ({"incomplete": lifecycle.incomplete} if lifecycle.incomplete else {}),
        "events": _listed(own, shown),
        "unattributed_events": _listed(others, shown),
    }


def _listed(events: Sequence[LifecycleEvent], shown: Shown) -> list[dict[str, Any]] | None:
    """The first of them; None where there are none."""
    listed = [_told(event, shown) for event in events[:EVENTS_IN_DETAILS]]
    if len(events) > EVENTS_IN_DETAILS:
        listed.append({"event": f"and {len(events) - EVENTS_IN_DETAILS} more"})
    return listed or None


def _told(event: LifecycleEvent, shown: Shown) -> dict[str, Any]:
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
