"""Delta, whose writes run queries inside queries: the statistics of a write, an overwrite, a MERGE are right, or unknown, never wrong."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest

from tests.jobs import Answers


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    """What the job found, by counting and scenario."""
    if importlib.util.find_spec("delta") is None:
        pytest.skip("delta-spark is not installed, or there is none for this PySpark")
    folder = tmp_path_factory.mktemp("delta")
    with Answers("-m", "tests.checks.delta_job", str(folder), folder=folder) as answers:
        yield answers


RIGHT = [True, [1000, 400, 100, 900], [100, 334]]
GROWN = [True, [1100, 440, 110, 990], [110, 367]]
UNKNOWN = [False, [None, None, None, None], [None, None]]
ROWS = [900, 450000]
"""How many numbers below 1000 are no multiples of ten, and their sum."""
INSERTED = [1000, 500]
"""A MERGE adds the 500 odd numbers to the 500 even ones."""
MERGED = [1000, 900]
"""And updates the 400 even ones that were kept."""

SCENARIOS = {
    "write": ROWS,
    "sorted_write": ROWS,
    "append": [910, 450045],
    "overwrite_partitioned": ROWS,
    "replace_where": ROWS,
    "save_as_table": [900],
    "merge": MERGED,
    "merge_insert_only": INSERTED,
    "merge_not_materialized": MERGED,
    "merge_by_sql": INSERTED,
    "delta_source": ROWS,
}
OPTIONAL = {"sorted_write", "merge", "merge_insert_only", "merge_not_materialized", "merge_by_sql"}
"""Where observation may say unknown."""


EACH = {
    "write": ("operator", "two_pass"),
    "overwrite_partitioned": ("operator",),
    "save_as_table": ("observation",),
    "merge": ("operator", "observation", "two_pass"),
    "merge_not_materialized": ("operator",),
    "merge_by_sql": ("operator",),
    "another_table_written": ("observation", "two_pass"),
    "error_table_that_grows": ("operator",),
    "error_table_in_the_catalog": ("operator",),
    "fail_before_a_merge": ("operator",),
    "source_grows_before_the_write": ("operator", "observation", "two_pass"),
    "aggregates_ride_along": ("operator",),
}
"""Which scenario is played by which countings in `make test`; all of them by all three are exhaustive."""
ON_EVERY_VERSION = {("operator", "write"), ("operator", "merge"), ("operator", "error_table_in_the_catalog")}


def countings(*scenarios: str) -> pytest.MarkDecorator:
    """All three for each scenario, with the marks of those that run more seldom, or more often."""

    def marks(counting: str, scenario: str) -> list[pytest.MarkDecorator]:
        if counting not in EACH.get(scenario, ()):
            return [pytest.mark.exhaustive]
        return [pytest.mark.versions] if (counting, scenario) in ON_EVERY_VERSION else []

    every = [(counting, scenario) for counting in ("operator", "observation", "two_pass") for scenario in scenarios]
    if len(scenarios) == 1:
        return pytest.mark.parametrize("counting", [pytest.param(c, marks=marks(c, s), id=c) for c, s in every])
    return pytest.mark.parametrize(("counting", "scenario"), [pytest.param(c, s, marks=marks(c, s), id=f"{c}-{s}") for c, s in every])


def told(found: Answers, counting: str, scenario: str) -> tuple[Any, Any]:
    """The statistics, and what stands in the table."""
    result = found[f"{counting} {scenario}"]
    assert isinstance(result, list), result
    return result[0], result[1]


@countings(*SCENARIOS)
def test_what_was_written_to_a_delta_table_is_counted(found, counting, scenario):
    stats, rows = told(found, counting, scenario)
    assert rows == SCENARIOS[scenario]
    if counting == "observation" and scenario in OPTIONAL:
        assert stats in (RIGHT, UNKNOWN), f"{counting} was WRONG"
    else:
        assert stats == RIGHT


@countings("another_table_written")
def test_another_table_that_was_written_says_nothing_of_the_check(found, counting):
    assert told(found, counting, "another_table_written") == (UNKNOWN, [1000, 499500])


KEPT = [True, 400, True, 400, 434]
"""Written, so many rows by the run's own word, exact; so many in the table, and so many rules that they failed."""


@countings("error_table_that_grows")
def test_a_delta_error_table_gets_new_columns_and_keeps_old_ones(found, counting):
    told_, rows = told(found, counting, "error_table_that_grows")
    assert told_ == [KEPT, KEPT, KEPT]
    assert rows == [1200, 800, 400]


@countings("error_table_in_the_catalog")
def test_the_error_table_of_a_delta_table_is_one(found, counting):
    assert told(found, counting, "error_table_in_the_catalog") == (KEPT, "delta")


@countings("fail_before_a_merge")
def test_a_fail_rule_leaves_no_new_version_of_the_table_that_was_to_be_merged_into(found, counting):
    stopped, rows = told(found, counting, "fail_before_a_merge")
    assert stopped == [True, True, True, 401, True, 401, 435]
    assert rows == [500, 249500]


@countings("source_grows_before_the_write")
def test_a_table_that_grows_between_check_and_write(found, counting):
    """Delta reads the table anew for each query, so what was counted before the write need not be what was written."""
    stats, rows = told(found, counting, "source_grows_before_the_write")
    right = {990: GROWN, 900: RIGHT}[rows[0]]
    allowed = {"operator": [right], "observation": [right, UNKNOWN], "two_pass": [UNKNOWN]}
    assert stats in allowed[counting], f"{counting} was WRONG: {rows[0]} rows were written"


@countings("aggregates_ride_along")
def test_aggregates_ride_along_with_a_merge(found, counting):
    result = found[f"{counting} aggregates_ride_along"]
    right, unknown = [True, "failed", 450000, "target"], [False, "unknown", None, None]
    # Of a merge, observation may say unknown, as above.
    assert result in ([right, unknown] if counting == "observation" else [right])
