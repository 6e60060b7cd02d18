"""The dispatcher: takes alerts from a run and has one background thread deliver them."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from spark_pd.delivery.dispatch import exit_flush as leaving
from spark_pd.delivery.dispatch.confirmation import Confirmer
from spark_pd.delivery.dispatch.keeper import Keeper
from spark_pd.delivery.dispatch.limited_channel import unkept
from spark_pd.delivery.dispatch.limits import Limits, Pace
from spark_pd.delivery.dispatch.submission import Submission, Task
from spark_pd.delivery.dispatch.worker import Worker
from spark_pd.delivery.outbox import Outbox
from spark_pd.model import Alert, Channel, Delivery

_MARGIN = 0.2  # seconds, at most, that a channel's deadline lies before the task's: its own account of a failure says more than ours
_RESCUE = 1.0  # seconds for an alert that is to be left in the outbox, which could not keep it
NO_LIMITS = Limits()
NOTHING_TO_RESOLVE = "it was told as a change (spark.pd.lifecycle.as=change), which opened no incident, so there is nothing to resolve"
OUTBOX_ONLY = "spark.pd.deadline is 0, so runs send nothing: spark-pd outbox replay does"


class Dispatcher:
    """Delivers alerts to every channel, off the run's own thread.

    With `suppressed`, a reason, nothing is sent or kept and every delivery is `suppressed`. With an `outbox`, alerts are on the disk
    before they are sent, and what could not be sent is sent later. `limits` is how much may go out. Making one starts nothing; its thread
    is made for the first alert, ends when there is nothing to do, and is made anew in a forked child.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        *,
        suppressed: str | None = None,
        outbox: Outbox | None = None,
        limits: Limits = NO_LIMITS,
    ) -> None:
        self._channels = tuple(channels)
        self._suppressed = suppressed
        self._outbox = outbox
        self._limits = limits
        self._paces: dict[int, Pace] = {}  # by process
        self._workers: dict[int, Worker] = {}  # by process
        self._keepers: dict[int, Keeper] = {}  # by process
        self._confirmers: dict[int, Confirmer] = {}  # by process

    def __repr__(self) -> str:
        state = f", suppressed={self._suppressed!r}" if self._suppressed is not None else ""
        return f"Dispatcher([{', '.join(channel.name for channel in self._channels)}]{state})"

    def submit(self, alerts: Iterable[Alert], *, seconds: float) -> Submission:
        """Hand the alerts over and return, with an outbox once they are in it. All of them together have `seconds` (spark.pd.deadline).

        With 0 seconds they are left in the outbox, and only what it cannot keep is sent.
        """
        tasks = self._tasks(alerts, seconds)
        if self._suppressed is not None:
            for task in tasks:
                task.conclude("suppressed", self._suppressed)
        else:
            self._take(tasks)
        return Submission(tasks, relieve=lambda: self._worker().relieve())

    def flush(self, seconds: float) -> None:
        """Wait for what this process has under way, so many seconds at most, and tell what it has not told of a storm yet."""
        until = time.monotonic() + seconds
        if os.getpid() in self._workers:
            self._workers[os.getpid()].drain(until)
        if os.getpid() in self._keepers:
            self._keepers[os.getpid()].join(until)
        if os.getpid() in self._paces:
            self._report_storms(until)
        if os.getpid() in self._confirmers:
            self._confirmers[os.getpid()].join(until)

    def _report_storms(self, until: float) -> None:
        """Tell what no outbox remembers, in a thread: a resolver that hangs may not hold who waits here."""
        channels = [channel for channel in map(self._pace().channel, self._channels) if channel.changed]
        if not channels or time.monotonic() >= until:
            return

        def tell() -> None:
            for channel in channels:
                channel.report_storms(deadline=until, early=True)

        thread = threading.Thread(target=tell, name="spark_pd-storm", daemon=True)
        with suppress(RuntimeError):  # the interpreter ends, and gives no more threads
            thread.start()
            thread.join(max(0.0, until - time.monotonic()))

    def _take(self, tasks: list[Task]) -> None:
        """Keep these and have them sent, but for those that have nothing to tell."""
        for task in tasks:
            if task.alert.change and task.alert.state == "resolved":
                task.conclude("suppressed", NOTHING_TO_RESOLVE)
        ordered = in_order(task for task in tasks if task.delivery is None)
        if ordered and self._outbox is not None:
            ordered = self._kept(ordered)
        if ordered:
            leaving.tell(self)
            self._worker().take(ordered)

    def _kept(self, tasks: list[Task]) -> list[Task]:
        """The tasks that are to be sent now, after all were put into the outbox."""
        self._keeper().keep(tasks)
        if any(task.seconds > 0 for task in tasks):
            return tasks
        for task in tasks:
            if task.entry is not None:
                task.conclude("queued", OUTBOX_ONLY)
            elif task.unkept is not None:
                task.seconds, task.deadline = _RESCUE, time.monotonic() + _RESCUE
        return [task for task in tasks if task.delivery is None]

    def _tasks(self, alerts: Iterable[Alert], seconds: float) -> list[Task]:
        seconds = 0.0 if math.isnan(seconds) else max(0.0, seconds)
        deadline = time.monotonic() + seconds
        # Who suppresses everything may have no channel at all, and still wants to see what would have been sent.
        channels: tuple[Channel | None, ...] = self._channels or ((None,) if self._suppressed is not None else ())
        return [Task(alert, channel, deadline=deadline, seconds=seconds) for alert in alerts for channel in channels]

    def _worker(self) -> Worker:
        # A forked child has none of its parent's threads, and perhaps a lock of theirs that nobody will open: it begins anew.
        # setdefault is atomic, so two threads get the same worker without a lock.
        return self._workers.setdefault(os.getpid(), Worker(self._deliver))

    def _keeper(self) -> Keeper:
        assert self._outbox is not None
        return self._keepers.setdefault(os.getpid(), Keeper(self._outbox, self._channels, self._pace()))

    def _pace(self) -> Pace:
        return self._paces.setdefault(os.getpid(), Pace(self._limits, self._outbox))

    def _deliver(self, task: Task) -> float | None:
        """Have the task's channel deliver it, unless its time is over or it was settled while it waited. Never raises.

        Gives the seconds after which it is to come again, where it has to make way for others; None once it is settled.
        """
        if task.channel is None:
            return None
        if task.delivery is None and time.monotonic() >= task.deadline:
            task.expire()
        if task.delivery is not None:
            if task.entry is not None:
                self._keeper().leave(task.entry, task.delivery.reason, turn=task.not_before > 0)
            return None
        deadline = task.deadline - min(_MARGIN, task.seconds / 10)
        delivery: Delivery | float
        try:
            if task.entry is not None:
                delivery = self._keeper().deliver(task, task.entry, self._pace().channel(task.channel), deadline)
            elif task.unkept is not None:
                delivery = self._keeper().deliver_unkept(task, self._pace().channel(task.channel), deadline)
            else:
                delivery = unkept(task.alert, self._pace().channel(task.channel), deadline)
        except Exception as error:
            # A channel that raises breaks its promise; its message may hold a key, so its class has to do.
            task.not_sent(f"{type(error).__qualname__} in the channel")
            return None
        if isinstance(delivery, float):
            return delivery
        if task.unkept is not None:
            delivery = replace(delivery, reason=f"{delivery.reason}; the outbox could not keep it: {task.unkept}")
        task.settle(delivery)
        if delivery.status == "sent":
            self._confirmers.setdefault(os.getpid(), Confirmer()).take(task)
        return None


def in_order(tasks: Iterable[Task]) -> list[Task]:
    """What opens an incident first, since that matters most when time is short; each dedup key's own order stays as it is."""
    first: list[Task] = []
    rest: list[Task] = []
    waiting: set[str] = set()
    for task in tasks:
        if task.alert.state == "firing" and not task.alert.change and task.alert.dedup_key not in waiting:
            first.append(task)
        else:
            waiting.add(task.alert.dedup_key)
            rest.append(task)
    return first + rest
