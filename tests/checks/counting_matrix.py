"""Which cases of the counting's matrices are in `make test`: for the operator all, for the other ways one for each mechanism.

A matrix is a test with one of MATRICES among its parameters, once for each way of counting. `make test-all` runs it whole.
"""

from __future__ import annotations

import pytest

MATRICES = ("use", "block", "given")

MECHANISMS = frozenset(
    {
        # what stands behind the check
        "plain",
        "order by",
        "repartition by range",
        "partitioned write",
        "join, sort-merge, aqe",
        "left semi, no aqe",
        "group by, aqe",
        "union with itself",
        "window and filter",
        "limit",
        "limit, cached",
        "constant false filter",
        "sort-merge join that stops early",
        "python udf behind",
        "scalar subquery over it",
        # what a block does with it
        "show_then_write",
        "two_writes",
        "limited_write_and_whole_write",
        "two_threads_write_one",
        "cached_written_twice",
        "cached_looked_at_then_written",
        "lazy_checkpoint",
        "failed_then_written",
        "failed_behind_a_shuffle",
        "another_frame_written",
        "only_cached",
        "retried_stage",
        "retried_stage_of_a_range",
        "inserted_by_sql",
        "written_to_by_v2",
        # what is checked
        "no rule",
        "no rows, sorted",
        "no partitions",
        "limit of a sort before it",
        "cached before it",
        "names of every kind",
        "nested columns",
        "140 rules",
        "lambdas in rules, no codegen",
        "subqueries in rules",
        "python udf in a rule",
        "literal rows beside an empty side",
        "ansi on",
    }
)

WITHOUT_MATRIX = frozenset(
    {
        "test_the_input_itself_that_is_written_says_nothing_of_the_check",
        "test_all_flights_of_2013_sorted",
        "test_other_formats",
        "test_all_flights_of_2013",
        "test_a_thousand_rules_over_five_hundred_columns",
        "test_many_aggregates_are_one_pass",
        "test_a_frame_that_was_checked_by_a_run_that_is_over",
        "test_a_run_for_each_micro_batch",
        "test_runs_in_threads_never_mix",
    }
)
"""Tests that cost seconds with every way of counting, and prove the other ways' part in a matrix too."""

BY_VERSION = MECHANISMS - {
    "140 rules",
    "group by, aqe",
    "window and filter",
    "limit, cached",
    "names of every kind",
    "no rule",
    "show_then_write",
    "cached_written_twice",
    "limit of a sort before it",
    "inserted_by_sql",
}
"""What the operator shows on every version of PySpark."""


def mark(items: list[pytest.Item]) -> None:
    """Mark what only `make test-all` runs, and what differs by the version of PySpark."""
    for item in items:
        params = getattr(item, "callspec", None) and item.callspec.params  # type: ignore[attr-defined]
        counting = (params or {}).get("monitor")
        if counting is None:
            continue
        case = next((name_of(params[each]) for each in MATRICES if each in params), None)
        others = counting != "operator"
        if case is None:
            if others and item.originalname in WITHOUT_MATRIX:  # type: ignore[attr-defined]
                item.add_marker(pytest.mark.exhaustive)
        elif others and case not in MECHANISMS:
            item.add_marker(pytest.mark.exhaustive)
        elif not others and case in BY_VERSION:
            item.add_marker(pytest.mark.versions)


def name_of(case: object) -> str:
    """The name of a matrix' case, as its test's id has it."""
    return str(getattr(case, "name", None) or getattr(getattr(case, "do", None), "__name__", case)).strip("<>")
