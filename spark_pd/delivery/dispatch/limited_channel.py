"""A channel that is kept to the limits: repeats, the storm and the limiter between an alert and the channel that sends it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace

from spark_pd.delivery.dispatch.limiter import Limiter
from spark_pd.delivery.dispatch.rollup import RollUp
from spark_pd.delivery.outbox.entry import line_of
from spark_pd.delivery.outbox.shared_json import Shared
from spark_pd.model import Address, Alert, Channel, Delivery
from spark_pd.pagerduty import THROTTLED

NO_TOKEN = "the events that PagerDuty takes with this key are used up for now (spark.pd.rate)"
_REPEAT = 60.0  # seconds for which the same is not said again, where events run short
_SAID = 500  # incidents of which is remembered what was said last; who is forgotten is told again


def unkept(alert: Alert, channel: PacedChannel, deadline: float) -> Delivery | float:
    """Deliver what no outbox has: what became of it, or the seconds after which it is to come again."""
    delivery = channel.deliver_unkept(alert, deadline=deadline)
    if again(delivery, deadline):
        return delivery.retry_after
    if delivery.retry_after and not delivery.attempts:
        return channel.deliver_unkept(alert, deadline=deadline, regardless=True)
    return delivery


def again(delivery: Delivery, deadline: float) -> bool:
    """Whether it was too many events that stood in the way, and there is time to come again before `deadline` (time.monotonic's clock)."""
    return delivery.status == "failed" and 0 < delivery.retry_after < deadline - time.monotonic()


class PacedChannel:
    """A channel that never sends more than its key may, and never waits itself: `Delivery.retry_after` says when to come again.

    storm_of: the storm of an address; with True the one that the outbox remembers. said: what was accepted last for each incident, where
    all who send for an incident share it and hold its line meanwhile; None: nothing is held back for having been said.
    """

    def __init__(
        self,
        channel: Channel,
        limiter: Limiter,
        storm_of: Callable[[Address, bool], RollUp | None],
        *,
        clock: Callable[[], float],
        said: Shared | None,
    ) -> None:
        self._channel = channel
        self._limiter = limiter
        self._storm_of = storm_of
        self._clock = clock
        self._said = said

    @property
    def name(self) -> str:
        """The channel's name."""
        return self._channel.name

    @property
    def barred(self) -> str | None:
        """Why nothing may be sent from here at all."""
        return self._channel.barred

    def address(self) -> Address:
        """Where this channel sends."""
        return self._channel.address()

    def deliver(self, alert: Alert, *, deadline: float, only_to: str | None = None) -> Delivery:
        """As Channel has it, for an alert that the outbox holds: it may be rolled up, or have to come again after `retry_after`."""
        return self._deliver(alert, deadline, only_to, kept=True)

    def deliver_unkept(self, alert: Alert, *, deadline: float, regardless: bool = False) -> Delivery:
        """As `deliver`, for an alert that no outbox holds. With `regardless` it needs no token: losing it is worse than a 429."""
        return self._deliver(alert, deadline, None, kept=False, regardless=regardless)

    def due_in(self, *, early: bool = False) -> float | None:
        """In how many seconds `tell_storms` has something to do; None where it has not."""
        dues = [due for storm in self._storms() if (due := storm.due_in(early=early)) is not None]
        return min(dues, default=None)

    @property
    def changed(self) -> bool:
        """Whether this process changed a storm, and PagerDuty was not told yet."""
        return any(storm.changed for storm in self._storms())

    def report_storms(self, *, deadline: float, early: bool = False) -> Delivery | None:
        """Tell PagerDuty what is due of this channel's storms. The last delivery; None where nothing was due."""
        last: Delivery | None = None
        only_to = self._channel.address().fingerprint
        for storm in self._storms():
            last = storm.tell(lambda alert: self._send(alert, deadline, only_to), until=deadline, early=early) or last
        return last

    def _storms(self) -> list[RollUp]:
        address = self._channel.address()
        return [storm for kept in (True, False) if (storm := self._storm_of(address, kept)) is not None]

    def _deliver(self, alert: Alert, deadline: float, only_to: str | None, *, kept: bool, regardless: bool = False) -> Delivery:
        address = self._channel.address()
        if self.barred is not None or (only_to is not None and address.fingerprint not in (None, only_to)):
            return self._channel.deliver(alert, deadline=deadline, only_to=only_to)  # which says why it sends nothing
        if alert.change:  # it is no incident: nothing supersedes it, and no storm has it for a member
            return self._send(alert, deadline, only_to, regardless=regardless)
        line = line_of(self.name, alert)
        left = [storm for storm in self._storms() if storm.leave(alert, line)]
        if kept and (repeat := self._repeats(alert, line)) is not None:
            return Delivery(alert=alert, channel=self.name, status="sent", reason=repeat)
        storm = self._storm_of(address, kept) if alert.state == "firing" else None
        if storm is not None and storm.takes_in(alert, line):
            rolled_up = self._rolled_up(alert, line, storm, deadline, regardless)
            if rolled_up is not None:
                return rolled_up
        # From here on nobody knows what PagerDuty was told last, until it accepts this.
        self._remember(alert, line, accepted=False)
        delivery = self._send(alert, deadline, only_to, regardless=regardless)
        if delivery.status == "sent":
            self._remember(alert, line, accepted=kept)
            # Without an outbox nothing else comes by to tell it.
            if (left or not kept) and self.changed:
                self.report_storms(deadline=deadline)
        return delivery

    def _rolled_up(self, alert: Alert, line: str, storm: RollUp, deadline: float, regardless: bool) -> Delivery | None:
        """What becomes of an alert that is part of a storm; None where that could not be written down, so that it goes its own way."""
        try:
            storm.join(alert, line)
            key = storm.dedup_key
            if storm.is_open():
                reason = f"part of the storm incident {key}, which is open and lists it with its next update"
                return Delivery(alert=alert, channel=self.name, status="sent", reason=reason)
            only_to = self._channel.address().fingerprint
            told = storm.tell(lambda rolled: self._send(rolled, deadline, only_to, regardless=regardless), until=deadline)
            if storm.is_open():
                code, attempts = (told.status_code, told.attempts) if told is not None else (None, 0)
                reason = f"part of the storm incident {key}"
                return Delivery(alert=alert, channel=self.name, status="sent", reason=reason, status_code=code, attempts=attempts)
            if storm.is_refused():
                # Each for itself then, so that PagerDuty's word on it is its own.
                storm.leave(replace(alert, state="resolved"), line)
                return None
        except OSError:
            return None
        if told is None:
            reason = f"part of the storm incident {key}, which another process is about to open"
            return Delivery(alert=alert, channel=self.name, status="failed", reason=reason)
        return replace(told, alert=alert, reason=f"part of the storm incident {key}, which could not be opened: {told.reason}")

    def _send(self, alert: Alert, deadline: float, only_to: str | None, *, regardless: bool = False) -> Delivery:
        """Have the channel send it, with a token."""
        key = self._key()
        wait = 0.0 if regardless else self._limiter.take(key, urgent=alert.state == "firing" and not alert.change)
        if wait > 0:
            return Delivery(alert=alert, channel=self.name, status="failed", reason=NO_TOKEN, retry_after=wait)
        delivery = self._channel.deliver(alert, deadline=deadline, only_to=only_to)
        if delivery.status_code == THROTTLED:
            return replace(delivery, retry_after=self._limiter.close(key, delivery.retry_after))
        return delivery

    def _key(self) -> str:
        """What stands for the integration key in the limiter, and is no part of it."""
        address = self._channel.address()
        named = address.fingerprint or f"{address.channel} {address.reference}"
        return hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    # ---- repeats -------------------------------------------------------------------------------------------------------------------

    def _repeats(self, alert: Alert, line: str) -> str | None:
        """Why the alert need not be sent: the very same was the last that PagerDuty accepted, a moment ago, and events run short."""
        if self._said is None or not self._limiter.is_scarce(self._key()):
            return None
        with self._said.changing() as fields:
            known = fields.get(line)
        if not isinstance(known, list) or len(known) != 2 or known[0] != self._same(alert) or not isinstance(known[1], (int, float)):
            return None
        ago = self._clock() - known[1]
        return f"the same was accepted {ago:.0f} s ago, and stands for it" if 0 <= ago < _REPEAT else None

    def _remember(self, alert: Alert, line: str, *, accepted: bool) -> None:
        if self._said is None or not self._limiter.rate:
            return
        with self._said.changing() as fields:
            fields.pop(line, None)
            if accepted:
                fields[line] = [self._same(alert), self._clock()]
                for name in list(fields)[: max(0, len(fields) - _SAID)]:
                    del fields[name]

    def _same(self, alert: Alert) -> str:
        """Equal for alerts that say the same with the same key: no run id, time or detail is in it."""
        parts = (self._key(), alert.state, alert.severity, alert.summary)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
