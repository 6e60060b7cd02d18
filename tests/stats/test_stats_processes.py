"""The stats table and processes: four that write it at once, and one that is killed between its tables."""

from __future__ import annotations

import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyspark
import pytest

from tests.jobs import found_by
from tests.stats.killed import killed_by, must_be_repaired
from tests.stats.killed_job import PLACES, found, job
from tests.stats.writer_job import APPENDS, RUNS

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
@pytest.mark.parametrize("format", ["parquet", "delta", "others"])
def test_four_processes_that_write_one_stats_table_lose_no_row_and_write_none_twice(written, format):
    if format not in written[0]["ids"]:
        pytest.skip("Delta cannot be had here, or this is PySpark 3.5, where threads write it: test_stats_delta.py")
    ids = written[0]["ids"][format]
    appended = {f"{writer}-{n}" for writer in range(WRITERS) for n in range(APPENDS)} if format != "delta" else set()
    assert appended <= set(ids)
    assert len(ids) == len(set(ids)) == (WRITERS * RUNS if format != "others" else 0) + len(appended)


@pytest.mark.timeout(1200)
def test_no_run_of_them_fails_or_warns(written):
    formats = len(written[0]["ids"].keys() - {"others"})
    assert [each["statuses"] for each in written] == [[True] * RUNS * formats] * WRITERS
    assert [each["warned"] for each in written] == [[]] * WRITERS


# ---- killed between its tables ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("place", PLACES)
def test_killed_between_two_tables_the_first_are_whole_and_running_again_repairs_the_rest(spark, tmp_path, place):
    killed_by(tmp_path, "parquet", place)
    left = found(spark, str(tmp_path), "parquet")
    again = job(spark, str(tmp_path), "parquet")
    must_be_repaired(place, left, found(spark, str(tmp_path), "parquet"), again.run_id)
