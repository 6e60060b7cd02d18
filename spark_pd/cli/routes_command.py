"""`spark-pd routes`: which channels an alert about a table goes to, and why."""

from __future__ import annotations

import json
from pathlib import Path

import click

from spark_pd.cli.options import settings_from, settings_options
from spark_pd.model import SEVERITIES, Severity, normalized_table


@click.command(
    epilog="""\b
Example:
  spark-pd routes sales.orders --trigger failure --severity critical --config-file pagerduty.yaml

Exit codes: 0 somebody is told; 1 no channel takes it; 2 usage or settings."""
)
@click.argument("table")
@click.option("--trigger", help="The trigger; failure unless it is given.")
@click.option("--severity", type=click.Choice(SEVERITIES), help="The alert's severity.")
@click.option("--rule", help="A rule that failed.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@settings_options
@click.pass_context
def routes(
    ctx: click.Context,
    table: str,
    trigger: str | None,
    severity: Severity | None,
    rule: str | None,
    as_json: bool,
    config_file: Path | None,
    conf: dict[str, str],
) -> None:
    """Say which routes an alert about TABLE matches, which channels it goes to, and why. Nothing is sent."""
    from spark_pd.runs.channels import explain, router_of

    settings, name = settings_from(config_file, conf), normalized_table(table)
    found, router = explain(settings, name, trigger=trigger, severity=severity, rule=rule), router_of(settings)
    owner = None if router is None else router.owner_of(name)
    if as_json:
        shown = {
            "table": name,
            "channels": list(found.channels),
            "routes": [str(route) for route in found.routes],
            "reasons": list(found.reasons),
            "owner": None if owner is None else owner.name,
            "runbook": None if router is None else router.runbook_of(name),
        }
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
    else:
        click.echo(str(found))
        if owner is not None:
            click.echo(f"owner: {owner.name}")
    ctx.exit(0 if found.channels else 1)
