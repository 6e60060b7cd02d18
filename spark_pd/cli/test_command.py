"""`spark-pd test`: does an incident really open and resolve with these settings?"""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spark_pd.cli.alert_by_hand import channel_of, confirmed
from spark_pd.cli.options import settings_from, settings_options
from spark_pd.cli.progress import working
from spark_pd.model import SEVERITIES, Alert, AlertState, Delivery, Severity, Subject
from spark_pd.model.errors import SettingsError

if TYPE_CHECKING:
    from spark_pd.pagerduty import PagerDutyChannel
    from spark_pd.settings import Settings

TABLE = "spark_pd test"
TRIGGER = "test"
STEPS: dict[AlertState, str] = {"firing": "open", "resolved": "resolve"}


@click.command(
    "test",
    epilog="""\b
Examples:
  spark-pd test --config-file pagerduty.yaml
  spark-pd test --conf spark.expectations.notifications.pagerduty.enabled=true \\
                --conf spark.expectations.notifications.pagerduty.integration.key=env:PAGERDUTY_KEY

Exit codes: 0 opened and resolved; 1 not delivered, or no incident; 2 usage or settings.""",
)
@click.option("--severity", type=click.Choice(SEVERITIES), default="info", show_default=True, help="The test incident's severity.")
@settings_options
@click.pass_context
def send(ctx: click.Context, severity: Severity, config_file: Path | None, conf: dict[str, str]) -> None:
    """Open a test incident with the configured settings, and resolve it.

    It is a real incident on the service that the integration key belongs to, about the table "spark_pd test", and whoever is on call
    there may be told of it. Every call of this command is an incident of its own. With spark.pd.rest.token, it also asks whether the
    incident is there.
    """
    settings = settings_from(config_file, conf)
    if not open_and_resolve(_channel(settings), settings, severity):
        ctx.exit(1)


def open_and_resolve(channel: PagerDutyChannel, settings: Settings, severity: Severity) -> bool:
    """Open a test incident on the channel and resolve it, and print what PagerDuty said. Whether it opened and closed."""
    unique = uuid.uuid4()
    opening, resolving = (_alert(settings, state, severity, unique) for state in STEPS)
    opened = _deliver(channel, opening, settings.deadline)
    # An answer that never came may still mean an open incident: only a refusal says that there is nothing to resolve.
    if opened.status != "sent" and opened.status_code is not None:
        return False
    there = opened.status != "sent" or confirmed(channel, opening)
    resolved = _deliver(channel, resolving, settings.deadline)
    good = opened.status == resolved.status == "sent" and there
    if good:
        click.echo(f"Opened and resolved: {opening.dedup_key}")
    return good


def _channel(settings: Settings) -> PagerDutyChannel:
    from spark_pd.settings import user_config

    if not settings.enabled or settings.integration_key is None:
        raise SettingsError(
            [f"PagerDuty is not enabled, so nothing can be sent: set {user_config.se_notifications_enable_pagerduty} to true, and the key"]
        )
    channel = channel_of(settings)
    click.echo(f"Sending to {channel.endpoint}")
    return channel


def _alert(settings: Settings, state: AlertState, severity: Severity, unique: uuid.UUID) -> Alert:
    subject = Subject(environment=settings.environment, product_id=settings.product_id, table=TABLE, job=str(unique))
    return Alert(
        trigger=TRIGGER,
        state=state,
        severity=severity,
        summary="Test incident of spark_pd: nothing is wrong, and it resolves itself",
        details={"sent by": "spark-pd test", "what to do": "nothing"},
        dedup_key=subject.dedup_key(TRIGGER),
        source="spark-pd test",
        component=TABLE,
        group=settings.product_id,
        at=datetime.now(timezone.utc),
    )


def _deliver(channel: PagerDutyChannel, alert: Alert, seconds: float) -> Delivery:
    step = STEPS[alert.state]
    started = time.monotonic()
    with working(f"{step}: waiting for the answer, {seconds:g} s at most"):
        delivery = channel.deliver(alert, deadline=started + seconds)
    took = time.monotonic() - started
    click.echo(f"{step:8} {delivery.status:8} {took:.1f} s, {delivery.attempts} attempts: {delivery.reason}")
    return delivery
