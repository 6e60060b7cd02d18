"""A clock for open runs: it reports a run that takes too long while it is running. One daemon thread for all runs of this process."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

logger = logging.getLogger("spark_pd.lifecycle")

PATIENCE = 2.0
"""Seconds that a run's end waits for a report in progress. The report may read the incident state; another thread sends."""


class Overrun:
    """One run's time limit. `report` is called at most once, in the clock's thread, and never after `end` has returned.

    Its argument is a function that it calls right before it reports: where that returns False, the run has ended meanwhile, and nothing is
    reported. It returns what it reported.
    """

    def __init__(self, limit: float | None, report: Callable[[Callable[[], bool]], str | None]) -> None:
        self.limit = limit
        """Seconds; None: there is no limit."""
        self._report = report
        self._lock = threading.Lock()  # locked while it is reported
        self._watched = self._over = False
        self._reported: str | None = None

    def begin(self, elapsed: float) -> None:
        """Start the clock; the run has taken `elapsed` seconds already. Never raises."""
        if self.limit is not None and not self._over:
            self._watched = True
            _clock.watch(self, time.monotonic() + max(0.0, self.limit - elapsed))

    def end(self) -> str | None:
        """The run has ended. Returns what was reported; None where nothing was.

        It does not wait long for a report in progress: what the run's end reports is about the same incident.
        """
        if self.limit is None:
            return None
        if self._watched:
            _clock.forget(self)
        locked = self._lock.acquire(timeout=PATIENCE)
        self._over = True
        if locked:
            self._lock.release()
        return self._reported

    def ring(self) -> None:
        """The limit is reached."""
        self._watched = False
        with self._lock:
            if self._over:
                return
            try:
                self._reported = self._report(lambda: not self._over)
            except Exception as error:
                logger.warning("a run takes longer than %g s, and that could not be reported: %s", self.limit, type(error).__name__)


class Clock:
    """Calls `ring` of what it watches. Its thread runs only while there is something to watch."""

    def __init__(self) -> None:
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin)  # a forked child owns none of its parent's runs

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        # put never waits, also where a signal handler interrupts another put.
        self._orders: SimpleQueue[tuple[Overrun, float | None]] = SimpleQueue()

    def watch(self, one: Overrun, due: float) -> None:
        """Call its `ring` at that time, of time.monotonic's clock."""
        self._orders.put((one, due))
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, args=(self._orders,), name="spark_pd-overruns", daemon=True)
                with suppress(RuntimeError):  # the interpreter ends, and gives no more threads
                    self._thread.start()

    def forget(self, one: Overrun) -> None:
        """Do not call its `ring` any more. It takes no lock: a signal handler may have interrupted the owner of the lock."""
        self._orders.put((one, None))

    def _run(self, orders: SimpleQueue[tuple[Overrun, float | None]]) -> None:
        due: dict[Overrun, float] = {}
        while True:
            wait = min(due.values()) - time.monotonic() if due else 0.0
            try:
                one, at = orders.get(timeout=wait) if wait > 0 else orders.get_nowait()
            except Empty:
                for one in [each for each, at in due.items() if at <= time.monotonic()]:
                    del due[one]
                    one.ring()
                with self._lock:
                    if not due and orders.empty():
                        self._thread = None
                        return
                continue
            if at is None:
                due.pop(one, None)
            else:
                due[one] = at


_clock = Clock()
