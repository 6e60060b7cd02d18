"""Counting on a real standalone cluster: two workers, an executor that is killed, a task that is speculated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.jobs import found_by

HERE = Path(__file__).parent

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def found(master: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the driver found, by counting and scenario."""
    folder = tmp_path_factory.mktemp("driver")
    return found_by(str(HERE / "cluster_job.py"), master, str(folder), folder=folder, seconds=240)


RIGHT = {"exact": True, "counts": [4000, 1600, 400, 3600], "rules": [400, 1334]}
UNKNOWN = {"exact": False, "counts": [None] * 4, "rules": [None, None]}
WRITTEN = [3600, 7_200_000]
"""How many numbers below 4000 are no multiples of ten, and their sum."""
FAILING = [1600, True, False, 1600, sum(n for n in range(4000) if n % 10 == 0 or n % 3 == 0), 1734]
"""The rows of the error table, set aside and exact; their sum, and how many rules they failed."""


COUNTED = [
    ("operator", "plain"),
    ("operator", "sorted"),
    ("operator", "executor_killed"),
    ("operator", "executor_killed_in_a_range"),
    ("operator", "speculated"),
    ("observation", "plain"),
    ("observation", "executor_killed"),
    ("observation", "speculated"),
]


@pytest.mark.parametrize(("counting", "scenario"), COUNTED, ids=[" ".join(each) for each in COUNTED])
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
