"""The limits on what goes out, and what they are counted by: in this process, or in files beside the outbox."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spark_pd.delivery.dispatch.limited_channel import PacedChannel
from spark_pd.delivery.dispatch.limiter import Limiter
from spark_pd.delivery.dispatch.rollup import RollUp
from spark_pd.delivery.outbox import Outbox
from spark_pd.delivery.outbox.shared_json import Shared
from spark_pd.delivery.outbox.storm_members import FiledMembers, Members, OwnMembers
from spark_pd.model import Address, Channel
from spark_pd.pagerduty import is_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may go out.

    rate: events a minute and integration key (spark.pd.rate; PagerDuty takes about 120); 0: no limit.
    storm: firing alerts a minute and key that stay incidents of their own (spark.pd.storm.limit); 0: all of them.
    environment: part of the storm incident's identity.
    """

    rate: float = 0.0
    storm: int = 0
    environment: str | None = None


class Pace:
    """Keeps one process to the limits, and together with the others of its outbox where that is on a local disk.

    clock: the wall clock in seconds. It may jump.
    """

    def __init__(self, limits: Limits, outbox: Outbox | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._limits = limits
        self._outbox = outbox
        self._clock = clock
        self._shared: Path | None = outbox.folder / "limits" if outbox is not None and outbox.is_local else None
        self._limiter = Limiter(limits.rate, self._shared, clock=clock)
        self._lock = threading.Lock()
        self._channels: dict[Channel, PacedChannel] = {}
        self._storms: dict[tuple[str, bool], RollUp] = {}

    def channel(self, channel: Channel) -> PacedChannel:
        """The channel, kept to the limits; for one channel always the same."""
        with self._lock:
            if channel not in self._channels:
                self._channels[channel] = PacedChannel(
                    channel, self._limiter, self._storm, clock=self._clock, said=Shared(self._said(channel)) if self._shared else None
                )
            return self._channels[channel]

    def report_storms(self, *, until: float, pause: Callable[[float], bool]) -> None:
        """Tell PagerDuty what is due now of the storms of all channels so far, until `until` (time.monotonic's clock).

        `pause` waits so many seconds for the next event that PagerDuty takes, and says whether to go on.
        """
        for channel in list(self._channels.values()):
            while channel.due_in() == 0.0 and time.monotonic() < until:
                told = channel.report_storms(deadline=until)
                after = told.retry_after if told is not None and told.status != "sent" else 0.0
                if told is None or (told.status != "sent" and not (0 < after < until - time.monotonic() and pause(after))):
                    break

    def _said(self, channel: Channel) -> Path | None:
        return None if self._shared is None else self._shared / f"said-{_digest(channel.name)}.json"

    def _storm(self, address: Address, kept: bool) -> RollUp | None:
        """The storm of an address; with `kept`, the one that the outbox remembers. None where nobody knows whose key it is."""
        if address.fingerprint is None:
            return None
        kept = kept and self._outbox is not None
        place = _digest(address.channel, address.fingerprint, str(is_loopback(address.endpoint)), self._limits.environment or "")
        with self._lock:
            if (place, kept) not in self._storms:
                self._storms[place, kept] = self._new_storm(place, kept)
            return self._storms[place, kept]

    def _new_storm(self, place: str, kept: bool) -> RollUp:
        members: Members = OwnMembers()
        # Two processes without an outbox know nothing of each other: neither may close the other's.
        name = f"of process {socket.gethostname()} {os.getpid()}"
        if kept and self._outbox is not None:
            members = FiledMembers(self._outbox.folder / "storms" / place, local=self._outbox.is_local)
            # A folder that several machines share has one name on all of them, or they could not close each other's.
            name = _digest(socket.gethostname() if self._outbox.is_local else "", str(self._outbox.folder.absolute()))[:8]
        return RollUp(
            members,
            Shared(self._shared / f"recent-{place}.json" if kept and self._shared else None),
            limit=self._limits.storm,
            environment=self._limits.environment,
            name=name,
            lasting=kept,
            clock=self._clock,
        )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
