"""The streaming listener: one for each session of this process, registered while one of its queries is watched.

Spark calls it from a thread of its own (py4j's, or over Connect the client's): it puts each event into a queue, and one daemon thread
handles them. Where Spark cannot call this process (Connect's client of PySpark 3.5 runs listeners on the server), that thread polls the
queries.
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

from spark_pd.runs.streaming.query_end import ApplicationEnd
from spark_pd.spark.session import is_connect

logger = logging.getLogger("spark_pd.streaming")

POLL = 1.0
"""Seconds between two polls of queries that no listener reports."""
LOOK = 30.0
"""Seconds between two looks at queries that a listener reports: Spark drops events when its queue is full."""


_Event: TypeAlias = tuple[str, str, Any]
"""What happened, the run id of the query, and the details."""


class QueryWatch(Protocol):
    """The watch of one query."""

    @property
    def run_id(self) -> str:
        """Of the query, another one at each start."""

    def progressed(self, progress: Any) -> None:
        """Spark reported the query's progress."""

    def terminated(self, failure: str | None) -> None:
        """The query ended, by that exception or by none."""

    def catch_up(self) -> None:
        """Read from the query what it has done so far."""

    def look(self) -> None:
        """Catch up if the query is over."""

    def settle(self) -> None:
        """Catch up, and wait for the deliveries."""


class SessionQueryListener:
    """The listener of one session, and the watches of its queries."""

    def __init__(self, spark: Any) -> None:
        self._spark = weakref.ref(spark)
        self._lock = threading.Lock()
        self._watches: dict[str, QueryWatch] = {}
        self._events: SimpleQueue[_Event | None] = SimpleQueue()
        self._listener: Any = None
        self._end: ApplicationEnd | None = None
        self._polls = False
        self._thread: threading.Thread | None = None

    def add(self, watch: QueryWatch) -> None:
        """Pass it the events of its query from now on."""
        with self._lock:
            self._watches[watch.run_id] = watch
            if self._thread is None:
                self._events = SimpleQueue()  # the last thread's queue may still hold events for that thread
                self._add_listener()
                self._thread = threading.Thread(target=self._work, args=(self._events,), name="spark_pd-streams", daemon=True)
                self._thread.start()

    def remove(self, watch: QueryWatch) -> None:
        """Pass it no more events. The last one removes the listener."""
        with self._lock:
            if self._watches.get(watch.run_id) is watch:
                del self._watches[watch.run_id]
            if not self._watches:
                self._thread = None
                self._events.put(None)
                self._remove_listener()

    def drain(self, seconds: float) -> None:
        """Wait until all events up to now are handled, so many seconds at most."""
        done = threading.Event()
        with self._lock:  # the thread still handles what is put before its end
            if self._thread is None or threading.current_thread() is self._thread:
                return
            self._events.put(("drained", "", done))
        done.wait(seconds)

    def settle_all(self) -> None:
        """Bring all watches up to date, before the interpreter ends."""
        for watch in list(self._watches.values()):
            with suppress(Exception):
                watch.settle()

    def _add_listener(self) -> None:
        spark = self._spark()
        try:
            if is_connect(spark) and _client_takes_no_listeners():
                raise RuntimeError("Connect's client of PySpark 3.5 runs listeners on the server")
            self._end = ApplicationEnd(spark)
            listener = _listener_class()(self._events, self._end.came)
            spark.streams.addListener(listener)  # type: ignore[union-attr]
            self._listener = listener
        except Exception as error:
            self._polls = True
            logger.info("no streaming listener in this session (%s): its queries are polled every %g s", type(error).__name__, POLL)

    def _remove_listener(self) -> None:
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
        kind, run_id, details = event
        if kind == "drained":
            details.set()
        owner = self._watches.get(run_id)
        if owner is not None and kind == "progress":
            owner.progressed(details)
        elif owner is not None:
            owner.terminated(details)


def _debug() -> bool:
    return logger.isEnabledFor(logging.DEBUG)


def _client_takes_no_listeners() -> bool:
    import pyspark

    return pyspark.__version__.startswith("3.")


def _listener_class() -> Any:
    from pyspark.sql.streaming.listener import StreamingQueryListener

    class EventForwarder(StreamingQueryListener):
        """Only forwards events: Spark's own queue waits for it."""

        def __init__(self, events: SimpleQueue[_Event | None], over: Callable[[], bool]) -> None:
            self._spark_pd_events = events
            self._spark_pd_over = over

        def onQueryStarted(self, event: Any) -> None:
            """Nothing: the query's start waits for it."""

        def onQueryProgress(self, event: Any) -> None:
            """A batch completed, or there was nothing to do."""
            self._spark_pd_events.put(("progress", str(event.progress.runId), event.progress))

        def onQueryIdle(self, event: Any) -> None:
            """There is nothing to do."""

        def onQueryTerminated(self, event: Any) -> None:
            """The query ended. An exception that comes from the end of the session is not a failure, which has to be known now."""
            failure = None if event.exception is None or self._spark_pd_over() else str(event.exception)
            self._spark_pd_events.put(("terminated", str(event.runId), failure))

    return EventForwarder


class _SessionListeners:
    """The listeners of this process, by session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_session: weakref.WeakKeyDictionary[Any, SessionQueryListener] = weakref.WeakKeyDictionary()
        self._process: int | None = None

    def of(self, spark: Any) -> SessionQueryListener:
        """The session's listener."""
        with self._lock:
            if self._process is None:
                self._process = os.getpid()
                with suppress(RuntimeError):  # the interpreter ends already
                    atexit.register(self._at_exit)
            return self._by_session.setdefault(spark, SessionQueryListener(spark))

    def _at_exit(self) -> None:
        """The exception of a query that ends the job is often its last event."""
        if self._process == os.getpid():
            for listener in list(self._by_session.values()):
                listener.settle_all()


_session_listeners = _SessionListeners()
listener_of_session = _session_listeners.of
