"""The stats table and the state on Delta: columns that are added, writers at once, and incidents that another cluster closes."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs import Answers
from tests.stats.delta_job import crashed
from tests.stats.killed import killed_by, must_be_repaired
from tests.stats.killed_job import PLACES

IN_DELTA = "before the stats table"
"""Where a job is killed in `make test`; in Parquet it is the other place. Both in both are exhaustive."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The job's."""
    if importlib.util.find_spec("delta") is None:
        pytest.skip("delta-spark is not installed, or there is none for this PySpark")
    return tmp_path_factory.mktemp("delta")


@pytest.fixture(scope="module")
def found(folder: Path) -> Iterator[Answers]:
    """What the job found, by scenario."""
    with Answers("-m", "tests.stats.delta_job", str(folder), folder=folder) as answers:
        yield answers


@pytest.mark.versions
def test_where_the_catalog_is_delta_s_a_folder_is_a_delta_table(found):
    assert found["runs_in_a_folder"] == {"delta": True, "rows": [50, 100], "columns": True, "past": [50, 100]}


def test_a_table_with_fewer_columns_gets_the_others_and_keeps_its_own(found):
    assert found["a_table_of_a_catalog_with_fewer_columns"] == {
        "rows": [[1, "x", None], [100, None, True], [100, None, True]],
        "lacks": [],
    }


def test_four_writers_at_once_lose_no_row_and_write_none_twice(found):
    assert found["four_writers_at_once"] == {"failed": [], "rows": 8, "each once": 8}


def test_another_cluster_closes_the_incident_and_then_nothing_is_sent(found):
    assert found["an_incident_that_another_cluster_closes"] == {
        "told": [[["firing", "sent"]], [["resolved", "sent"]], [["resolved", "suppressed"]]],
        "open": 0,
        "state rows": 6,
    }


def test_columns_of_another_type_get_what_fits_and_the_others_are_added(found):
    rows = [[100, None, 90, 1], [None, None, 180, 1]]
    assert found["columns_of_another_type"] == [[rows, rows], 2]


def test_an_error_table_takes_columns_of_any_name_that_its_target_takes(found):
    assert found["an_error_table_whose_columns_are_mapped"] == [[None, 10], [None, 10]]


def test_a_view_gets_no_table_of_its_name_beside_it(found):
    assert found["a_view_of_the_session"] == ["passed", ["TEMPORARY"]]


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("place", [pytest.param(place, marks=[pytest.mark.exhaustive] * (place != IN_DELTA)) for place in PLACES])
def test_killed_between_two_tables_the_first_are_whole_and_running_again_repairs_the_rest(folder, found, place):
    killed = Path(crashed(str(folder))[place])
    killed.mkdir()
    killed_by(killed, "delta", place)
    must_be_repaired(place, *found[f"after_a_crash {place}"])
