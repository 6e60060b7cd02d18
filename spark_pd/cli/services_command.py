"""`spark-pd services`: the services of the PagerDuty account, by its REST API."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from spark_pd.cli.options import settings_from, settings_options
from spark_pd.cli.progress import working
from spark_pd.model.errors import SettingsError

SECONDS = 30.0


@click.command(
    epilog="""\b
Example:
  spark-pd services orders --oncall --config-file pagerduty.yaml

Exit codes: 0 found; 1 none found, or PagerDuty did not answer; 2 usage or settings."""
)
@click.argument("query", default="")
@click.option("--oncall", is_flag=True, help="Who is on call for each.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@settings_options
@click.pass_context
def services(ctx: click.Context, query: str, oncall: bool, as_json: bool, config_file: Path | None, conf: dict[str, str]) -> None:
    """List the services whose name has QUERY in it. It needs spark.pd.rest.token, and shows no key."""
    from spark_pd.pagerduty.directory import Unanswered
    from spark_pd.runs.channels import directory_of
    from spark_pd.settings import user_config

    directory = directory_of(settings_from(config_file, conf))
    if directory is None:
        raise SettingsError([f"there is no token of PagerDuty's REST API: set {user_config.spark_pd_rest_token} to a reference"])
    try:
        with working(f"asking PagerDuty, {SECONDS:g} s at most"):
            until = time.monotonic() + SECONDS
            found = list(directory.services(query, until=until))
            policies = sorted({each.escalation_policy for each in found if each.escalation_policy})
            on_call = directory.on_call(policies, until=until) if oncall else {}
    except Unanswered as error:
        click.echo(f"PagerDuty did not answer: {error}", err=True)
        ctx.exit(1)
    rows: list[dict[str, Any]] = [
        {
            "name": each.name,
            "id": each.id,
            "status": each.status,
            "integration": each.integration,
            **({"on call": on_call.get(each.escalation_policy or "", [])} if oncall else {}),
        }
        for each in found
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    for row in [] if as_json else rows:
        who = f"  on call: {', '.join(row['on call'] or ['nobody'])}" if oncall else ""
        click.echo(f"{row['name']}  {row['id']}  {row['status']}  {row['integration'] or 'no Events API v2 integration'}{who}")
    if not found and not as_json:
        click.echo("no service" + (f" has {query!r} in its name" if query else " is seen by the token"))
    ctx.exit(0 if found else 1)
