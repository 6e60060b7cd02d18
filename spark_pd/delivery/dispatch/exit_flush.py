"""What happens when the interpreter ends with alerts under way: they get a moment, and no more."""

from __future__ import annotations

import atexit
import contextlib
import time
import weakref
from typing import Protocol

MOMENT = 2.0  # seconds, for all dispatchers of the process together


class Flushed(Protocol):
    """What has something under way."""

    def flush(self, seconds: float) -> None:
        """Wait for it, so many seconds at most."""


class _Leaving:
    """Those who have something under way in this process. Python calls it once, at the end."""

    def __init__(self) -> None:
        self._known: weakref.WeakSet[Flushed] = weakref.WeakSet()
        self._registered = False

    def tell(self, flushed: Flushed) -> None:
        """Give it a moment at the interpreter's end."""
        self._known.add(flushed)
        if not self._registered:
            self._registered = True
            # Too late where the interpreter ends already: then the submitter waits himself.
            with contextlib.suppress(RuntimeError):
                atexit.register(self._flush)

    def _flush(self) -> None:
        until = time.monotonic() + MOMENT
        for flushed in list(self._known):
            with contextlib.suppress(Exception):
                flushed.flush(max(0.0, until - time.monotonic()))


_leaving = _Leaving()
tell = _leaving.tell
