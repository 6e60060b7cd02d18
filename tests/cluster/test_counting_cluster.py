"""Counting on a real standalone cluster: two workers, an executor that is killed, a task that is speculated."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.jobs import Answers

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def found(master: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    """What the driver found, by counting and scenario."""
    folder = tmp_path_factory.mktemp("driver")
    with Answers("-m", "tests.cluster.cluster_job", master, str(folder), folder=folder) as answers:
        yield answers


RIGHT = {"exact": True, "counts": [4000, 1600, 400, 3600], "rules": [400, 1334]}
UNKNOWN = {"exact": False, "counts": [None] * 4, "rules": [None, None]}
WRITTEN = [3600, 7_200_000]
"""How many numbers below 4000 are no multiples of ten, and their sum."""
FAILING = [1600, True, False, 1600, sum(n for n in range(4000) if n % 10 == 0 or n % 3 == 0), 1734]
"""The rows of the error table, set aside and exact; their sum, and how many rules they failed."""


SCENARIOS = ("plain", "sorted", "executor_killed", "executor_killed_in_a_range", "speculated")
COUNTED = {
    # counting, scenario: whether it is exhaustive. two_pass counts in a query of its own, which no write's retries touch.
    **{("operator", scenario): scenario in ("plain", "sorted", "executor_killed_in_a_range") for scenario in SCENARIOS},
    ("observation", "plain"): True,
    ("observation", "executor_killed"): False,
    ("observation", "speculated"): True,
}
CASES = [pytest.param(*case, marks=[pytest.mark.exhaustive] * exhaustive, id=" ".join(case)) for case, exhaustive in COUNTED.items()]


@pytest.mark.parametrize(("counting", "scenario"), CASES)
def test_counts_are_right_on_a_cluster(found, counting, scenario):
    told = found[f"{counting} {scenario}"]
    assert isinstance(told, dict), told
    assert told["written"] == WRITTEN
    stats = {name: told[name] for name in RIGHT}
    if counting == "observation" and scenario != "plain":
        assert stats in (RIGHT, UNKNOWN), f"{counting} was WRONG"
    else:
        assert stats == RIGHT
    if counting == "operator":
        assert told["error_table"] == FAILING
    if scenario.startswith("executor_killed"):
        assert told["attempts"] > 1, "no stage was tried again: the test did not test it"
    if scenario == "speculated":
        assert told["tasks"] > 1, "nothing was speculated: the test did not test it"
