"""`spark-pd run`: a PySpark script that knows nothing of spark_pd, with the application itself as the run."""

from __future__ import annotations

import os
from pathlib import Path

import click

from spark_pd.cli.options import settings_options
from spark_pd.model.errors import UsageError
from spark_pd.settings.names import PREFIXES


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="""\b
Examples:
  spark-pd run job.py --day 2026-11-20
  spark-pd run --name nightly --config-file pagerduty.yaml job.py
  spark-pd exec -- spark-pd run job.py     # sees kill -9 too

Exit codes: as SCRIPT gives them; 2 also for usage or settings, before it was begun.""",
)
@click.option("--name", metavar="NAME", help="The application's name in incidents. Default: the name of SCRIPT.")
@settings_options
@click.argument("script", type=click.Path())
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(name: str | None, config_file: Path | None, conf: dict[str, str], script: str, arguments: tuple[str, ...]) -> None:
    """Run SCRIPT as Python would, and open an incident where the application fails, until its next good end under the same name.

    From its first Spark session on it is watched as a run is, with that session's settings; --conf is stronger. What a run of the script's
    own told is not told again. Its output, traceback and exit code are those that it would have without.
    """
    from spark_pd.runs.application.watched_script import Application, run_watched
    from spark_pd.runs.exec import application_name
    from spark_pd.settings import load_settings

    others = sorted(one for one in conf if not one.startswith(PREFIXES))
    if others:
        raise UsageError(
            f"--conf {others[0]} is no setting of spark_pd; Spark's own are for spark-submit, PYSPARK_SUBMIT_ARGS or the script to set"
        )
    settings = load_settings(spark_conf=conf, environ=os.environ, config_file=config_file)
    run_watched(Application(name or application_name(["python", script]), settings, conf, config_file), script, arguments)
