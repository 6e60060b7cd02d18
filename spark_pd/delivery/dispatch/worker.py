"""The one background thread that delivers, who goes first in it, and what happens when it is stuck."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from spark_pd.delivery.dispatch.submission import Task

IDLE = 5.0  # seconds without a task after which the thread ends


class Worker:
    """Delivers tasks one after the other in a daemon thread that is there only while it is needed.

    Firing goes before resolved, else it is first come first served; the tasks of one incident keep their order. `deliver` gives the
    seconds after which a task is to come again, or None once it is settled. A worker belongs to the process that made it: after a fork,
    the child makes its own.
    """

    def __init__(self, deliver: Callable[[Task], float | None]) -> None:
        self._deliver = deliver
        self._changed = threading.Condition()
        self._waiting: list[Task] = []
        self._thread: threading.Thread | None = None
        self._busy: Task | None = None

    def take(self, tasks: Sequence[Task]) -> None:
        """Deliver these after all that came before."""
        with self._changed:
            self._waiting.extend(tasks)
            self._leave_stuck_thread()
            started = self._thread is not None or self._start()
            self._changed.notify()
        if not started:
            self._work(idle=0.0)

    def relieve(self) -> None:
        """Where the thread is held beyond a task's deadline, leave it alone with that task; a new one takes what waits behind it."""
        with self._changed:
            self._leave_stuck_thread()
            if self._waiting and self._thread is None:
                self._start()

    def drain(self, until: float) -> None:
        """Wait until nothing is under way or waits, until `until` (time.monotonic's clock) at the longest."""
        with self._changed:
            while (self._waiting or self._busy is not None) and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)

    def _leave_stuck_thread(self) -> None:
        if self._busy is not None and time.monotonic() >= self._busy.deadline:
            self._busy.expire()
            self._busy, self._thread = None, None

    def _start(self) -> bool:
        """Whether a thread could be had: at the interpreter's end there is none, and who submits has to do the work."""
        self._thread = threading.Thread(target=self._work, kwargs={"idle": IDLE}, name="spark_pd-dispatch", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None
            return False
        return True

    def _work(self, *, idle: float) -> None:
        me = threading.current_thread()
        with self._changed:
            if idle == 0.0:
                self._thread = me
        while (task := self._next(me, idle)) is not None:
            after = self._deliver(task)
            if after is not None:
                task.not_before = time.monotonic() + after
                with self._changed:
                    if self._thread is me:
                        self._waiting.insert(0, task)

    def _next(self, me: threading.Thread, idle: float) -> Task | None:
        """The next task. None where the thread is to end: it was idle, or another one has its place."""
        with self._changed:
            if self._thread is not me:
                return None
            self._busy = None
            self._changed.notify_all()
            until = time.monotonic() + idle
            while self._thread is me:
                now = time.monotonic()
                task = first(self._waiting, now)
                if task is not None:
                    self._waiting.remove(task)
                    self._busy = task
                    return task
                if not self._waiting and now >= until:
                    self._thread = None
                    return None
                # Who may go, but does not, stands behind one who may not yet.
                soonest = min((each.not_before for each in self._waiting if each.not_before > now), default=until)
                self._changed.wait(soonest - now)
            return None


def first(waiting: Sequence[Task], now: float) -> Task | None:
    """Whose turn it is: of those that may go, the first that is firing, else the first; nobody goes before an older one of his incident."""
    resolved: Task | None = None
    behind: set[tuple[int, str]] = set()
    for task in waiting:
        incident = (id(task.channel), task.alert.dedup_key)
        if incident not in behind and task.not_before <= now:
            if task.alert.state == "firing":
                return task
            resolved = resolved or task
        behind.add(incident)
    return resolved
