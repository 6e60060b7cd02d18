"""SIGTERM while runs are open: they get their verdict, then the signal has the effect that it would have had without us.

Where it would have ended the process, it still does, by the same signal. Where somebody has a handler of his own, that handler decides:
it is called as ever, and what it raises is known again where it leaves a run's block.
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


class Termination:
    """The handler of SIGTERM of this process. `die` gives the open runs their verdicts, within a time of its own."""

    def __init__(self, die: Callable[[], None]) -> None:
        self._die = die
        self._previous: Any = signal.SIG_DFL
        self._dying = self._pending = self._calling = False
        self._held = 0
        self._raised: BaseException | None = None

    def install(self) -> None:
        """Take SIGTERM over, where this is the main thread and nobody wants it ignored or handled in C."""
        if not _is_main_thread() or self._is_ours():
            return
        previous = signal.getsignal(signal.SIGTERM)
        if previous is signal.SIG_DFL or (callable(previous) and not isinstance(previous, signal.Handlers)):
            with suppress(ValueError):  # a subinterpreter has no signals
                signal.signal(signal.SIGTERM, self._handle)
                self._previous = previous

    def remove(self) -> None:
        """Give SIGTERM back. In another thread than the main one it stays ours until the next time, to the effect that it would have had.

        So it does where somebody put a handler of his own over ours: he may put ours back when it is nobody's any more.
        """
        if _is_main_thread() and self._is_ours() and not self._dying:
            with suppress(ValueError):
                signal.signal(signal.SIGTERM, self._previous)
            self._raised = None

    def raised(self, error: BaseException | None) -> bool:
        """Whether that exception is what a handler of SIGTERM raised."""
        return error is not None and error is self._raised

    @contextmanager
    def held(self) -> Iterator[None]:
        """While a verdict is given in the main thread, SIGTERM waits: the verdict may be half told."""
        if not _is_main_thread():
            yield
            return
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            if self._pending and not self._held:
                self._pending = False
                signal.raise_signal(signal.SIGTERM)  # to whom it is for by now

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self._dying:
            return  # a group was signalled, and `spark-pd exec` passed it on besides
        if self._held:
            self._pending = True
            return
        if self._calling or not self._is_ours():
            return  # somebody's handler over ours calls it, and decides
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
        self._dying = True
        try:
            self._die()
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            # Still here: the first process of a container survives its own SIGTERM, as it would have without us.
            self._dying = False

    def _is_ours(self) -> bool:
        return signal.getsignal(signal.SIGTERM) == self._handle


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
