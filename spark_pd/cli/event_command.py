"""`spark-pd event`: a CloudEvent from elsewhere becomes an alert."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click

from spark_pd.cli.options import settings_from, settings_options


@click.command(
    epilog="""\b
Examples:
  spark-pd event evaluation.json --config-file pagerduty.yaml
  cat evaluation.json | spark-pd event - --config-file pagerduty.yaml

Exit codes: 0 sent; 1 not delivered; 2 usage or settings."""
)
@click.argument("file", type=click.File("rb"))
@settings_options
@click.pass_context
def event(ctx: click.Context, file: BinaryIO, config_file: Path | None, conf: dict[str, str]) -> None:
    """Send an alert for the CloudEvent in FILE (JSON; - is the standard input), by the same templates and routes as a run's alerts."""
    from spark_pd.runs.incoming_event import alert_of, send_event

    settings = settings_from(config_file, conf)
    alert = alert_of(file.read(), settings.environment)
    deliveries = send_event(alert, settings)
    for each in deliveries:
        click.echo(f"{each.alert.state:10} {each.channel:16} {each.status:10} {each.reason}")
    ctx.exit(0 if deliveries and all(each.status == "sent" for each in deliveries) else 1)
