"""One dispatcher for each channel, so that a channel that hangs, refuses or has no key delays and loses nothing of another's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from spark_pd.delivery.dispatch.dispatcher import Dispatcher
from spark_pd.delivery.dispatch.submission import Submission
from spark_pd.model import Address, Alert, Channel, Delivery

GONE = (
    "the channel {name} is not in the settings any more, or has another key, and its old key cannot be had here ({why}); "
    "resolve the incident by hand: spark-pd resolve {key}"
)
NOBODY = "no channel takes this alert: spark-pd routes shows why"


class ChannelDispatchers:
    """Hands each alert to the dispatchers of its channels.

    make: a dispatcher for one channel. former: a channel to an address that no channel of the settings has any more, or why there is
    none.
    """

    def __init__(
        self, channels: Sequence[Channel], make: Callable[[Channel], Dispatcher], *, former: Callable[[Address], Channel | str]
    ) -> None:
        self._make = make
        self._former = former
        self._channels = {channel.name: channel for channel in channels}
        self._dispatchers = {channel.name: make(channel) for channel in channels}
        self._formers: dict[Address, Dispatcher | str] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"ChannelDispatchers([{', '.join(self._channels)}])"

    def address(self, name: str) -> Address:
        """Where the channel of that name sends now. A key that is dear to look up has no fingerprint yet."""
        return self._channels[name].address()

    def submit(
        self,
        alerts: Sequence[tuple[Alert, Sequence[Address]]],
        *,
        seconds: float,
        made: Callable[[Alert, str], Alert] = lambda alert, channel: alert,
    ) -> Submissions:
        """Hand each alert, as `made` makes it for a channel, to its channels. All of them together have `seconds`.

        Returns once they are in the outbox.
        """
        parts: dict[int, tuple[Dispatcher, list[Alert]]] = {}
        concluded = []
        for alert, addresses in alerts:
            if not addresses:
                concluded.append(Delivery(alert=alert, channel="none", status="suppressed", reason=NOBODY))
            for address in addresses:
                dispatcher = self._dispatcher_to(address)
                if isinstance(dispatcher, str):
                    reason = GONE.format(name=address.channel, why=dispatcher, key=alert.dedup_key)
                    concluded.append(Delivery(alert=alert, channel=address.channel, status="failed", reason=reason))
                else:
                    parts.setdefault(id(dispatcher), (dispatcher, []))[1].append(made(alert, address.channel))
        return Submissions([part.submit(own, seconds=seconds) for part, own in parts.values()], concluded)

    def flush(self, seconds: float) -> None:
        """Wait for what is under way on every channel, so many seconds at most for all of them."""
        until = time.monotonic() + seconds
        with self._lock:
            every = [*self._dispatchers.values(), *(each for each in self._formers.values() if isinstance(each, Dispatcher))]
        threads = [threading.Thread(target=each.flush, args=(seconds,), daemon=True, name="spark_pd-flush") for each in every]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _dispatcher_to(self, address: Address) -> Dispatcher | str:
        mine = self._channels.get(address.channel)
        if mine is not None and _is_same(mine.address(), address):
            return self._dispatchers[address.channel]
        with self._lock:
            if address not in self._formers:
                channel = self._former(address)
                self._formers[address] = channel if isinstance(channel, str) else self._make(channel)
            return self._formers[address]


class Submissions:
    """What was submitted together, on whichever channels."""

    def __init__(self, parts: Sequence[Submission], concluded: Sequence[Delivery]) -> None:
        self._parts = tuple(parts)
        self._concluded = tuple(concluded)

    def wait(self, seconds: float | None = None) -> tuple[Delivery, ...]:
        """The deliveries, after `seconds` or at the deadline at the latest: channels are waited for together, not one after the other."""
        until = None if seconds is None else time.monotonic() + seconds
        found: list[Delivery] = []
        for part in self._parts:
            found += part.wait(None if until is None else max(0.0, until - time.monotonic()))
        return (*found, *self._concluded)


def _is_same(now: Address, before: Address) -> bool:
    """Whether a channel still has the key that it had, as far as can be told without a look-up."""
    if now.fingerprint is not None and before.fingerprint is not None:
        return now.fingerprint == before.fingerprint or (now.reference is not None and now.reference == before.reference)
    return now.reference == before.reference
