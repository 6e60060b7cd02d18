"""The one background thread that delivers, and what happens when it is stuck."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from spark_pd.dispatch.submission import Task

IDLE = 5.0  # seconds without a task after which the thread ends


class Worker:
    """Delivers tasks one after the other, first come first served, in a daemon thread that is there only while it is needed.

    It belongs to the process that made it: after a fork, the child makes its own.
    """

    def __init__(self, deliver: Callable[[Task], None]) -> None:
        self._deliver = deliver
        self._changed = threading.Condition()
        self._waiting: deque[Task] = deque()
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
            self._deliver(task)

    def _next(self, me: threading.Thread, idle: float) -> Task | None:
        """The next task. None where the thread is to end: it was idle, or another one has its place."""
        with self._changed:
            if self._thread is not me:
                return None
            self._busy = None
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._thread is not me, timeout=idle)
            if self._thread is not me:
                return None
            if not self._waiting:
                self._thread = None
                return None
            self._busy = self._waiting.popleft()
            return self._busy
