"""What happens to a real standalone cluster is told once, to the run that it happened to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.daemon import worker
from tests.jobs import Answers

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def found(master: str, cluster_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    """What the driver found, by scenario. It has a third worker, to kill."""
    folder = tmp_path_factory.mktemp("listener")
    with worker(cluster_folder, master, 3) as third:
        third.says("Successfully registered with master")
        arguments = (master, str(cluster_folder), str(folder), str(third.group))
        with Answers("-m", "tests.cluster.listener_cluster_job", *arguments, folder=folder) as answers:
            yield answers


def told(found: Answers, scenario: str) -> dict[str, Any]:
    """What a scenario's run told: all of it, all its own, and nothing to the run that was open beside it."""
    of = found[scenario]
    assert isinstance(of, dict), of
    assert (of["own"], of["unattributed"], of["incomplete"]) == (True, [], None)
    assert of["quiet"] == [0, 2, 0]
    return of


@pytest.mark.parametrize("scenario", ["executor_killed", pytest.param("worker_killed", marks=pytest.mark.exhaustive)])
def test_a_lost_executor_is_told_once_to_the_run_whose_task_died_with_it(found, scenario):
    of = told(found, scenario)
    ((kind, stage, _, executor, cause),) = of["events"]
    assert kind == "executor_lost"
    assert executor.isdigit()
    assert stage is not None
    assert cause
    assert of["failed_tasks"] == 1


def test_a_task_that_fails_four_times_is_one_failed_job(found):
    of = told(found, "task_failed_four_times")
    ((kind, *_, cause),) = of["events"]
    assert kind == "job_failed"
    assert "four times" in cause
    assert of["failed_tasks"] == 4


@pytest.mark.exhaustive  # the shared session loses a shuffle too: tests/listener
def test_a_lost_shuffle_is_told_once_for_each_stage_that_is_tried_again(found):
    of = told(found, "shuffle_lost")
    assert of["events"]
    assert {kind for kind, *_ in of["events"]} == {"stage_retried"}
    attempts = [(stage, attempt) for _, stage, attempt, *_ in of["events"]]
    assert len(set(attempts)) == len(attempts)
    assert any("FetchFailed" in (cause or "") for *_, cause in of["events"])
