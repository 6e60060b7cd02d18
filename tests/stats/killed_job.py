"""A job that is killed between its tables, and the same job whole.

python -m tests.stats.killed_job FOLDER FORMAT PLACE
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import spark_pd
from spark_pd.checks.error_table import writing
from spark_pd.spark.tables import Table
from tests.checks.delta_job import session
from tests.stats.writer_job import plain

PLACES = {"before the error table": 0, "before the stats table": 10}
"""Where it is killed, and how many rows the error table has then."""
RULES = [{"rule": "tens", "expectation": "id % 10 <> 0", "action_if_failed": "drop"}]


def job(spark: Any, folder: str, format: str) -> Any:
    """The job: a hundred numbers to a table, with an error table and a stats table."""
    config = {"spark.pd.stats.table": f"{folder}/stats", "spark.pd.stats.format": format, "se.enable.error.table": True}
    monitor = spark_pd.install(spark, config)
    try:
        with monitor.run("orders", rules=RULES) as run:
            run.write(run.check(spark.range(100)), f"{folder}/orders", mode="overwrite", format=format)
    finally:
        monitor.uninstall()
    return run


def found(spark: Any, folder: str, format: str) -> dict[str, Any]:
    """What stands in the three tables: numbers, numbers with their runs from the oldest on, and runs with their results."""

    def rows(name: str) -> list[Any]:
        return spark.read.format(format).load(f"{folder}/{name}").collect() if Path(folder, name).exists() else []

    failed = sorted(rows("orders_error"), key=lambda row: (row.meta_dq_run_datetime, row.id))
    return {
        "target": sorted(row.id for row in rows("orders")),
        "failed": [[row.meta_dq_run_id, row.id] for row in failed],
        "stats": [[row.meta_dq_run_id, row.status, row.input_count] for row in rows("stats")],
    }


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: str, format: str, place: str) -> None:
    spark = (session if format == "delta" else plain)(folder)
    spark.sparkContext.setLogLevel("OFF")
    if place == "before the error table":
        writing._Appending.append = die  # type: ignore[method-assign]
    else:
        Table.append = die  # type: ignore[method-assign]
    job(spark, folder, format)


if __name__ == "__main__":
    main(*sys.argv[1:])
