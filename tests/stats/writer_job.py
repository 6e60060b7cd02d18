"""One of some processes that write one stats table at once. Prints JSON.

python -m tests.stats.writer_job FOLDER WRITER WRITERS FORMAT...
"""

from __future__ import annotations

import json
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import spark_pd
from spark_pd.history import run_record as record
from spark_pd.history.stats_columns import COLUMNS
from spark_pd.history.stats_row import row_of
from spark_pd.spark.file_tables import mended_by
from spark_pd.spark.tables import Table
from tests.checks.delta_job import session
from tests.stats.test_stats_row import ENDED, FACTS

RUNS, APPENDS = 2, 6
"""Whole runs of each process, and rows that follow one another as closely as can be: where writers of files meet."""

# What is written is looked at, not how long it takes on a machine that is busy.
record.APPEND_SECONDS = record.READ_SECONDS = 900.0


def plain(folder: str) -> Any:
    from pyspark.sql import SparkSession

    settings = {"ui.enabled": "false", "driver.bindAddress": "127.0.0.1", "driver.host": "127.0.0.1", "local.dir": f"{folder}/local"}
    builder = SparkSession.builder.master("local[1]")
    for name, value in settings.items():
        builder = builder.config(f"spark.{name}", value)
    return builder.getOrCreate()


def together(folder: Path, step: str, writer: str, writers: int) -> None:
    """Wait until all writers have come this far."""
    (folder / f"{step}-{writer}").touch()
    until = time.monotonic() + 900
    while len(list(folder.glob(f"{step}-*"))) < writers:
        if time.monotonic() > until:
            raise TimeoutError(f"{step}: other writers did not come")
        time.sleep(0.01)


def a_table_of_others(spark: Any, folder: str) -> Table:
    """A catalog's table of files that we did not make, mended as docs/tables.md says."""
    columns = ", ".join(f"{column.name} {column.type}" for column in COLUMNS)
    spark.sql(f"CREATE TABLE others_stats ({columns}) USING parquet LOCATION '{folder}'")
    spark.sql(mended_by("others_stats"))
    return Table(spark, "others_stats", format=None, columns=COLUMNS)


def main(folder: str, writer: str, writers: str, *formats: str) -> None:
    spark = (session if "delta" in formats else plain)(f"{folder}/{writer}")
    spark.sparkContext.setLogLevel("OFF")
    warned: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda entry: warned.append(entry.getMessage())  # type: ignore[method-assign]
    logging.getLogger("spark_pd").addHandler(handler)
    statuses = []
    for format in formats:
        name = f"{folder}/{format}_stats"
        monitor = spark_pd.install(spark, {"spark.pd.stats.table": name, "spark.pd.stats.format": format})
        together(Path(folder), f"{format}-runs", writer, int(writers))
        for _ in range(RUNS):
            with monitor.run("orders") as run:
                pass
            statuses.append(run.decisions != ())
        if format == "parquet":
            table = Table(spark, name, format=format, columns=COLUMNS)
            rows = [row_of(replace(ENDED, facts=replace(FACTS, run_id=f"{writer}-{n}"))) for n in range(APPENDS)]
            together(Path(folder), "appends", writer, int(writers))
            for row in rows:
                table.append(row)
            others = a_table_of_others(spark, f"{folder}/others_stats")
            together(Path(folder), "others", writer, int(writers))
            for row in rows:
                others.append(row)
    together(Path(folder), "end", writer, int(writers))
    folders = {**{f"{format}_stats": format for format in formats}, **({"others_stats": "parquet"} if "parquet" in formats else {})}
    ids = {
        name.removesuffix("_stats"): [
            row[0] for row in spark.read.format(format).load(f"{folder}/{name}").select("meta_dq_run_id").collect()
        ]
        for name, format in folders.items()
    }
    print("FOUND " + json.dumps({"warned": warned, "statuses": statuses, "ids": ids}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
