"""What PagerDuty's state adds to the wall time of a run (well, refusing, answering 500, hanging, not enabled), and what a stats table does.

    python benchmarks/delivery.py [--rounds 5] [--deadline 5] [--only stats] [--delta]

The same job in every cell (1,000,000 rows, two rules, a write that keeps nothing), interleaved. The time is that of the whole block less
that of the same block of the same round without PagerDuty enabled. The counts are checked in every run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)

from pyspark.sql import SparkSession

import spark_pd
from spark_pd.sandbox import Sandbox

RULES = [
    {"rule": "tens", "expectation": "id % 10 <> 0", "action_if_failed": "drop"},
    {"rule": "below", "expectation": "id < 999000", "action_if_failed": "ignore"},
]
ROWS = 1_000_000
ON = {"spark.pd.on.error_drop_threshold": True, "spark.pd.limit.error_drop_threshold": 5, "spark.pd.on.ignored_rules": True}


def block(spark: SparkSession, config: dict[str, object]) -> tuple[float, set[str]]:
    """The seconds of one run, and what became of its alerts."""
    monitor = spark_pd.install(spark, {**ON, **config})
    started = time.perf_counter()
    with monitor.run("benchmark", rules=RULES) as run:
        run.check(spark.range(ROWS)).write.format("noop").mode("overwrite").save()
    seconds = time.perf_counter() - started
    assert run.stats is not None
    assert (run.stats.dropped_count, run.stats.exact) == (ROWS // 10, True)
    return seconds, {delivery.status for delivery in run.deliveries}


def session(delta: bool) -> SparkSession:
    """A session of two cores."""
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    if delta:
        from delta import configure_spark_with_delta_pip

        builder = builder.config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        builder = builder.config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        builder = configure_spark_with_delta_pip(builder.config("spark.databricks.delta.snapshotPartitions", "2"))
    return builder.getOrCreate()


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--deadline", type=float, default=5.0)
    parser.add_argument("--only", default="", help="only the cells with this in their name, beside `not enabled`")
    parser.add_argument("--delta", action="store_true", help="a Delta session, whose stats table is Delta's")
    arguments = parser.parse_args()
    spark = session(arguments.delta)
    spark.sparkContext.setLogLevel("OFF")
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as folder:
        well = {**sandbox.config, "spark.pd.deadline": arguments.deadline}
        gone = {**well, "spark.expectations.notifications.pagerduty.webhook.url": "http://127.0.0.1:9/"}
        cells = {"not enabled": ({}, None), "well": (well, None), "refused": (gone, None), "500": (well, "500"), "hang": (well, "hang")}
        cells["not enabled, stats table"] = ({"spark.pd.stats.table": f"{folder}/one"}, None)
        cells["well, stats table"] = ({**well, "spark.pd.stats.table": f"{folder}/other"}, None)
        cells = {name: cell for name, cell in cells.items() if name == "not enabled" or arguments.only in name}
        seconds: dict[str, list[float]] = {name: [] for name in cells}
        became: dict[str, set[str]] = {name: set() for name in cells}
        for number in range(arguments.rounds + 1):  # the first round warms up
            for name, (config, fault) in cells.items():
                sandbox.clear_faults()
                if fault:
                    sandbox.fault(fault)
                # An outbox for each run: shared, so many alerts in a minute would be a storm, which needs no PagerDuty to be told.
                took, statuses = block(spark, {**config, "spark.pd.outbox.path": f"{folder}/{name}-{number}"})
                if number:
                    seconds[name].append(took)
                    became[name] |= statuses
    base = seconds["not enabled"]
    print(f"deadline {arguments.deadline:g} s, {arguments.rounds} rounds, PySpark {spark.version}\n")
    print("| PagerDuty | added, median (ms) | min | max | alerts |\n| --- | ---: | ---: | ---: | --- |")
    for name, values in seconds.items():
        added = sorted(1000 * (value - reference) for value, reference in zip(values, base, strict=True))
        print(f"| {name} | {statistics.median(added):.0f} | {added[0]:.0f} | {added[-1]:.0f} | {', '.join(sorted(became[name]))} |")
    spark.stop()


if __name__ == "__main__":
    main()
