"""What was submitted together: its tasks, its deadline, and the waiting for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from spark_pd.delivery.outbox import Entry
from spark_pd.model import Alert, Channel, Delivery, DeliveryStatus

logger = logging.getLogger("spark_pd.dispatch")


class Task:
    """One alert for one channel. It is settled once, by whoever comes first: the channel, or the deadline."""

    def __init__(self, alert: Alert, channel: Channel | None, *, deadline: float, seconds: float) -> None:
        self.alert = alert
        self.channel = channel
        self.deadline = deadline  # on time.monotonic's clock
        self.seconds = seconds
        self.not_before = 0.0  # on the same clock: it had to make way for others
        self.delivery: Delivery | None = None
        self.entry: Entry | None = None
        """Its entry in the outbox, where it has one."""
        self.unkept: str | None = None
        """Why the outbox could not keep it, where it should have."""
        self.older: tuple[str, ...] = ()
        """The files of the alerts that waited for its incident when the outbox could not keep it."""
        self._reported = False
        self._lock = threading.Lock()
        self._settled = threading.Event()

    @property
    def channel_name(self) -> str:
        """The channel's name; `none` where there is no channel."""
        return self.channel.name if self.channel is not None else "none"

    def settle(self, delivery: Delivery) -> None:
        """Make that the delivery, and log it, unless there is one already: what was reported once does not change."""
        with self._lock:
            if self.delivery is not None:
                logger.debug("%s %s: too late, %s", self.alert.trigger, self.alert.state, delivery.status)
                return
            self.delivery = delivery
        # Without time the outbox is where it was meant to go.
        as_asked = delivery.status in ("sent", "suppressed") or (delivery.status == "queued" and self.seconds == 0)
        level = logging.INFO if as_asked else logging.WARNING
        logger.log(
            level,
            "%s %s on %s: %s, %s [%s]",
            self.alert.trigger,
            self.alert.state,
            delivery.channel,
            delivery.status,
            delivery.reason,
            self.alert.dedup_key,
        )
        self._settled.set()

    def conclude(self, status: DeliveryStatus, reason: str) -> None:
        """Settle it without having asked the channel."""
        self.settle(Delivery(alert=self.alert, channel=self.channel_name, status=status, reason=reason))

    def amend(self, found: str) -> None:
        """Add to the delivery's reason what came to light after it, unless somebody has read it already."""
        with self._lock:
            if self.delivery is not None and not self._reported:
                self.delivery = replace(self.delivery, reason=f"{self.delivery.reason}, but {found}")

    def not_sent(self, reason: str) -> None:
        """Settle it as not sent this time: `queued` where the outbox has it, else `failed`."""
        if self.entry is not None:
            self.conclude("queued", f"{reason}; it waits in the outbox")
        else:
            self.conclude("failed", reason if self.unkept is None else f"{reason}; the outbox could not keep it: {self.unkept}")

    def expire(self) -> None:
        """Settle it as not sent: its time is over, or nobody waits for it any longer."""
        if time.monotonic() >= self.deadline:
            self.not_sent(f"not delivered within {self.seconds:g} s (spark.pd.deadline)")
        else:
            self.not_sent(f"not delivered yet when the waiting ended, before its {self.seconds:g} s (spark.pd.deadline) were over")

    def wait(self, until: float) -> Delivery:
        """Its delivery, at `until` (time.monotonic's clock) at the latest."""
        self._settled.wait(min(threading.TIMEOUT_MAX, max(0.0, until - time.monotonic())))
        if self.delivery is None:
            self.expire()
        # Between `delivery` and `_settled` lies only a log line, so there is one now.
        assert self.delivery is not None
        with self._lock:
            self._reported = True
            return self.delivery


class Submission:
    """Alerts that were submitted together. Every one of them gets its Delivery by the deadline."""

    def __init__(self, tasks: Sequence[Task], *, relieve: Callable[[], None]) -> None:
        self._tasks = tuple(tasks)
        self._relieve = relieve

    def wait(self, seconds: float | None = None) -> tuple[Delivery, ...]:
        """The deliveries in the order of the alerts, after `seconds` or at the deadline at the latest.

        What is not delivered by then is `queued` where the outbox has it: a later run sends it. Else it is `failed`, and is not sent
        later. What was reported once does not change.
        """
        most = float("inf") if seconds is None else time.monotonic() + max(0.0, seconds)
        deliveries = tuple(task.wait(min(task.deadline, most)) for task in self._tasks)
        if any(time.monotonic() >= task.deadline for task in self._tasks):
            self._relieve()  # the worker may be stuck with one of these: what others submitted should not wait for it
        return deliveries
