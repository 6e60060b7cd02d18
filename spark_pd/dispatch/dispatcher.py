"""The dispatcher: takes alerts from a run and has one background thread deliver them."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Sequence

from spark_pd.dispatch.submission import Submission, Task
from spark_pd.dispatch.worker import Worker
from spark_pd.model import Alert, Channel


class Dispatcher:
    """Delivers alerts to every channel, off the run's own thread.

    With `suppressed`, a reason, nothing is sent and every delivery is `suppressed`. Making one starts nothing; its thread is made for
    the first alert, ends when there is nothing to do, and is made anew in a forked child.
    """

    def __init__(self, channels: Sequence[Channel], *, suppressed: str | None = None) -> None:
        self._channels = tuple(channels)
        self._suppressed = suppressed
        self._workers: dict[int, Worker] = {}  # by process

    def __repr__(self) -> str:
        state = f", suppressed={self._suppressed!r}" if self._suppressed is not None else ""
        return f"Dispatcher([{', '.join(channel.name for channel in self._channels)}]{state})"

    def submit(self, alerts: Iterable[Alert], *, seconds: float) -> Submission:
        """Hand the alerts over and return at once. All of them together have `seconds` from now (spark.pd.deadline)."""
        tasks = self._tasks(alerts, seconds)
        if self._suppressed is not None:
            for task in tasks:
                task.conclude("suppressed", self._suppressed)
        elif tasks:
            self._worker().take(in_order(tasks))
        return Submission(tasks, relieve=lambda: self._worker().relieve())

    def _tasks(self, alerts: Iterable[Alert], seconds: float) -> list[Task]:
        seconds = 0.0 if math.isnan(seconds) else max(0.0, seconds)
        deadline = time.monotonic() + seconds
        # Who suppresses everything may have no channel at all, and still wants to see what would have been sent.
        channels: tuple[Channel | None, ...] = self._channels or ((None,) if self._suppressed is not None else ())
        return [Task(alert, channel, deadline=deadline, seconds=seconds) for alert in alerts for channel in channels]

    def _worker(self) -> Worker:
        # A forked child has none of its parent's threads, and perhaps a lock of theirs that nobody will open: it begins anew.
        # setdefault is atomic, so two threads get the same worker without a lock.
        return self._workers.setdefault(os.getpid(), Worker())


def in_order(tasks: Iterable[Task]) -> list[Task]:
    """Firing before resolved, since opening an incident is what matters when time is short; each dedup key's own order stays as it is."""
    first: list[Task] = []
    rest: list[Task] = []
    waiting: set[str] = set()
    for task in tasks:
        if task.alert.state == "firing" and task.alert.dedup_key not in waiting:
            first.append(task)
        else:
            waiting.add(task.alert.dedup_key)
            rest.append(task)
    return first + rest
