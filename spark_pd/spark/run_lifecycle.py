"""What a monitor has of the Spark listener, and what one run hears from it. Never in the job's way: what fails here is a reason."""

from __future__ import annotations

import json
import logging
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from spark_pd.model.errors import UsageError
from spark_pd.model.lifecycle import Activity, Lifecycle, LifecycleEvent

if TYPE_CHECKING:
    from spark_pd.spark.listener import Listener

_log = logging.getLogger("spark_pd.lifecycle")

OFF = "the Spark listener is switched off (lifecycle=False)"
_said: weakref.WeakSet[Any] = weakref.WeakSet()
"""The contexts, or sessions of Connect, of which it was said that there is no listener."""


def listening_of(spark: Any, lifecycle: bool | Literal["auto"]) -> Listening:
    """What there is of the listener for a session: `auto` makes do without, True raises UsageError where it cannot be had."""
    if lifecycle is False:
        return Listening(why_not=OFF)
    from spark_pd.spark.listener import Unavailable, listener_of
    from spark_pd.spark.session import is_connect

    try:
        return Listening(listener_of(spark, _heard))
    except Unavailable as unavailable:
        why = str(unavailable)
    if lifecycle is True:
        raise UsageError(
            f"lifecycle=True asks for the Spark listener, which cannot be had here: {why}; with 'auto' the checks go on without"
        )
    owner = spark if is_connect(spark) else spark.sparkContext
    if owner not in _said:
        _said.add(owner)
        level = logging.INFO if is_connect(spark) else logging.WARNING
        _log.log(level, "no Spark listener in this session, so failed jobs, retried stages and lost executors are not seen: %s", why)
    return Listening(why_not=f"there is no Spark listener in this session: {why}")


def release_listeners() -> None:
    """Take this process's listener off its context, as soon as no run is open."""
    from spark_pd.spark.listener import release_listener

    release_listener()


@dataclass(frozen=True, slots=True)
class Listening:
    """The listener of a monitor's session, or why there is none."""

    listener: Listener | None = None
    why_not: str = ""

    def of_run(self, run_id: str) -> RunLifecycle:
        """What one run will hear."""
        return RunLifecycle(run_id, self)


@dataclass(slots=True)
class RunLifecycle:
    """One run's part of the listener: from `begin`, in the thread of its block, to `end`. Nothing of it raises."""

    run_id: str
    listening: Listening
    _thread: int | None = field(default=None, init=False)
    _before: str | None = field(default=None, init=False)
    _why_not: str = field(default="the run's block was not entered", init=False)

    def begin(self) -> None:
        """What this thread has Spark do from here on is the run's."""
        if self.listening.listener is None:
            self._why_not = self.listening.why_not
            return
        try:
            self._before = self.listening.listener.begin(self.run_id)
            self._thread = threading.get_ident()
        except Exception as error:
            self._why_not = f"the Spark listener did not take the begin of the run: {type(error).__name__}"
            _log.warning("%s", self._why_not)

    def found(self) -> tuple[Lifecycle | None, str]:
        """All that Spark did for the run so far; else None, and why."""
        if self.listening.listener is None or self._thread is None:
            return None, self._why_not
        try:
            text = self.listening.listener.snapshot(self.run_id)
            return (None, "the Spark listener does not know the run") if text is None else (lifecycle_of(json.loads(text)), "")
        except Exception as error:
            return None, f"the Spark listener did not answer: {type(error).__name__}"

    def end(self) -> None:
        """The block is over: its thread is whose it was before."""
        listener, thread, self._thread = self.listening.listener, self._thread, None
        if listener is None or thread is None:
            return
        with suppress(Exception):  # the context or the JVM is gone, and its properties with it
            listener.forget(self.run_id)
            if thread == threading.get_ident():  # a run that another thread ends left its property to a thread that is over
                listener.restore(self._before)


def lifecycle_of(snapshot: Mapping[str, Any]) -> Lifecycle:
    """What listener.java tells of a run, as a value."""
    return Lifecycle(
        activity=Activity(**snapshot["activity"]),
        events=tuple(event_of(event) for event in snapshot["events"]),
        unattributed=tuple(event_of(event) for event in snapshot["unattributed"]),
        incomplete="; ".join(snapshot["incomplete"]) or None,
    )


def event_of(snapshot: Mapping[str, Any]) -> LifecycleEvent:
    """One rare event that listener.java tells of, as a value."""
    return LifecycleEvent(**{**snapshot, "at": datetime.fromtimestamp(snapshot["at"] / 1000, timezone.utc)})


def _heard(text: str) -> None:
    event = event_of(json.loads(text))
    where = [f"{name} {value}" for name in ("job_id", "stage_id", "attempt", "executor") if (value := getattr(event, name)) is not None]
    _log.info("%s (%s) in %s", event.kind, ", ".join(where), "no run that is known" if event.run_id is None else f"run {event.run_id}")
