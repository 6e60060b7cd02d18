"""The streams of one monitor: what was checked of them, and who watches their queries."""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_pd.delivery.notifier import Notifier
from spark_pd.model import Rule, Subject
from spark_pd.model.errors import UsageError
from spark_pd.runs.streaming.query_end import planned
from spark_pd.runs.streaming.query_listener import hub_of
from spark_pd.runs.streaming.saved_windows import Windows
from spark_pd.runs.streaming.watch import StreamPlan, Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_pd.runs.streaming.stream_check import StreamCheck

_log = logging.getLogger("spark_pd.streaming")

FOLDER = "streams"
MOST = 100
"""Checked streams that are remembered: a job that restarts its queries in a loop checks without end."""


class Streams:
    """Checks streams and watches queries, for one monitor. Making it asks Spark for nothing and does no I/O."""

    def __init__(self, spark: Any, plan: StreamPlan, notifier: Notifier, *, outbox: Path | None, place: Callable[[], str]) -> None:
        self._spark = spark
        self._plan = plan
        self._notifier = notifier
        self._windows = Windows(None if outbox is None else outbox / FOLDER, place)
        self._lock = threading.Lock()
        self._checks: deque[StreamCheck] = deque(maxlen=MOST)
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()

    def check(self, df: Any, rules: Sequence[Rule], *, table: str, subject: Subject, rules_source: str) -> StreamCheck:
        """Check a streaming DataFrame. Raises as `check_stream` does."""
        from spark_pd.runs.streaming.stream_check import check_stream

        check = check_stream(df, rules, table=table, subject=subject, rules_source=rules_source)
        with self._lock:
            self._checks.append(check)
        return check

    def watch(self, query: Any) -> Watch:
        """Watch a query from its start on, whether it is of a checked stream or not. One that is watched has its Watch already.

        Raises UsageError for what is no query.
        """
        if not all(hasattr(query, name) for name in ("runId", "isActive", "recentProgress")):
            raise UsageError(f"monitor.watch takes the StreamingQuery that start() or toTable() gave, not {type(query).__name__}")
        for watch in list(self._watches):
            if watch.run_id == str(query.runId) and not watch.is_over:
                return watch
        plan = planned(query)
        with self._lock:
            # A query that shows no plan (over Connect) is of the only check that nobody watches yet, if anything.
            unwatched = [check for check in self._checks if not check.watched]
            shown = [check for check in self._checks if check.name in plan] if plan else unwatched[-1:] if len(unwatched) == 1 else []
        if len(shown) > 1:
            raise UsageError("monitor.watch was given a query of two checked streams: check what they are joined to instead, once")
        check = next(iter(shown), None)
        session = self._spark if check is None else check.df.sparkSession
        watch = Watch(query, self._plan, spark=session, notifier=self._notifier, windows=self._windows, check=check, find=self._find)
        self._watches.add(watch)
        watch.begin(hub_of(session))
        return watch

    def _find(self, observed: Collection[str]) -> StreamCheck | None:
        """The check whose counts are among what was observed."""
        with self._lock:
            return next((check for check in self._checks if check.name in observed), None)

    def close(self) -> None:
        """Watch nothing any more."""
        for watch in list(self._watches):
            watch.stop()
