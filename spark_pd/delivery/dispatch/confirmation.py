"""After an alert was accepted: its channel is asked what became of it, behind everybody's back."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

from spark_pd.delivery.dispatch.submission import Task
from spark_pd.model import ConfirmingChannel

logger = logging.getLogger("spark_pd.dispatch")

PATIENCE = 20.0  # seconds for one alert
MOST = 100  # alerts that wait; in a storm the first ones tell enough


class Confirmer:
    """Asks about one alert after the other, in a daemon thread that is there only while there is something to ask.

    It belongs to the process that made it: after a fork, the child makes its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Task] = deque()
        self._thread: threading.Thread | None = None
        self._told: set[str] = set()

    def take(self, task: Task) -> None:
        """Ask about it when those before it are done, where its channel can be asked."""
        if not (isinstance(task.channel, ConfirmingChannel) and task.channel.confirms):
            return
        if task.alert.state != "firing" or task.alert.change:
            return
        with self._lock:
            if len(self._waiting) >= MOST:
                return
            self._waiting.append(task)
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._work, name="spark_pd-confirm", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter ends, and nobody would read the answer
                self._thread = None

    def join(self, until: float) -> None:
        """Wait for what is being asked, until `until` (time.monotonic's clock) at the longest."""
        thread = self._thread
        if thread is not None:
            thread.join(max(0.0, until - time.monotonic()))

    def _next(self) -> Task | None:
        with self._lock:
            if not self._waiting:
                self._thread = None
                return None
            return self._waiting.popleft()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            assert isinstance(task.channel, ConfirmingChannel)
            try:
                found = task.channel.confirm(task.alert, until=time.monotonic() + PATIENCE)
            except Exception as error:  # its message may hold a token
                found = f"what became of it is not known: {type(error).__qualname__}"
            if found is not None:
                task.amend(found)
                self._tell(task, found)

    def _tell(self, task: Task, found: str) -> None:
        """One warning for each finding: a disabled service is not told of once for each alert."""
        level = logging.DEBUG if found in self._told else logging.WARNING
        self._told.add(found)
        logger.log(level, "%s on %s was accepted, but %s [%s]", task.alert.trigger, task.channel_name, found, task.alert.dedup_key)
