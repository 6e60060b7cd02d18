"""Between the dispatcher and the outbox: alerts are kept before they are sent, and what waits is left to who may send it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from spark_pd.delivery.dispatch.limited_channel import PacedChannel, again, unkept
from spark_pd.delivery.dispatch.limits import Limits, Pace
from spark_pd.delivery.dispatch.outbox_sender import Sender
from spark_pd.delivery.dispatch.submission import Task
from spark_pd.delivery.outbox import Entry, Outbox, Outcome
from spark_pd.delivery.outbox.entry import line_of
from spark_pd.delivery.outbox.owner import owner_lives
from spark_pd.delivery.outbox.replay import SUPERSEDED, all_dropped, conclude, drop_older
from spark_pd.model import Channel, Delivery, DeliveryStatus
from spark_pd.pagerduty import ANOTHER_KEY, is_loopback

logger = logging.getLogger("spark_pd.dispatch")

YOUNG = 30.0  # seconds for which an alert is left to the process that made it, as long as that lives
UNKNOWN_KEY = "its key was not known when it was queued, so nobody can tell whose it is: spark-pd outbox replay --unverified"


class Keeper:
    """Keeps tasks in the outbox while they are under way. It belongs to one process: a forked child makes its own."""

    def __init__(self, outbox: Outbox, channels: Sequence[Channel], pace: Pace | None = None) -> None:
        pace = pace or Pace(Limits(), outbox)
        self._outbox = outbox
        self._channels = {channel.name: pace.channel(channel) for channel in channels}
        self._lock = threading.Lock()
        self._mine: dict[str, Task] = {}  # what this process kept and did not get rid of, by the entry's id
        self._sender = Sender(
            outbox, route=self._route, under_way=self._is_under_way, told=self._forget_sent, channels=tuple(self._channels.values())
        )

    def keep(self, tasks: Sequence[Task]) -> None:
        """Put the tasks on the disk, before anything else is done with them. Where that fails they are sent all the same."""
        wanted = [(task, task.channel) for task in tasks if task.channel is not None and task.channel.barred is None]
        kept = self._outbox.keep([(task.alert, channel.address()) for task, channel in wanted])
        for (task, channel), entry in zip(wanted, kept, strict=True):
            if isinstance(entry, Entry):
                task.entry = entry
                with self._lock:
                    self._mine[entry.id] = task
            else:
                task.unkept = entry
                # Not by the names alone: what a killed process left half done is older too.
                task.older = tuple(other.name for other in self._outbox.waiting(line_of(channel.name, task.alert)))
        unkept = [task.unkept for task, _ in wanted if task.unkept is not None]
        if unkept:
            logger.warning("the outbox could not keep %d of %d alerts, which are sent without: %s", len(unkept), len(wanted), unkept[0])

    def deliver(self, task: Task, entry: Entry, channel: PacedChannel, deadline: float) -> Delivery | float:
        """Have the channel deliver a task that was kept, while nobody else sends for its incident.

        Gives the seconds after which it is to come again, where it has to make way for others and its time is not over by then.
        """
        with self._outbox.lock(entry.line, until=deadline) as mine:
            if not mine:
                return _delivery(task, channel, "queued", "another process is sending for the same incident; it waits in the outbox")
            place = self._outbox.holds(entry)
            if place is None:
                self._forget(entry)
                return _delivery(task, channel, "sent", "another process took it out of the outbox and sent it, or a newer verdict")
            older = [other for other in self._outbox.waiting(entry.line) if other.goes_where(entry)]
            dropped = drop_older(self._outbox, entry, older)
            for each in dropped:
                self._forget(each.entry)
            delivery = channel.deliver(task.alert, deadline=deadline)
            if again(delivery, deadline):
                return delivery.retry_after
            conclude(self._outbox, entry, delivery, channel.address().fingerprint, is_last=all_dropped(dropped))
        if delivery.status == "sent" or delivery.retry_after:
            self._sender.wake()
        if delivery.status == "failed":
            reason = f"{delivery.reason}; it waits in the outbox"
            return _delivery(task, channel, "queued", reason, status_code=delivery.status_code, attempts=delivery.attempts)
        self._forget(entry)
        return delivery

    def deliver_unkept(self, task: Task, channel: PacedChannel, deadline: float) -> Delivery | float:
        """Have the channel deliver a task that could not be kept. What waits for its incident is older, and may not follow it."""
        line = line_of(channel.name, task.alert)
        now = time.monotonic()
        # Nobody else knows of this alert, so it is not left to who holds the line; half the time is for sending it.
        with self._outbox.lock(line, until=now + (deadline - now) / 2):
            delivery = unkept(task.alert, channel, deadline)
            if isinstance(delivery, float):
                return delivery
            # Also where it failed: an older verdict is no truer for that, and the log has the newer one.
            address = channel.address()
            for other in self._outbox.waiting(line):
                if other.name in task.older and other.goes_to(address):
                    self._outbox.drop(other, SUPERSEDED)
                    self._forget(other)
        return delivery

    def leave(self, entry: Entry, reason: str, *, turn: bool) -> None:
        """Note that nobody waits for it any more: others may try it. With `turn` it was waiting for its turn, and gets one later."""
        # Under the lock, or the note of one that was sent meanwhile would stay behind. Whoever holds it is sending.
        with self._outbox.lock(entry.line, until=0.0) as mine:
            if not mine or self._outbox.holds(entry) != "queued":
                return
            self._outbox.note(entry, reason)
        if turn:
            self._sender.wake()

    def join(self, until: float) -> None:
        """Wait for what is being sent of what waits, until `until` (time.monotonic's clock) at the longest."""
        self._sender.join(until)

    def _route(self, entry: Entry) -> PacedChannel | str:
        channel = self._channels.get(entry.address.channel)
        if channel is None:
            return f"there is no channel {entry.address.channel!r} here"
        if channel.barred is not None:
            return channel.barred
        if self._is_under_way(entry):
            return "it is being sent right now"
        here = channel.address()
        if entry.id not in self._mine:
            if entry.address.fingerprint is None:
                return UNKNOWN_KEY
            if entry.address.fingerprint != here.fingerprint:
                return ANOTHER_KEY
        if is_loopback(entry.address.endpoint) != is_loopback(here.endpoint):
            return f"it is for {entry.address.endpoint}, and this process sends to {here.endpoint}"
        return channel

    def _is_under_way(self, entry: Entry) -> bool:
        task = self._mine.get(entry.id)
        if task is not None:
            return task.delivery is None
        return entry.reason is None and abs(time.time() - entry.stamp / 1e9) < YOUNG and owner_lives(entry) is not False

    def _forget_sent(self, outcome: Outcome | None) -> None:
        """Forget what was sent, or with None what another process sent, of what this one had queued."""
        if outcome is not None:
            if outcome.status != "queued":
                self._forget(outcome.entry)
            return
        names = frozenset(self._outbox.names())
        with self._lock:
            done = [id for id, task in self._mine.items() if task.delivery and task.entry and task.entry.name not in names]
            for id in done:
                del self._mine[id]

    def _forget(self, entry: Entry) -> None:
        with self._lock:
            self._mine.pop(entry.id, None)


def _delivery(
    task: Task, channel: Channel, status: DeliveryStatus, reason: str, *, status_code: int | None = None, attempts: int = 0
) -> Delivery:
    return Delivery(alert=task.alert, channel=channel.name, status=status, reason=reason, status_code=status_code, attempts=attempts)
