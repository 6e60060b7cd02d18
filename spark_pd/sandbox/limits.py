"""A limit on how often something may happen in any 60 seconds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW = 60.0  # seconds; PagerDuty counts both its Events API (per integration key) and its REST API (per token) over a minute


class RollingLimit:
    """At most `limit` in any 60 seconds; None: no limit. Not thread-safe: its owner holds the lock."""

    def __init__(self, limit: int | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._taken: deque[float] = deque()

    def take(self) -> float | None:
        """Count one: None where it may pass, else the seconds after which one may. What was refused does not count."""
        if self.limit is None:
            return None
        self._forget()
        if len(self._taken) >= self.limit:
            return self.reset_in()
        self._taken.append(self._clock())
        return None

    def remaining(self) -> int | None:
        """How many may still pass now; None: no limit."""
        self._forget()
        return None if self.limit is None else self.limit - len(self._taken)

    def reset_in(self) -> float:
        """The seconds until the oldest one counts no longer; 0 where nothing counts."""
        return max(0.0, self._taken[0] + WINDOW - self._clock()) if self._taken else 0.0

    def _forget(self) -> None:
        now = self._clock()
        while self._taken and now - self._taken[0] >= WINDOW:
            self._taken.popleft()
