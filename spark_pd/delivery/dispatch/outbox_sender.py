"""The thread that sends what waits in the outbox once PagerDuty answers again, as fast as its limits allow, and tells of storms."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from spark_pd.delivery.dispatch.exit_flush import MOMENT
from spark_pd.delivery.dispatch.limited_channel import PacedChannel, again
from spark_pd.delivery.outbox import Entry, Outbox, Outcome, replay
from spark_pd.delivery.outbox.replay import EACH

logger = logging.getLogger("spark_pd.dispatch")

LONGEST = 3_600.0  # seconds that the thread goes on at most; the next run's goes on from there

End: TypeAlias = Literal["gone", "done", "again"]
"""Why a round ended: PagerDuty does not answer, or the process ends; nothing is left; something new is to be sent."""


class Sender:
    """Sends what waits, in a daemon thread of its own, so that no run's alert waits behind it. It belongs to one process.

    route: the channel that an entry may go to, or why it has to wait. under_way: whether an entry is being sent right now, by whom ever.
    told: called with each outcome, and with None before the first.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        route: Callable[[Entry], PacedChannel | str],
        under_way: Callable[[Entry], bool],
        told: Callable[[Outcome | None], None],
        channels: Sequence[PacedChannel],
    ) -> None:
        self._outbox = outbox
        self._route = route
        self._under_way = under_way
        self._told = told
        self._channels = tuple(channels)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._again = False  # somebody woke it while it was busy
        self._leaving = False  # somebody waits for it to end, so it does not wait for anything itself
        self._others: frozenset[str] = frozenset()  # files that are not for us, so that each is opened once only

    def wake(self) -> None:
        """PagerDuty answers: send what waits for it."""
        with self._changed:
            self._leaving = False
            if self._thread is not None:
                self._again = True
                self._changed.notify_all()
                return
            if not any(channel.changed for channel in self._channels) and all(name in self._others for name in self._outbox.names()):
                return
            self._thread = threading.Thread(target=self._work, name="spark_pd-replay", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter ends: the next run will do it
                self._thread = None

    def join(self, until: float) -> None:
        """Wait for what can be sent now, until `until` (time.monotonic's clock) at the longest. What has to wait for its turn waits on."""
        with self._changed:
            self._leaving = True
            self._changed.notify_all()
            while self._thread is not None and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)

    def _work(self) -> None:
        until = time.monotonic() + LONGEST
        while True:
            try:
                end = self._send_all(until) or self._tell(until)
                if self._leaving:
                    self._report_early()
            except Exception as error:
                # A thread of ours that dies would print a traceback into the job's output.
                logger.warning("what waits in the outbox could not be sent: %s", type(error).__name__)
                end = "gone"
            with self._changed:
                if end == "gone" or (end == "done" and not self._again):
                    self._thread = None
                    self._changed.notify_all()
                    return

    def _send_all(self, until: float) -> End | None:
        """Send what waits now. None where all was tried."""
        foreign: set[str] = set()
        self._again = False
        self._told(None)

        def route(entry: Entry) -> PacedChannel | str:
            """The entry's channel; what is not for us is remembered, so that it is not opened again."""
            channel = self._route(entry)
            if isinstance(channel, str) and not self._under_way(entry):
                foreign.add(entry.name)
            return channel

        for outcome in replay(self._outbox, route, until=until, pause=self._pause):
            self._told(outcome)
            alert = outcome.entry.alert
            if outcome.tried or outcome.status == "dropped":
                logger.info("from the outbox: %s %s: %s, %s", alert.trigger, alert.state, outcome.status, outcome.reason)
            if outcome.tried and outcome.status == "queued":
                return "gone"
            if self._again and alert.state == "resolved":
                return "again"  # what came meanwhile may be firing, which goes first
        self._others = frozenset(foreign)
        return None

    def _tell(self, until: float) -> End:
        """Tell PagerDuty what is due of storms, once it is due, until something else is to be sent."""
        while not self._again:
            dues = [due for channel in self._channels if (due := channel.due_in()) is not None]
            if not dues or time.monotonic() + min(dues) >= until:
                return "done"
            if min(dues) > 0:
                if not self._pause(min(dues), unless_woken=True):
                    return "gone"
                continue
            for channel in self._channels:
                delivery = channel.report_storms(deadline=time.monotonic() + EACH)
                if delivery is not None and delivery.status != "sent" and not (delivery.retry_after and self._pause(delivery.retry_after)):
                    return "gone"
        return "again"

    def _report_early(self) -> None:
        """Who leaves tells at once what a short job would else leave to the next one."""
        until = time.monotonic() + MOMENT
        for channel in self._channels:
            while channel.changed and time.monotonic() < until:
                delivery = channel.report_storms(deadline=until, early=True)
                if delivery is None or not again(delivery, until):
                    break
                time.sleep(delivery.retry_after)

    def _pause(self, seconds: float, *, unless_woken: bool = False) -> bool:
        """Wait for so many seconds; whether to go on."""
        with self._changed:
            self._changed.wait_for(lambda: self._leaving or (unless_woken and self._again), timeout=seconds)
            return not self._leaving
