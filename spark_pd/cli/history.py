"""`spark-pd history`: what the stats table says of a table's runs."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import click

from spark_pd.cli.options import settings_from, settings_options
from spark_pd.cli.spark_session import ours, session_for
from spark_pd.model import Subject, normalized_table
from spark_pd.model.errors import UsageError


@click.command(
    epilog="""\b
Examples:
  spark-pd history sales.orders --stats-table /data/dq_stats
  spark-pd history sales.orders --config-file pagerduty.yaml --runs 10 --json
  spark-pd history sales.orders --stats-table ops.dq_stats \\
                   --conf spark.sql.catalogImplementation=hive --conf spark.pd.environment=prod

Exit codes: 0 good; 1 there is no such run; 2 usage or settings, or the stats table could not be read."""
)
@click.argument("table")
@click.option("--stats-table", help="The stats table, or its folder. Default: the setting spark.pd.stats.table.")
@click.option("--runs", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many runs to show.")
@click.option("--scope", help="The scope of the runs.")
@click.option("--job", help="The job of the runs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@settings_options
@click.pass_context
def history(
    ctx: click.Context,
    table: str,
    stats_table: str | None,
    runs: int,
    scope: str | None,
    job: str | None,
    as_json: bool,
    config_file: Path | None,
    conf: dict[str, str],
) -> None:
    """Show the runs of TABLE, what is usual for it, and since when it is bad.

    Runs are those of one subject: TABLE with the settings' environment and product_id, as incidents know it. It starts a Spark session on
    this machine; a --conf that is none of our settings is given to that.
    """
    settings = settings_from(config_file, ours(conf))
    name = stats_table or settings.stats_table
    if name is None:
        raise UsageError("there is no stats table to look into; give --stats-table, or set spark.pd.stats.table")
    spark = session_for("spark-pd history", conf)
    from spark_pd.alerting.past_runs import History
    from spark_pd.history.past_runs_reader import past_runs
    from spark_pd.history.report import lines, summary
    from spark_pd.history.stats_columns import COLUMNS
    from spark_pd.secrets.redaction import one_line
    from spark_pd.spark import session
    from spark_pd.spark.tables import Table

    subject = Subject(
        environment=settings.environment,
        product_id=settings.product_id,
        table=normalized_table(table, session.current_catalog(spark)),
        scope=scope,
        job=job,
    )
    try:
        found = past_runs(
            Table(spark, name, format=settings.stats_format, columns=COLUMNS), subject.prefix, most=max(runs, 2 * settings.history_runs)
        )
    except Exception as error:
        what = one_line(str(error), 300)
        raise UsageError(f"the stats table {name} could not be read ({type(error).__name__}: {what}); does the session know it?") from None
    past = History(runs=found, most=settings.history_runs, least=settings.history_min_runs)
    volume, errors = (settings.limit[trigger] or 0.0 for trigger in ("unusual_volume", "unusual_errors"))
    limits = {"input_count": volume, "error_percentage": errors, "error_drop_percentage": errors}
    told = summary(past, limits, datetime.now(timezone.utc))
    told["runs"] = told["runs"][:runs]
    if as_json:
        click.echo(json.dumps({"subject": subject.prefix, **told}, indent=2))
    elif found:
        click.echo("\n".join([subject.prefix, "", *lines(told, settings.history_min_runs)]))
    if not found:
        click.echo(f"{name} has no run of {subject.prefix}: a run is known by environment, product_id, scope and job too", err=True)
    ctx.exit(0 if found else 1)
