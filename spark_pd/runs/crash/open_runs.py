"""The open runs of this process: one thread updates their markers, and each gets a verdict whatever ends the process."""

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
from spark_pd.runs.crash.markers_folder import touch_marker
from spark_pd.runs.crash.sigterm import REASON, SigtermHandler

logger = logging.getLogger("spark_pd.crash")

_MARGIN = 1.0  # seconds beyond the runs' own deadlines that a terminated process may take for its verdicts
LEFT_OPEN = "the interpreter ended before the run's block did"


class GuardedRun(Protocol):
    """A run, as far as it can be ended from outside its block."""

    run_id: str

    @property
    def table(self) -> str:
        """Its name, for the log."""

    @property
    def patience(self) -> float:
        """Seconds that the delivery of its alerts may take."""

    def conclude(self, status: RunStatus, why: str) -> bool:
        """Give it a verdict and submit its alerts, without a call to Spark. False where it has a verdict."""

    def wait_for_deliveries(self) -> None:
        """Wait for its deliveries, at most until their deadline."""

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """End it by an exception, as if that had left its block."""


@dataclass(slots=True, eq=False, kw_only=True)
class OpenRun:
    """A run that is open, and how it is guarded."""

    run: GuardedRun
    thread: threading.Thread
    marker: Path | None
    heartbeat: float
    on_signal: bool
    reported: bool = False
    """Whether its verdict was reported."""


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
        self._thread: threading.Thread | None = None
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._hooked: Callable[..., Any] | None = None
        self.sigterm = SigtermHandler(self._conclude_all)

    def add(self, run: OpenRun) -> None:
        """Look after a run until `drop`."""
        with self._lock:
            self._runs[run.run.run_id] = run
            self.count += 1
            if not self._registered:
                self._registered = True
                with suppress(RuntimeError):  # the interpreter ends already
                    atexit.register(self._at_exit)
            self._hook()
            self._start()
        self._calls.put(None)
        if run.on_signal:
            self.sigterm.install()

    def has_others(self, run_id: str) -> bool:
        """Whether another run is open that has no verdict yet."""
        return any(run.run.run_id != run_id and not run.reported for run in list(self._runs.values()))

    def reported(self, run_id: str, status: str) -> None:
        """The run has its verdict, and its alerts are in the outbox: no other process reports it any more."""
        run = self._runs.get(run_id)
        if run is not None and not run.reported:
            run.reported = True
            journal.sending(run_id)
            journal.ended(run_id, status)
            marker, run.marker = run.marker, None
            if marker is not None:
                with suppress(OSError):
                    marker.unlink(missing_ok=True)

    def drop(self, run_id: str) -> None:
        """The run is over, also where its verdict could not be reported, which its log says."""
        self.reported(run_id, "unknown")
        journal.sent(run_id)
        with self._lock:
            self._runs.pop(run_id, None)
            if not self._runs:
                self._unhook()
                self.sigterm.remove()
                self._calls.put(None)

    # ---- the ways in which it ends ---------------------------------------------------------------------------------------------

    def _conclude_all(self) -> None:
        """Give every open run its verdict, in the markers' thread: the main thread was interrupted, and may hold a lock."""
        done: SimpleQueue[None] = SimpleQueue()
        runs = list(self._runs.values())
        until = time.monotonic() + max((run.run.patience for run in runs), default=0.0) + _MARGIN

        def conclude() -> None:
            """Give the verdicts, and say that it is done."""
            try:
                self._conclude(runs, until)
            finally:
                done.put(None)

        thread = self._thread
        if thread is None or not thread.is_alive():
            conclude()
            return
        self._calls.put(conclude)
        with suppress(Empty):
            done.get(timeout=max(0.0, until - time.monotonic()))

    def _conclude(self, runs: list[OpenRun], until: float) -> None:
        concluded = [run for run in runs if _concluded(run, "errored", REASON)]
        for run in concluded:
            with suppress(Exception):
                run.run.wait_for_deliveries()
        # Other threads may be giving a verdict right now. A run that they open from here on ends with the process, and leaves its marker.
        others = {run.run.run_id for run in runs} - {run.run.run_id for run in concluded}
        while others & self._runs.keys() and time.monotonic() < until:
            time.sleep(0.01)

    def _thread_died(self, args: Any) -> None:
        """threading.excepthook: an uncaught exception ends the runs that its thread has open."""
        before = self._hooked
        for run in list(self._runs.values()):
            if run.thread is args.thread and args.thread is not None:
                with suppress(Exception):
                    error = args.exc_type() if args.exc_value is None else args.exc_value
                    run.run.__exit__(args.exc_type, error, args.exc_traceback)
        (before or threading.__excepthook__)(args)

    def _at_exit(self) -> None:
        """The interpreter ends. The run of a daemon thread that is still alive errored; one without a living thread was cancelled."""
        # Set by the uncaught exception that ends the interpreter, but also by every error at an interactive prompt.
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
                run.run.wait_for_deliveries()
            self.drop(run.run.run_id)

    def _forked(self) -> None:
        """In a forked child: its parent's runs are not its own."""
        unhooked, sigterm = self._hooked is not None, self.sigterm
        if unhooked:
            self._unhook()
        sigterm.remove()
        self._begin()

    # ---- the thread and the hook -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._update_markers, name="spark_pd-open-runs", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter ends
                self._thread = None

    def _update_markers(self) -> None:
        due = time.monotonic()
        while True:
            runs = list(self._runs.values())
            every = min((run.heartbeat for run in runs if run.heartbeat > 0), default=None)
            if every is not None and time.monotonic() >= due + every:
                for marker in [run.marker for run in runs if run.heartbeat > 0]:
                    if marker is not None:
                        touch_marker(marker)
                due = time.monotonic()
            try:
                call = self._calls.get(timeout=None if every is None else max(0.0, due + every - time.monotonic()))
            except Empty:
                continue
            if call is not None:
                call()
            with self._lock:
                if not self._runs and self._calls.empty():
                    self._thread = None
                    return

    def _hook(self) -> None:
        if self._hooked is None:
            self._hooked, threading.excepthook = threading.excepthook, self._thread_died

    def _unhook(self) -> None:
        # Where other code set a hook after ours, ours stays below it, and does nothing.
        if self._hooked is not None and threading.excepthook == self._thread_died:
            threading.excepthook, self._hooked = self._hooked, None


def _concluded(run: OpenRun, status: RunStatus, why: str) -> bool:
    try:
        return run.run.conclude(status, why)
    except Exception as error:
        logger.warning("%s: its verdict could not be reported: %s", run.run.table, type(error).__name__)
        return False


open_runs = OpenRuns()
