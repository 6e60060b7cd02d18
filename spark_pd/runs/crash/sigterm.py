"""SIGTERM while runs are open: they get their verdict, then the signal has the effect that it would have had without spark_pd.

Where it would have ended the process, it still does, by the same signal. Where the user has a handler, that handler decides: it is called
as usual, and its exception is recognized where it leaves a run's block.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

REASON = "terminated by SIGTERM"


class SigtermHandler:
    """The handler of SIGTERM of this process. `conclude` gives the open runs their verdicts, within a time limit of its own."""

    def __init__(self, conclude: Callable[[], None]) -> None:
        self._conclude = conclude
        self._previous: Any = signal.SIG_DFL
        self._terminating = self._pending = self._calling = False
        self._delays = 0
        self._raised: BaseException | None = None

    def install(self) -> None:
        """Handle SIGTERM, where this is the main thread and the signal is not ignored or handled in C."""
        if not _is_main_thread() or self._is_ours():
            return
        previous = signal.getsignal(signal.SIGTERM)
        if previous is signal.SIG_DFL or (callable(previous) and not isinstance(previous, signal.Handlers)):
            with suppress(ValueError):  # a subinterpreter has no signals
                signal.signal(signal.SIGTERM, self._handle)
                self._previous = previous

    def remove(self) -> None:
        """Restore the handler that was there before. Only the main thread can; in another thread ours stays, and calls that one.

        It stays as well where other code set a handler after ours, since that code may restore ours later.
        """
        if _is_main_thread() and self._is_ours() and not self._terminating:
            with suppress(ValueError):
                signal.signal(signal.SIGTERM, self._previous)
            self._raised = None

    def raised(self, error: BaseException | None) -> bool:
        """Whether that exception is what a handler of SIGTERM raised."""
        return error is not None and error is self._raised

    @contextmanager
    def delayed(self) -> Iterator[None]:
        """While the main thread gives a verdict, SIGTERM waits, so that it cannot interrupt the verdict."""
        if not _is_main_thread():
            yield
            return
        self._delays += 1
        try:
            yield
        finally:
            self._delays -= 1
            if self._pending and not self._delays:
                self._pending = False
                signal.raise_signal(signal.SIGTERM)  # for the handler that is set by now

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self._terminating:
            return  # the process group got the signal, and `spark-pd exec` passed it on too
        if self._delays:
            self._pending = True
            return
        if self._calling or not self._is_ours():
            return  # a handler that was set after ours calls it, and decides
        if callable(self._previous):
            self._calling = True
            try:
                self._previous(signum, frame)
            except BaseException as error:
                self._raised = error
                raise
            finally:
                self._calling = False
            return
        self._terminating = True
        try:
            self._conclude()
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            # Still here: the first process of a container survives its own SIGTERM, as it would have without us.
            self._terminating = False

    def _is_ours(self) -> bool:
        return signal.getsignal(signal.SIGTERM) == self._handle


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
