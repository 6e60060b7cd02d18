"""Where an alert of the outbox may go from this machine, and why it stays otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_pd.cli.alert_by_hand import channel_of
from spark_pd.model import Channel, SecretReference
from spark_pd.model.errors import SecretError

if TYPE_CHECKING:
    from spark_pd.delivery.dispatch import Pace
    from spark_pd.delivery.outbox import Entry
    from spark_pd.settings import Settings


class Routes:
    """Where an entry may go from here: to the settings' own key, or to what its reference gives on this machine."""

    def __init__(self, settings: Settings, pace: Pace, *, unverified: bool) -> None:
        self._settings = settings
        self._pace = pace
        self._unverified = unverified
        self._own = None if settings.integration_key is None else pace.channel(channel_of(settings))
        self._endpoint = "" if self._own is None else self._own.address().endpoint
        self._found: dict[str, Channel | str] = {}

    def route(self, entry: Entry) -> Channel | str:
        """The channel that an entry may go to, or why it stays."""
        from spark_pd.pagerduty import ANOTHER_KEY, is_loopback
        from spark_pd.runs.channels import CHANNEL_NAME

        address, own = entry.address, self._own
        if address.channel != CHANNEL_NAME:
            return f"there is no channel {address.channel!r} here"
        if own is not None and address.fingerprint is not None and own.address().fingerprint == address.fingerprint:
            if is_loopback(address.endpoint) == is_loopback(self._endpoint):
                return own
            return f"it is for {address.endpoint}, and the settings send to {self._endpoint}"
        if address.reference is None:
            return "its key was given literally: give the same key in the settings"
        if address.fingerprint is None and not self._unverified:
            return f"its key was not known when it was queued: --unverified sends it to what {address.reference} is here"
        channel = self._by_reference(address.reference, address.endpoint)
        if isinstance(channel, str) or address.fingerprint in (None, channel.address().fingerprint):
            return channel
        return ANOTHER_KEY

    def _by_reference(self, reference: str, endpoint: str) -> Channel | str:
        """A channel to the key that a reference gives here, once for each; or why there is none."""
        place = f"{reference} {endpoint}"
        if place not in self._found:
            self._found[place] = self._looked_up(reference, endpoint)
        return self._found[place]

    def _looked_up(self, reference: str, endpoint: str) -> Channel | str:
        from spark_pd.pagerduty import endpoint as endpoint_of
        from spark_pd.pagerduty import host, is_loopback
        from spark_pd.runs.channels import channel_to, secret_context
        from spark_pd.secrets import parse_reference, resolve

        # The outbox is a folder that others may be able to write to: a key goes nowhere just because a file there says so.
        trusted = {endpoint_of("us"), endpoint_of("eu"), endpoint_of(self._settings.region, self._settings.url)}
        if endpoint not in trusted:
            return f"it is for {endpoint}, which is neither PagerDuty's own nor that of the settings"
        allowed = self._settings.allowed_hosts
        if allowed is not None and host(endpoint) not in allowed and not is_loopback(endpoint):
            return f"it is for {endpoint}, which is not in spark.pd.allowed_hosts"
        source = parse_reference(reference)
        if not isinstance(source, SecretReference):
            return f"{reference} is no reference that is known here"
        try:
            secret = resolve(source, context=secret_context(self._settings))
        except SecretError as error:
            return str(error)
        return self._pace.channel(channel_to(self._settings, endpoint=endpoint, key=lambda: secret))
