"""What becomes of an alert: its delivery, and the protocol of the channels that deliver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from spark_pd.model.alert import Alert

DeliveryStatus: TypeAlias = Literal["sent", "queued", "failed", "suppressed", "dead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of one alert on one channel, and why."""

    alert: Alert
    channel: str
    status: DeliveryStatus
    reason: str
    status_code: int | None = None
    attempts: int = 0
    retry_after: float = 0.0
    """Seconds after which another try makes sense, where it was too many events that stood in the way; else 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a channel sends, as the outbox remembers it: enough to know the same place again, and no key."""

    channel: str
    """The channel's name."""
    endpoint: str = ""
    """The URL that events are posted to."""
    reference: str | None = None
    """Where the key is kept, such as `env:PAGERDUTY_KEY`. None for a key that was given literally."""
    fingerprint: str | None = None
    """`Secret.fingerprint` of the key. None where the key is not known."""


class Channel(Protocol):
    """A named destination of alerts."""

    @property
    def name(self) -> str:
        """The channel's name in deliveries and logs."""

    @property
    def barred(self) -> str | None:
        """Why nothing may be sent from here at all, such as a guard for tests. Such alerts are not kept for later either."""

    def address(self) -> Address:
        """Where this channel sends. It looks up only keys that cost no network, and never raises."""

    def deliver(self, alert: Alert, *, deadline: float, only_to: str | None = None) -> Delivery:
        """Deliver one alert before `deadline` (seconds on time.monotonic's clock). Never raises: the Delivery says what went wrong.

        `failed` means that another try may help, `dead` that the alert was refused for good. With `only_to`, a fingerprint, nothing is
        sent unless the key has it.
        """


@runtime_checkable
class ConfirmingChannel(Channel, Protocol):
    """A channel that can be asked what became of an alert once it was accepted."""

    @property
    def confirms(self) -> bool:
        """Whether it is set up to be asked."""

    def confirm(self, alert: Alert, *, until: float) -> str | None:
        """What is wrong with an alert that was accepted, or why that is not known; None where somebody is told of it.

        It may take until `until` (time.monotonic's clock), and never raises.
        """
