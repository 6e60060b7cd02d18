"""What the commands that send have in common: the channel of the settings, and an alert made by hand."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from spark_pd.cli.progress import working
from spark_pd.model import Alert, AlertState, Delivery
from spark_pd.model.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from spark_pd.delivery.dispatch import Limits
    from spark_pd.pagerduty import PagerDutyChannel
    from spark_pd.settings import Settings


def channel_of(settings: Settings) -> PagerDutyChannel:
    """The channel of the settings, enabled or not: who types a command means it. Raises SettingsError where there is no key."""
    from spark_pd.runs import channels
    from spark_pd.settings import user_config

    if settings.integration_key is None:
        raise SettingsError([f"there is no integration key: set {user_config.se_notifications_pagerduty_integration_key}"])
    return channels.channel_of(settings)


def channels_of(settings: Settings) -> list[PagerDutyChannel]:
    """Every channel of the settings. Raises SettingsError where there is none."""
    from spark_pd.runs import channels

    return channels.channels_of(settings) if settings.directions.channels else [channel_of(settings)]


def limits_of(settings: Settings) -> Limits:
    """How much the settings let out."""
    from spark_pd.delivery.dispatch import Limits

    return Limits(rate=settings.rate, storm=int(settings.storm_limit), environment=settings.environment)


LOOK = 20.0  # seconds for asking PagerDuty's REST API


def confirmed(channel: PagerDutyChannel, alert: Alert) -> bool:
    """Ask PagerDuty what became of an accepted alert, where there is a REST token, and print it. False where something is wrong."""
    if not channel.confirms:
        return True
    with working(f"asking PagerDuty for its incident, {LOOK:g} s at most"):
        problem = channel.confirm(alert, until=time.monotonic() + LOOK)
    click.echo("PagerDuty has the incident" if problem is None else f"It was accepted, but {problem}")
    return problem is None


def in_service(channel: PagerDutyChannel) -> bool:
    """Ask PagerDuty for the key's service, where there is a REST token, and print how it is. False where it opens no incidents."""
    if not channel.confirms:
        return True
    with working(f"asking PagerDuty for the key's service, {LOOK:g} s at most"):
        good, sentence = channel.state(until=time.monotonic() + LOOK)
    click.echo(sentence)
    return good


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
