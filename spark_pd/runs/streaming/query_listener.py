"""The streaming listener: one for each session of this process, there as long as one of its queries is watched.

Spark calls it from a thread of its own (py4j's, or over Connect the client's): it puts what it was told into a queue, and one daemon
thread does the rest. Where Spark cannot call us (Connect's client of PySpark 3.5 runs listeners on the server), that thread asks the
queries themselves.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeAlias

from spark_pd.runs.streaming.application_end import ApplicationEnd
from spark_pd.spark.session import is_connect

logger = logging.getLogger("spark_pd.streaming")

POLL = 1.0
"""Seconds between two looks at queries that do not tell of themselves."""
LOOK = 30.0
"""Seconds between two looks at queries that do: of what Spark's own queue had no room for, and of queries of another session."""


_Event: TypeAlias = tuple[str, str, Any]
"""What happened, to which run of a query, and what was told of it."""


class Watched(Protocol):
    """Who watches a query."""

    @property
    def run_id(self) -> str:
        """Of the query, another one at each start."""

    def progressed(self, progress: Any) -> None:
        """The query told of its progress."""

    def terminated(self, failure: str | None) -> None:
        """The query ended, by that exception or by none."""

    def catch_up(self) -> None:
        """Ask the query what it has done so far."""

    def look(self) -> None:
        """Catch up if the query is over."""

    def settle(self) -> None:
        """Catch up, and wait for what is told."""


class Hub:
    """The listener of one session, and those who watch its queries."""

    def __init__(self, spark: Any) -> None:
        self._spark = weakref.ref(spark)
        self._lock = threading.Lock()
        self._watches: dict[str, Watched] = {}
        self._events: SimpleQueue[_Event | None] = SimpleQueue()
        self._listener: Any = None
        self._end: ApplicationEnd | None = None
        self._polls = False
        self._thread: threading.Thread | None = None

    def add(self, watch: Watched) -> None:
        """Tell it of its query from now on."""
        with self._lock:
            self._watches[watch.run_id] = watch
            if self._thread is None:
                self._events = SimpleQueue()  # the last thread's may hold what was meant for it
                self._listen()
                self._thread = threading.Thread(target=self._work, args=(self._events,), name="spark_pd-streams", daemon=True)
                self._thread.start()

    def remove(self, watch: Watched) -> None:
        """Tell it nothing any more. With the last one the listener goes."""
        with self._lock:
            if self._watches.get(watch.run_id) is watch:
                del self._watches[watch.run_id]
            if not self._watches:
                self._thread = None
                self._events.put(None)
                self._deafen()

    def drain(self, seconds: float) -> None:
        """Wait until all that was told is judged, so many seconds at most."""
        done = threading.Event()
        with self._lock:  # what is put before the thread is told to end, it still does
            if self._thread is None or threading.current_thread() is self._thread:
                return
            self._events.put(("drained", "", done))
        done.wait(seconds)

    def settle(self) -> None:
        """Have all that is watched told, before the interpreter ends."""
        for watch in list(self._watches.values()):
            with suppress(Exception):
                watch.settle()

    def _listen(self) -> None:
        spark = self._spark()
        try:
            if is_connect(spark) and _client_cannot_hear():
                raise RuntimeError("Connect's client of PySpark 3.5 runs listeners on the server")
            self._end = ApplicationEnd(spark)
            listener = _listener_class()(self._events, self._end.came)
            spark.streams.addListener(listener)  # type: ignore[union-attr]
            self._listener = listener
        except Exception as error:
            self._polls = True
            logger.info("no streaming listener in this session (%s): its queries are asked every %g s", type(error).__name__, POLL)

    def _deafen(self) -> None:
        listener, self._listener, self._polls = self._listener, None, False
        end, self._end = self._end, None
        if end is not None:
            end.remove()
        spark = self._spark()
        if listener is not None and spark is not None:
            with suppress(Exception):  # the session may be gone
                spark.streams.removeListener(listener)

    def _work(self, events: SimpleQueue[_Event | None]) -> None:
        while True:
            try:
                event = events.get(timeout=POLL if self._polls else LOOK)
            except Empty:
                event = None
            if event is None and threading.current_thread() is not self._thread:
                return
            try:
                self._handle(event)
            except Exception as error:
                logger.warning("a streaming query's progress could not be judged: %s", type(error).__name__, exc_info=_debug())

    def _handle(self, event: _Event | None) -> None:
        if event is None:
            for watch in list(self._watches.values()):
                (watch.catch_up if self._polls else watch.look)()
            return
        kind, run_id, told = event
        if kind == "drained":
            told.set()
        watched = self._watches.get(run_id)
        if watched is not None and kind == "progress":
            watched.progressed(told)
        elif watched is not None:
            watched.terminated(told)


def _debug() -> bool:
    return logger.isEnabledFor(logging.DEBUG)


def _client_cannot_hear() -> bool:
    import pyspark

    return pyspark.__version__.startswith("3.")


def _listener_class() -> Any:
    from pyspark.sql.streaming.listener import StreamingQueryListener

    class Listener(StreamingQueryListener):
        """Does as little as it can: Spark's own queue waits for it."""

        def __init__(self, events: SimpleQueue[_Event | None], over: Callable[[], bool]) -> None:
            self._spark_pd_events = events
            self._spark_pd_over = over

        def onQueryStarted(self, event: Any) -> None:
            """Spark waits for this one with the query's start."""

        def onQueryProgress(self, event: Any) -> None:
            """A batch completed, or there was nothing to do."""
            self._spark_pd_events.put(("progress", str(event.progress.runId), event.progress))

        def onQueryIdle(self, event: Any) -> None:
            """There is nothing to do."""

        def onQueryTerminated(self, event: Any) -> None:
            """The query ended. Asked at once: a session that is stopped ends its queries by exceptions that nobody has to hear of."""
            failure = None if event.exception is None or self._spark_pd_over() else str(event.exception)
            self._spark_pd_events.put(("terminated", str(event.runId), failure))

    return Listener


class _Hubs:
    """The hubs of this process, by session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hubs: weakref.WeakKeyDictionary[Any, Hub] = weakref.WeakKeyDictionary()
        self._process: int | None = None

    def of(self, spark: Any) -> Hub:
        """The session's hub."""
        with self._lock:
            if self._process is None:
                self._process = os.getpid()
                with suppress(RuntimeError):  # the interpreter ends already
                    atexit.register(self._leave)
            return self._hubs.setdefault(spark, Hub(spark))

    def _leave(self) -> None:
        """A query's exception that ends the job is often the last thing that happens in it."""
        if self._process == os.getpid():
            for hub in list(self._hubs.values()):
                hub.settle()


_hubs = _Hubs()
hub_of = _hubs.of
