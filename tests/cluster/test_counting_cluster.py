"""Counting on a real standalone cluster: two workers, an executor that is killed, a task that is speculated."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.jobs import found_by

HERE = Path(__file__).parent
START_SECONDS = 60

pytestmark = pytest.mark.cluster


class Daemon:
    """One process of the cluster, with its children; all are gone when the block ends."""

    def __init__(self, folder: Path, name: str, host: str, *arguments: object) -> None:
        import pyspark

        home = Path(pyspark.__file__).parent
        environment = {
            **os.environ,
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": host,
            "SPARK_NO_DAEMONIZE": "1",
            "SPARK_DAEMON_JAVA_OPTS": os.environ["SPARK_SUBMIT_OPTS"],
            "SPARK_WORKER_DIR": str(folder / name),
            "SPARK_LOCAL_DIRS": str(folder / f"{name}-local"),
            "PYSPARK_PYTHON": sys.executable,
        }
        self._log = folder / f"{name}.log"
        command = [str(home / "bin" / "spark-class"), *map(str, arguments), "--host", host, "--webui-port", "0"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def says(self, pattern: str) -> str:
        """What the pattern finds in the log, as soon as it does."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            found = re.search(pattern, self._log.read_text(errors="replace"))
            if found:
                return found[0]
            time.sleep(0.1)
        raise AssertionError(f"{pattern!r} is not in the log: {self._log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a master with two workers, on two addresses, since nothing is speculated on the host of the slow task."""
    if not sys.platform.startswith("linux"):
        pytest.skip("a second loopback address, and finding executors in /proc, need Linux")
    folder = tmp_path_factory.mktemp("cluster")
    with ExitStack() as stack:
        boss = stack.enter_context(Daemon(folder, "master", "127.0.0.1", "org.apache.spark.deploy.master.Master", "--port", 0))
        url = boss.says(r"spark://127\.0\.0\.1:\d+")
        worker = ("org.apache.spark.deploy.worker.Worker", "--cores", 1, "--memory", "1g", url)
        workers = [stack.enter_context(Daemon(folder, f"worker-{n}", f"127.0.0.{n}", *worker)) for n in (1, 2)]
        for each in workers:
            each.says("Successfully registered with master")
        yield url


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
