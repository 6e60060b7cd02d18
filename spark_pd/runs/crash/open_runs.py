"""The open runs of this process: a thread that keeps their markers fresh, and a verdict for each, whatever ends it."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from spark_pd.model import RunStatus
from spark_pd.runs.crash import journal
from spark_pd.runs.crash.markers_folder import beat
from spark_pd.runs.crash.sigterm import REASON, Termination

logger = logging.getLogger("spark_pd.dying")

_MARGIN = 1.0  # seconds beyond the runs' own deadlines that a process that is to die takes for its verdicts
LEFT_OPEN = "the interpreter ended before the run's block did"


class Watched(Protocol):
    """A run, as far as it can be ended from outside its block."""

    run_id: str

    @property
    def table(self) -> str:
        """Its name, for the log."""

    @property
    def patience(self) -> float:
        """Seconds that telling its verdict may take."""

    def conclude(self, status: RunStatus, why: str) -> bool:
        """Give it a verdict and hand its alerts over, without asking Spark for anything. False where it has one."""

    def settle(self) -> None:
        """Wait for its deliveries, until their deadline at the longest."""

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """End it by an exception, as if that had left its block."""


@dataclass(slots=True, eq=False, kw_only=True)
class OpenRun:
    """A run that is open, and what is looked after for it."""

    run: Watched
    thread: threading.Thread
    marker: Path | None
    heartbeat: float
    on_signal: bool
    told: bool = False
    """Whether its verdict was."""


class OpenRuns:
    """All open runs of this process, of all its monitors. Nothing is installed or started while none is open."""

    def __init__(self) -> None:
        self._begin()
        self._registered = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._runs: dict[str, OpenRun] = {}
        self.count = 0  # of all that were ever open
        self._heart: threading.Thread | None = None
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._hooked: Callable[..., Any] | None = None
        self.termination = Termination(self._die)

    def add(self, run: OpenRun) -> None:
        """Look after a run until `drop`."""
        with self._lock:
            self._runs[run.run.run_id] = run
            self.count += 1
            if not self._registered:
                self._registered = True
                with suppress(RuntimeError):  # the interpreter ends already
                    atexit.register(self._leave)
            self._hook()
            self._start()
        self._calls.put(None)
        if run.on_signal:
            self.termination.install()

    def has_others(self, run_id: str) -> bool:
        """Whether another run is open that has no verdict yet."""
        return any(run.run.run_id != run_id and not run.told for run in list(self._runs.values()))

    def told(self, run_id: str, status: str) -> None:
        """The run has its verdict, and its alerts are where a killed process leaves them: nobody else is to tell of it."""
        run = self._runs.get(run_id)
        if run is not None and not run.told:
            run.told = True
            journal.sending(run_id)
            journal.ended(run_id, status)
            marker, run.marker = run.marker, None
            if marker is not None:
                with suppress(OSError):
                    marker.unlink(missing_ok=True)

    def drop(self, run_id: str) -> None:
        """The run is over, and needs nothing any more: also where its verdict could not be told, which its log says."""
        self.told(run_id, "unknown")
        journal.sent(run_id)
        with self._lock:
            self._runs.pop(run_id, None)
            if not self._runs:
                self._unhook()
                self.termination.remove()
                self._calls.put(None)

    # ---- the ways in which it ends ---------------------------------------------------------------------------------------------

    def _die(self) -> None:
        """Give every open run its verdict, in the thread that looks after them: this one was interrupted, perhaps with a lock in hand."""
        done: SimpleQueue[None] = SimpleQueue()
        runs = list(self._runs.values())
        until = time.monotonic() + max((run.run.patience for run in runs), default=0.0) + _MARGIN

        def tell() -> None:
            """Give the verdicts, and say that it is done."""
            try:
                self._conclude(runs, until)
            finally:
                done.put(None)

        heart = self._heart
        if heart is None or not heart.is_alive():
            tell()
            return
        self._calls.put(tell)
        with suppress(Empty):
            done.get(timeout=max(0.0, until - time.monotonic()))

    def _conclude(self, runs: list[OpenRun], until: float) -> None:
        told = [run for run in runs if _concluded(run, "errored", REASON)]
        for run in told:
            with suppress(Exception):
                run.run.settle()
        # Other threads may be giving a verdict right now. What they open from here on dies with the process, and leaves its marker.
        others = {run.run.run_id for run in runs} - {run.run.run_id for run in told}
        while others & self._runs.keys() and time.monotonic() < until:
            time.sleep(0.01)

    def _thread_died(self, args: Any) -> None:
        """threading.excepthook: an exception that nobody caught ends the runs that its thread held open."""
        before = self._hooked
        for run in list(self._runs.values()):
            if run.thread is args.thread and args.thread is not None:
                with suppress(Exception):
                    error = args.exc_type() if args.exc_value is None else args.exc_value
                    run.run.__exit__(args.exc_type, error, args.exc_traceback)
        (before or threading.__excepthook__)(args)

    def _leave(self) -> None:
        """The interpreter ends. What a daemon thread was at is cut off; what nobody was at any more was given up."""
        # Set where an exception that nobody caught ends the interpreter, but also by every mistake at a prompt.
        error = None if hasattr(sys, "ps1") or sys.flags.interactive else getattr(sys, "last_value", None)
        runs = list(self._runs.values())
        for run in runs:
            cut_off = run.thread.is_alive() and run.thread is not threading.main_thread()
            if error is not None and (not cut_off or isinstance(error, KeyboardInterrupt)):
                with suppress(Exception):
                    run.run.__exit__(type(error), error, error.__traceback__)
            elif cut_off:
                _concluded(run, "errored", f"{LEFT_OPEN}, which thread {run.thread.name} was still in")
            elif _concluded(run, "cancelled", LEFT_OPEN):
                logger.warning("%s: %s, so nothing is known of what it wrote", run.run.table, LEFT_OPEN)
        for run in runs:
            with suppress(Exception):
                run.run.settle()
            self.drop(run.run.run_id)

    def _forked(self) -> None:
        """A forked child owns none of its parent's runs."""
        unhooked, termination = self._hooked is not None, self.termination
        if unhooked:
            self._unhook()
        termination.remove()
        self._begin()

    # ---- the thread and the hook -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._heart is None or not self._heart.is_alive():
            self._heart = threading.Thread(target=self._beat, name="spark_pd-open-runs", daemon=True)
            try:
                self._heart.start()
            except RuntimeError:  # the interpreter ends
                self._heart = None

    def _beat(self) -> None:
        due = time.monotonic()
        while True:
            runs = list(self._runs.values())
            every = min((run.heartbeat for run in runs if run.heartbeat > 0), default=None)
            if every is not None and time.monotonic() >= due + every:
                for marker in [run.marker for run in runs if run.heartbeat > 0]:
                    if marker is not None:
                        beat(marker)
                due = time.monotonic()
            try:
                call = self._calls.get(timeout=None if every is None else max(0.0, due + every - time.monotonic()))
            except Empty:
                continue
            if call is not None:
                call()
            with self._lock:
                if not self._runs and self._calls.empty():
                    self._heart = None
                    return

    def _hook(self) -> None:
        if self._hooked is None:
            self._hooked, threading.excepthook = threading.excepthook, self._thread_died

    def _unhook(self) -> None:
        # Where somebody put his own over ours, ours stays below it, and finds nothing to do.
        if self._hooked is not None and threading.excepthook == self._thread_died:
            threading.excepthook, self._hooked = self._hooked, None


def _concluded(run: OpenRun, status: RunStatus, why: str) -> bool:
    try:
        return run.run.conclude(status, why)
    except Exception as error:
        logger.warning("%s: its verdict could not be told: %s", run.run.table, type(error).__name__)
        return False


open_runs = OpenRuns()
