"""The Spark listener of a context (listener.java), and the thread that hears the rare events from it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from py4j.clientserver import ClientServer
from pyspark.sql import SparkSession

from spark_pd.spark import java
from spark_pd.spark.attached import DRAIN_MILLIS, Attached
from spark_pd.spark.session import is_connect

_log = logging.getLogger("spark_pd.spark")

TAKE_MILLIS = 1_000
"""How long the thread waits in the JVM for the next event. Where Python ends meanwhile, the JVM notices no later than that."""


class Unavailable(Exception):
    """There is no listener in this session; the text says why."""


class Listener:
    """The listener of one SparkContext. It raises what py4j does."""

    def __init__(self, spark: SparkSession, heard: Callable[[str], None]) -> None:
        """Compile and attach it. `heard` is called with each rare event, as JSON, in a thread of the listener's own."""
        context: Any = spark.sparkContext
        self._process = os.getpid()
        self._java: Any = java.construct(
            spark, java.load_class(spark, "spark_pd.spark", "listener.java", "spark_pd.Listener"), context._jsc.sc()
        )
        # A daemon that is blocked in the JVM: nothing waits for it, and it holds no lock and no connection but its own.
        threading.Thread(target=_hear, args=(self._java, heard), name="spark_pd-listener", daemon=True).start()

    def begin(self, run_id: str) -> str | None:
        """What this thread starts from here on is the run's. Returns whose it was before, for `restore`."""
        before: str | None = self._java.begin(run_id)
        return before

    def restore(self, before: str | None) -> None:
        """Give this thread back to whom it belonged before."""
        self._java.restore(before)

    def forget(self, run_id: str) -> None:
        """The run is over: what is left of it is reported to nobody."""
        self._java.forget(run_id)

    def snapshot(self, run_id: str) -> str | None:
        """All that is known of a run, as JSON; None where it is not open. Waits for events that are under way, at most DRAIN_MILLIS."""
        snapshot: str | None = self._java.snapshot(run_id, DRAIN_MILLIS)
        return snapshot

    def remove(self) -> None:
        """Take the listener off its context, as soon as no run is open. A forked child's copy is not the listener."""
        if os.getpid() == self._process:
            self._java.retire()


def _hear(listener: Any, heard: Callable[[str], None]) -> None:
    """Hand on what happens, until nothing more will: the listener was removed, or the context or the JVM has ended."""
    while True:
        try:
            event = listener.take(TAKE_MILLIS)
        except Exception:
            return
        if event == "":
            return
        if event is not None:
            try:
                heard(event)
            except Exception as error:
                _log.warning("an event of Spark could not be reported: %s", type(error).__name__)


def listener_of(spark: Any, heard: Callable[[str], None]) -> Listener:
    """The listener of the session's context, attached where it is not yet. Raises Unavailable; what failed is not tried again."""
    if is_connect(spark):
        raise Unavailable("Spark Connect does not let its client listen to the JVM")
    context = spark.sparkContext
    if not isinstance(context._gateway, ClientServer):
        raise Unavailable(
            "PYSPARK_PIN_THREAD=false gives a Python thread no thread of the JVM, so it cannot be known which run a job belongs to"
        )

    def attach() -> Listener | str:
        """The listener, or why there is none."""
        try:
            return Listener(spark, heard)
        except Exception as error:
            return _why(error)

    found = _attached.get(context, attach)
    if isinstance(found, str):
        raise Unavailable(found)
    return found


def _remove(found: Listener | str) -> None:
    if isinstance(found, Listener):
        found.remove()


def _why(error: Exception) -> str:
    thrown = getattr(error, "java_exception", None)  # py4j's own text only says which call it was
    lines = str(error if thrown is None else thrown).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


_attached = Attached(_remove)
release_listener = _attached.release
