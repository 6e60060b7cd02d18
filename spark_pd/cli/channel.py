"""What the commands that send have in common: the channel of the settings, and an alert made by hand."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from spark_pd.cli.progress import working
from spark_pd.errors import SettingsError
from spark_pd.model import Alert, AlertState, Delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_pd.pagerduty import PagerDutyChannel
    from spark_pd.settings import Settings


def channel_of(settings: Settings) -> PagerDutyChannel:
    """The channel of the settings, enabled or not: who types a command means it. Raises SettingsError where there is no key."""
    from spark_pd import channels
    from spark_pd.settings import user_config

    if settings.integration_key is None:
        raise SettingsError([f"there is no integration key: set {user_config.se_notifications_pagerduty_integration_key}"])
    return channels.channel_of(settings)


def by_hand(dedup_key: str, state: AlertState, *, source: str) -> Alert:
    """An alert about an incident of which no more than its key is known."""
    return Alert(
        trigger=source,
        state=state,
        severity="info",
        summary=f"{state} by {source}",
        dedup_key=dedup_key,
        source=source,
        component=source,
        at=datetime.now(timezone.utc),
    )


def sent(what: str, seconds: float, send: Callable[[float], Delivery]) -> bool:
    """Have `send` do it within so many seconds, and print what became of it. Whether PagerDuty accepted it."""
    started = time.monotonic()
    with working(f"{what}: waiting for the answer, {seconds:g} s at most"):
        delivery = send(started + seconds)
    click.echo(f"{what:11} {delivery.status:8} {time.monotonic() - started:.1f} s, {delivery.attempts} attempts: {delivery.reason}")
    return delivery.status == "sent"
