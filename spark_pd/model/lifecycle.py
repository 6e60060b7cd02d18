"""What the Spark listener tells of a run: counters, and the rare events. Frozen, and no more than values; knows no Spark."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

EventKind = Literal["job_failed", "stage_retried", "executor_lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleEvent:
    """A fact from Spark. `run_id` is the run whose work it was; None where that cannot be said, and then it is nobody's."""

    kind: EventKind
    at: datetime
    run_id: str | None = None
    cause: str | None = None
    """Spark's own words on why, as it gave them: scrub them before they leave the cluster."""
    job_id: int | None = None
    stage_id: int | None = None
    attempt: int | None = None
    """The stage's attempt that began, from 1 on for the first retry."""
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
    """That ended, however they did."""
    failed_tasks: int = 0
    """That ended badly, without those that Spark killed or did not let commit since another attempt was first."""
    retried_stages: int = 0
    """Attempts of stages but their first."""
    records_read: int = 0
    """By tasks that ended well, as the source tells Spark; what is read of a shuffle or a cache is not in it."""
    bytes_read: int = 0
    records_written: int = 0
    """By tasks that ended well, as the sink tells Spark. A sink that tells nothing, such as `noop`, leaves it 0."""
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
    """Those of the run itself, in order."""
    unattributed: tuple[LifecycleEvent, ...] = ()
    """What happened in the application meanwhile and is nobody's for sure."""
    incomplete: str | None = None
    """Why there may have been more; None where the listener has seen all."""

    def of(self, kind: EventKind) -> tuple[LifecycleEvent, ...]:
        """The run's own events of a kind."""
        return tuple(event for event in self.events if event.kind == kind)


def unseen(why: str) -> Lifecycle:
    """Of a run of which nobody could be asked, for that reason."""
    return Lifecycle(activity=Activity(), incomplete=why)
