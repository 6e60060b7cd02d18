"""`spark-pd ack`, `spark-pd resolve` and `spark-pd check-key`: an incident, or a key, by hand."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spark_pd.cli.alert_by_hand import by_hand, channel_of, channels_of, in_service, sent
from spark_pd.cli.options import settings_from, settings_options
from spark_pd.model import DEDUP_KEY_LIMIT, Alert, Delivery

if TYPE_CHECKING:
    from spark_pd.pagerduty import PagerDutyChannel

EXAMPLE = "spark_pd/prod/sales/sales.orders/failure"
PATIENCE = 10.0  # seconds, at least: who types a command can wait


def _dedup_key(ctx: click.Context, param: click.Parameter, given: str) -> str:
    if not given.strip() or len(given) > DEDUP_KEY_LIMIT:
        raise click.BadParameter(f"expected 1 to {DEDUP_KEY_LIMIT} characters, such as {EXAMPLE}")
    return given


def _about_an_incident(command: Callable[..., None]) -> click.Command:
    """A command with the argument DEDUP_KEY and the options of the settings, named as its function is."""
    epilog = f"""\b
Example:
  spark-pd {command.__name__} {EXAMPLE} --config-file pagerduty.yaml

Exit codes: 0 accepted; 1 not delivered; 2 usage or settings."""
    argument = click.argument("dedup_key", callback=_dedup_key)
    return click.command(epilog=epilog)(argument(settings_options(click.pass_context(command))))


@_about_an_incident
def ack(ctx: click.Context, dedup_key: str, config_file: Path | None, conf: dict[str, str]) -> None:
    """Acknowledge the open incident with DEDUP_KEY: PagerDuty stops to escalate it.

    PagerDuty ignores it where no incident with that key is open, and says the same then.
    """
    settings = settings_from(config_file, conf)
    alert, seconds = by_hand(dedup_key, "firing", source="spark-pd ack"), _seconds(settings.deadline)
    every = [sent(_what("acknowledge", channel), seconds, partial(_acknowledge, channel, alert)) for channel in channels_of(settings)]
    ctx.exit(0 if all(every) else 1)


@_about_an_incident
def resolve(ctx: click.Context, dedup_key: str, config_file: Path | None, conf: dict[str, str]) -> None:
    """Resolve the open incident with DEDUP_KEY, and drop older alerts for it that wait in the outbox.

    PagerDuty ignores it where no incident with that key is open, and says the same then. Where it cannot be delivered, it waits in the
    outbox.
    """
    from spark_pd.delivery.dispatch import Dispatcher, Limits
    from spark_pd.delivery.outbox import open_outbox
    from spark_pd.delivery.state import FileStateStore
    from spark_pd.model.incident_state import forget
    from spark_pd.runs.channels import channel_of as wiring_channel
    from spark_pd.runs.wiring import place_for

    settings = settings_from(config_file, conf)
    # By way of the outbox: an older alert that waits there would open the incident again. And a member leaves its storm.
    outbox, alert = open_outbox(settings.outbox_path), by_hand(dedup_key, "resolved", source="spark-pd resolve")
    seconds = _seconds(settings.deadline)

    def resolved(channel: PagerDutyChannel) -> Delivery:
        """What became of the resolve on one channel."""
        dispatcher = Dispatcher([channel], outbox=outbox, limits=Limits(environment=settings.environment))
        return dispatcher.submit([alert], seconds=seconds).wait()[0]

    channels = channels_of(settings)
    every = [sent(_what("resolve", channel), seconds, lambda until, each=channel: resolved(each)) for channel in channels]  # type: ignore[misc]
    if all(every) and outbox is not None:
        # Else the next bad run would take it for open, and report nothing where only changes are reported.
        forget(FileStateStore(outbox.folder / "state", place=place_for(settings, wiring_channel(settings))), dedup_key)
    ctx.exit(0 if all(every) else 1)


@click.command(
    "check-key",
    epilog="""\b
Examples:
  spark-pd check-key --config-file pagerduty.yaml
  spark-pd check-key --conf spark.expectations.notifications.pagerduty.integration.key=env:PAGERDUTY_KEY

Exit codes: 0 the key works; 1 it does not, its service opens no incidents, or PagerDuty did not answer; 2 usage or settings.""",
)
@settings_options
@click.pass_context
def check_key(ctx: click.Context, config_file: Path | None, conf: dict[str, str]) -> None:
    """Prove that the integration key works, without paging anybody.

    It resolves an incident that there never was, which PagerDuty accepts from a good key only, and ignores. With spark.pd.rest.token,
    it also asks whether the key's service is disabled or in maintenance.
    """
    settings = settings_from(config_file, conf)
    channel = channel_of(settings)
    click.echo(f"Asking {channel.endpoint}")
    alert = by_hand(f"spark_pd/check-key/{uuid.uuid4()}", "resolved", source="spark-pd check-key")
    works = sent("check-key", _seconds(settings.deadline), lambda until: channel.deliver(alert, deadline=until))
    click.echo("The key works." if works else "It is not proven that the key works.")
    ctx.exit(0 if works and in_service(channel) else 1)


def _what(what: str, channel: PagerDutyChannel) -> str:
    """What is done, with the channel's name where there may be several."""
    return what if channel.name == "pagerduty" else f"{what} on {channel.name}"


def _acknowledge(channel: PagerDutyChannel, alert: Alert, until: float) -> Delivery:
    return channel.acknowledge(alert, deadline=until)


def _seconds(deadline: float) -> float:
    return max(deadline, PATIENCE)
