"""`spark-pd page`: page the owners of something by hand, or by the JSON of a pageApplicationOwner stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from spark_pd.cli.options import settings_from, settings_options
from spark_pd.model import SEVERITIES, Severity

STAGE = "pageApplicationOwner"


@click.command(
    epilog="""\b
Examples:
  spark-pd page orders billing --message "the nightly load is late" --config-file pagerduty.yaml
  spark-pd page --stage stage.json --config-file pagerduty.yaml

Exit codes: 0 everybody was paged; 1 somebody was not; 2 usage or settings."""
)
@click.argument("owners", nargs=-1)
@click.option("--message", help="What the one who is paged has to know.")
@click.option("--from", "from_", help="Who pages; you, unless it is given.")
@click.option("--severity", type=click.Choice(SEVERITIES), default="error", show_default=True)
@click.option(
    "--stage",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A stage's JSON: applications, message, details.from.",
)
@settings_options
@click.pass_context
def page(
    ctx: click.Context,
    owners: tuple[str, ...],
    message: str | None,
    from_: str | None,
    severity: Severity,
    stage: Path | None,
    config_file: Path | None,
    conf: dict[str, str],
) -> None:
    """Page the channels of each of OWNERS. The same message to the same owner again is the same incident."""
    from spark_pd.runs.paging import page_owners
    from spark_pd.runs.wiring import delivering_of

    if stage is not None:
        if owners or message:
            raise click.UsageError("--stage has owners and message itself: give one or the other")
        owners, message, named = _stage(stage)
        from_ = from_ or named
    if not owners or not message:
        raise click.UsageError('name one owner at least and a message, such as: spark-pd page orders --message "the load is late"')
    settings = settings_from(config_file, conf)
    deliveries = page_owners(
        owners,
        message,
        from_=from_,
        severity=severity,
        settings=settings,
        dispatcher=delivering_of(settings).dispatcher,
        application="spark-pd page",
    )
    for each in deliveries:
        click.echo(f"{each.alert.component:16} {each.channel:16} {each.status:10} {each.reason}")
    ctx.exit(0 if all(each.status == "sent" for each in deliveries) else 1)


def _stage(file: Path) -> tuple[tuple[str, ...], str, str | None]:
    """Owners, message and who pages, as Spinnaker's stage says them."""
    try:
        stage: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{file} is no JSON: {type(error).__name__}", param_hint="--stage") from None
    if not isinstance(stage, dict) or stage.get("type", STAGE) != STAGE:
        raise click.BadParameter(f"expected an object of the type {STAGE}", param_hint="--stage")
    applications, message, details = stage.get("applications"), stage.get("message"), stage.get("details") or {}
    if not isinstance(applications, list) or not applications or not all(isinstance(each, str) for each in applications):
        raise click.BadParameter("expected applications: a list of owners' names", param_hint="--stage")
    if not isinstance(message, str) or not message.strip():
        raise click.BadParameter("expected message: a text", param_hint="--stage")
    named = details.get("from") if isinstance(details, dict) else None
    return tuple(applications), message, named if isinstance(named, str) and named else None
