"""What the Spark listener reports of a run: counters, and events. Frozen values; knows no Spark."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

EventKind = Literal["job_failed", "stage_retried", "executor_lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleEvent:
    """A fact from Spark. `run_id` is the run whose work it was; None where it cannot be attributed to a run."""

    kind: EventKind
    at: datetime
    run_id: str | None = None
    cause: str | None = None
    """Spark's own message, as it was: scrub it before it leaves the cluster."""
    job_id: int | None = None
    stage_id: int | None = None
    attempt: int | None = None
    """The stage's attempt that began; 1 is the first retry."""
    execution_id: int | None = None
    """Of the SQL execution."""
    executor: str | None = None
    job_group: str | None = None
    """The user's own."""
    call_site: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What was counted of the tasks of a run: bytes, rows, milliseconds."""

    jobs: int = 0
    tasks: int = 0
    """Tasks that ended, well or badly."""
    failed_tasks: int = 0
    """Tasks that ended badly, without those that Spark killed or denied a commit because another attempt was first."""
    retried_stages: int = 0
    """Attempts of stages, without the first of each."""
    records_read: int = 0
    """By tasks that ended well, as the source reports it to Spark, without reads from shuffles and caches."""
    bytes_read: int = 0
    records_written: int = 0
    """By tasks that ended well, as the sink reports it to Spark. It stays 0 for a sink that reports nothing, such as `noop`."""
    bytes_written: int = 0
    spilled_bytes: int = 0
    """To disk."""
    gc_ms: int = 0
    executors_added: int = 0
    """To the whole application, while the run was open."""
    executors_removed: int = 0
    """From the whole application, while the run was open, for whatever reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """All that the listener knows of a run."""

    activity: Activity
    events: tuple[LifecycleEvent, ...] = ()
    """The run's own events, in order."""
    unattributed: tuple[LifecycleEvent, ...] = ()
    """Events of the application meanwhile that cannot be attributed to a run."""
    incomplete: str | None = None
    """Why there may have been more; None where the listener has seen all."""

    def of(self, kind: EventKind) -> tuple[LifecycleEvent, ...]:
        """The run's own events of a kind."""
        return tuple(event for event in self.events if event.kind == kind)


def unseen(why: str) -> Lifecycle:
    """What is known of a run where the listener could not be asked, for that reason."""
    return Lifecycle(activity=Activity(), incomplete=why)
