"""The stats table and processes: four that write it at once, and one that is killed between its tables."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyspark
import pytest

import spark_pd
from tests.jobs import found_by
from tests.stats.writer_job import APPENDS, RUNS

ROOT = Path(__file__).parents[2]
WRITERS = 4


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of the processes found, once all had written: in Delta too, where it can be had."""

    def by(formats: list[str]) -> list[dict[str, Any]]:
        folder = tmp_path_factory.mktemp("writers")

        def one(writer: int) -> dict[str, Any]:
            job = ("-m", "tests.stats.writer_job", str(folder), str(writer), str(WRITERS), *formats)
            return found_by(*job, folder=folder, seconds=1100)

        with ThreadPoolExecutor(WRITERS) as writers:
            return list(writers.map(one, range(WRITERS)))

    # On 3.5 Delta's writers are four threads (test_stats_delta.py): what they are takes no part in its commits, and CI has two cores.
    if importlib.util.find_spec("delta") is not None and not pyspark.__version__.startswith("3."):
        try:
            return by(["parquet", "delta"])
        except pytest.skip.Exception:
            pass
    return by(["parquet"])


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("format", ["parquet", "delta"])
def test_four_processes_that_write_one_stats_table_lose_no_row_and_write_none_twice(written, format):
    if format not in written[0]["ids"]:
        pytest.skip("Delta cannot be had here, or this is PySpark 3.5, where threads write it: test_stats_delta.py")
    ids = written[0]["ids"][format]
    appended = {f"{writer}-{n}" for writer in range(WRITERS) for n in range(APPENDS)} if format == "parquet" else set()
    assert appended <= set(ids)
    assert len(ids) == len(set(ids)) == WRITERS * RUNS + len(appended)


@pytest.mark.timeout(1200)
def test_no_run_of_them_fails_or_warns(written):
    formats = len(written[0]["ids"])
    assert [each["statuses"] for each in written] == [[True] * RUNS * formats] * WRITERS
    assert [each["warned"] for each in written] == [[]] * WRITERS


# ---- killed between its tables ---------------------------------------------------------------------------------------------------

RULES = [{"rule": "tens", "expectation": "id % 10 <> 0", "action_if_failed": "drop"}]
KILLED = """
import os, signal, sys
import spark_pd
from spark_pd.error_table import writing
from spark_pd.spark.tables import Table
from tests.stats.test_stats_processes import RULES, job
from tests.stats.writer_job import plain

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

folder, place = sys.argv[1:]
spark = plain(folder)
spark.sparkContext.setLogLevel("OFF")
if place == "before the error table":
    writing._Appending.append = die
else:
    Table.append = die
job(spark, folder)
"""


def job(spark: Any, folder: str) -> Any:
    """The job: a hundred numbers to a table, with an error table and a stats table."""
    monitor = spark_pd.install(spark, {"spark.pd.stats.table": f"{folder}/stats", "se.enable.error.table": True})
    try:
        with monitor.run("orders", rules=RULES) as run:
            run.write(run.check(spark.range(100)), f"{folder}/orders", mode="overwrite", format="parquet")
    finally:
        monitor.uninstall()
    return run


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize(("place", "kept"), [("before the error table", 0), ("before the stats table", 10)])
def test_killed_between_two_tables_the_first_are_whole_and_running_again_repairs_the_rest(spark, tmp_path, place, kept):
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path), place],
        env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]

    def rows(name: str) -> list[Any]:
        return spark.read.parquet(str(tmp_path / name)).collect() if (tmp_path / name).exists() else []

    assert sorted(row.id for row in rows("orders")) == [n for n in range(100) if n % 10]
    dead = rows("orders_error")
    assert len(dead) == kept
    assert rows("stats") == []

    again = job(spark, str(tmp_path))
    assert sorted(row.id for row in rows("orders")) == [n for n in range(100) if n % 10]
    # The error table is a log: what the dead run had written is still there, under its own id, and older.
    failed = rows("orders_error")
    newest = max(failed, key=lambda row: row.meta_dq_run_datetime).meta_dq_run_id
    assert newest == again.run_id
    assert sorted(row.id for row in failed if row.meta_dq_run_id == newest) == list(range(0, 100, 10))
    assert len(failed) == kept + 10
    assert [(row.meta_dq_run_id, row.status, row.input_count) for row in rows("stats")] == [(again.run_id, "passed", 100)]
