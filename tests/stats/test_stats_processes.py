"""The stats table and processes: some that write it at once, and one that is killed between its tables."""

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

IN_PARQUET = "before the error table"
"""Where a job is killed in `make test`; in Delta it is the other place. Both in both are exhaustive."""


@pytest.fixture(scope="module", params=["2 of files", pytest.param("4 of all", marks=pytest.mark.exhaustive)])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of the processes found, once all had written: in Delta too, where it can be had."""

    many, _, formats = request.param.partition(" of ")
    writers_at_once = int(many)

    def by(formats: list[str]) -> list[dict[str, Any]]:
        folder = tmp_path_factory.mktemp("writers")

        def one(writer: int) -> dict[str, Any]:
            job = ("-m", "tests.stats.writer_job", str(folder), str(writer), str(writers_at_once), *formats)
            return found_by(*job, folder=folder, seconds=1100)

        with ThreadPoolExecutor(writers_at_once) as writers:
            return list(writers.map(one, range(writers_at_once)))

    # On 3.5 Delta's writers are four threads (test_stats_delta.py): what they are takes no part in its commits, and CI has two cores.
    if formats == "all" and importlib.util.find_spec("delta") is not None and not pyspark.__version__.startswith("3."):
        try:
            return by(["parquet", "delta"])
        except pytest.skip.Exception:
            pass
    return by(["parquet"])


@pytest.mark.timeout(1200)
def test_processes_that_write_one_stats_table_lose_no_row_and_write_none_twice(written):
    assert {"parquet", "others"} <= set(written[0]["ids"])
    for format, ids in written[0]["ids"].items():
        appended = {f"{writer}-{n}" for writer in range(len(written)) for n in range(APPENDS)} if format != "delta" else set()
        assert appended <= set(ids)
        assert len(ids) == len(set(ids)) == (len(written) * RUNS if format != "others" else 0) + len(appended)


@pytest.mark.timeout(1200)
def test_no_run_of_them_fails_or_warns(written):
    formats = len(written[0]["ids"].keys() - {"others"})
    assert [each["statuses"] for each in written] == [[True] * RUNS * formats] * len(written)
    assert [each["warned"] for each in written] == [[]] * len(written)


# ---- killed between its tables ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("place", [pytest.param(place, marks=[pytest.mark.exhaustive] * (place != IN_PARQUET)) for place in PLACES])
def test_killed_between_two_tables_the_first_are_whole_and_running_again_repairs_the_rest(spark, tmp_path, place):
    killed_by(tmp_path, "parquet", place)
    left = found(spark, str(tmp_path), "parquet")
    again = job(spark, str(tmp_path), "parquet")
    must_be_repaired(place, left, found(spark, str(tmp_path), "parquet"), again.run_id)
