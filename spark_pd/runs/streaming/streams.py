"""The streams of one monitor: their checks, and the watches of their queries."""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_pd.delivery.notifier import Notifier
from spark_pd.model import Rule
from spark_pd.model.errors import UsageError
from spark_pd.runs.run_plan import RunPlan
from spark_pd.runs.session_context import SessionContext
from spark_pd.runs.streaming.query_listener import listener_of_session
from spark_pd.runs.streaming.query_watch import Watch
from spark_pd.runs.streaming.window_files import WindowFiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_pd.runs.streaming.stream_check import StreamCheck

_log = logging.getLogger("spark_pd.streaming")

FOLDER = "streams"
MOST = 100
"""Checks that are kept: a job may restart its queries in a loop, with a check each time."""


class Streams:
    """Checks streams and watches queries, for one monitor. Making it does not call Spark, and does no I/O."""

    def __init__(self, spark: Any, context: SessionContext, notifier: Notifier, *, outbox: Path | None, place: Callable[[], str]) -> None:
        self._spark = spark
        self._context = context
        self._notifier = notifier
        self._windows = WindowFiles(None if outbox is None else outbox / FOLDER, place)
        self._lock = threading.Lock()
        self._checks: deque[StreamCheck] = deque(maxlen=MOST)
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()

    def check(self, df: Any, rules: Sequence[Rule], run: RunPlan) -> StreamCheck:
        """Check a streaming DataFrame. Raises as `check_stream` does."""
        from spark_pd.runs.streaming.stream_check import check_stream

        check = check_stream(df, rules, run)
        with self._lock:
            self._checks.append(check)
        return check

    def watch(self, query: Any) -> Watch:
        """Watch a query from its start on, whether it is of a checked stream or not. A query that is watched already keeps its Watch.

        Raises UsageError for what is no query.
        """
        if not all(hasattr(query, name) for name in ("runId", "isActive", "recentProgress")):
            raise UsageError(f"monitor.watch takes the StreamingQuery that start() or toTable() gave, not {type(query).__name__}")
        for watch in list(self._watches):
            if watch.run_id == str(query.runId) and not watch.is_over:
                return watch
        plan = _plan_text(query)
        with self._lock:
            # A query without a plan (over Connect) belongs to the only check that is not watched yet, if to any.
            unwatched = [check for check in self._checks if not check.watched]
            shown = [check for check in self._checks if check.name in plan] if plan else unwatched[-1:] if len(unwatched) == 1 else []
        if len(shown) > 1:
            raise UsageError("monitor.watch was given a query of two checked streams: check what they are joined to instead, once")
        check = next(iter(shown), None)
        session = self._spark if check is None else check.df.sparkSession
        watch = Watch(query, self._context, spark=session, notifier=self._notifier, windows=self._windows, check=check, find=self._find)
        self._watches.add(watch)
        watch.begin(listener_of_session(session))
        return watch

    def _find(self, observed: Collection[str]) -> StreamCheck | None:
        """The check whose counts are among what was observed."""
        with self._lock:
            return next((check for check in self._checks if check.name in observed), None)

    def close(self) -> None:
        """Stop all watches."""
        for watch in list(self._watches):
            watch.stop()


def _plan_text(query: Any) -> str:
    """The query's plan as text, to look for a check's name in; empty where it is not available."""
    jvm_query = getattr(query, "_jsq", None)
    try:
        return "" if jvm_query is None else str(jvm_query.streamingQuery().analyzedPlan().toString())
    except Exception:
        return ""
