"""Faults to order: what may go wrong between a client and PagerDuty, and the queue they wait in. Pure: no HTTP."""

from __future__ import annotations

import difflib
import math
import threading
from collections.abc import Collection
from dataclasses import dataclass

from spark_pd.model import names
from spark_pd.model.errors import UsageError

STATUSES = ("204", "400", "401", "403", "404", "408", "413", "429", "500", "502", "503", "504")

KINDS: dict[str, str] = {
    **{status: f"answered {status}, not accepted" for status in STATUSES},
    "slow": "accepted, answered after some seconds",
    "hang": "never answered, not accepted",
    "reset": "the connection is reset before an answer, not accepted",
    "close": "the connection is closed without an answer, not accepted",
    "lost": "accepted, but the connection is reset instead of the answer",
    "reset_mid_body": "accepted, but the connection is reset in the middle of the answer",
    "drip": "accepted, answered one byte at a time",
    "not_json": "accepted, but the answer's body is a page of HTML",
    "portal": "answered 200 with a page of HTML, as a proxy that wants a login does; not accepted",
    "moved": "answered 301 to /redirected on the same sandbox, not accepted",
    "redirect": "answered 307 to /redirected on the same sandbox, not accepted",
}
"""Every kind of fault and what it does."""

TARGETS = ("enqueue", "change", "rest")
"""What faults can be ordered for: /v2/enqueue, /v2/change/enqueue and the REST API."""

_DEFAULT_SECONDS = {"slow": 2.0, "drip": 0.2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One ordered fault. `seconds` is the wait of `slow` and the pause between two bytes of `drip`."""

    kind: str
    on: frozenset[str]
    seconds: float
    retry_after: str | None


def make_fault(kind: str | int, *, seconds: float | None, retry_after: float | str | None, on: str | Collection[str]) -> Fault:
    """A fault from what a user ordered. Raises UsageError for a kind, target or option that cannot be."""
    kind = str(kind)
    if kind not in KINDS:
        nearest = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise UsageError(f"fault: unknown kind {kind!r}; the sandbox has {names(list(KINDS))}.{hint}")
    targets = frozenset([on] if isinstance(on, str) else on)
    if not targets or not targets <= set(TARGETS):
        raise UsageError(f"fault: on={on!r} must be one or more of {names(list(TARGETS))}")
    if seconds is not None and kind not in _DEFAULT_SECONDS:
        raise UsageError(f"fault: seconds means nothing for {kind!r}; it is for {names(list(_DEFAULT_SECONDS))}")
    if seconds is not None and (not math.isfinite(seconds) or seconds < 0):
        raise UsageError(f"fault: seconds={seconds!r} must be a finite number, 0 or more")
    if retry_after is not None and kind not in STATUSES:
        raise UsageError(f"fault: retry_after means nothing for {kind!r}; it is for {names(list(STATUSES))}")
    if seconds is None:
        seconds = _DEFAULT_SECONDS.get(kind, 0.0)
    return Fault(kind=kind, on=targets, seconds=float(seconds), retry_after=None if retry_after is None else str(retry_after))


class FaultQueue:
    """Faults in the order they were asked for. Those with a number of times come first; the last one without stays until `clear`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counted: list[Fault] = []
        self._endless: list[Fault] = []
        self._released = threading.Event()

    def clear(self) -> None:
        """Drop all faults, and release the requests that are held by one."""
        with self._lock:
            self._counted, self._endless = [], []
            self._released.set()
            self._released = threading.Event()

    def release(self) -> None:
        """Let go what is held by a fault, and hold nothing more until `arm`: the server is about to end."""
        with self._lock:
            self._released.set()

    def arm(self) -> None:
        """Let faults hold requests again."""
        with self._lock:
            self._released = threading.Event()

    def order(self, fault: Fault, times: int | None) -> None:
        """Queue a fault for so many requests, or for all until `clear` (None). Raises UsageError for times below 1."""
        if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
            raise UsageError(f"fault: times={times!r} must be a whole number, 1 or more, or None (until reset())")
        with self._lock:
            if times is None:
                self._endless.append(fault)
            else:
                self._counted += [fault] * times

    def take(self, target: str) -> tuple[Fault | None, threading.Event]:
        """The fault for the next request to a target, and the event that is set once held requests are to be let go."""
        with self._lock:
            for position, fault in enumerate(self._counted):
                if target in fault.on:
                    return self._counted.pop(position), self._released
            for fault in reversed(self._endless):
                if target in fault.on:
                    return fault, self._released
            return None, self._released
