"""The driver of a standalone cluster, in a process of its own: it loses an executor, a worker, a task and a shuffle's files.

It plays the scenarios that it reads from standard input, and prints JSON.

python listener_cluster_job.py spark://HOST:PORT CLUSTER_FOLDER FOLDER WORKER_GROUP
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import spark_pd
from tests.cluster.cluster_job import SETTINGS, executors
from tests.jobs import answer

WORKERS = 3
SECONDS = 120


def wait_for(condition: Callable[[], Any], what: str) -> None:
    until = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(what)
        time.sleep(0.02)


class Job:
    """What the scenarios share."""

    def __init__(self, master: str, cluster: str, folder: str, group: str) -> None:
        builder = SparkSession.builder.master(master).appName("spark_pd cluster tests of the listener")
        for name, value in {**SETTINGS, "spark.speculation": "false"}.items():
            builder = builder.config(name, value)
        self.spark: Any = builder.getOrCreate()
        self.spark.sparkContext.setLogLevel("OFF")
        self.cluster, self.folder, self.group = Path(cluster), Path(folder), int(group)
        self.monitor = spark_pd.install(self.spark, {"spark.pd.counting": "two_pass"}, lifecycle=True)

    def works(self) -> None:
        self.spark.range(0, 6, 1, 3).write.format("noop").mode("overwrite").save()

    def told(self, scenario: Callable[[Job], None]) -> dict[str, Any]:
        """What the scenario's run told, and what another that was open meanwhile did."""
        over, ready = threading.Event(), threading.Event()
        quiet: list[spark_pd.Run] = []

        def beside() -> None:
            with self.monitor.run("sales.quiet") as run:
                self.works()
                ready.set()
                over.wait(SECONDS)
                self.works()
            quiet.append(run)

        thread = threading.Thread(target=beside)
        thread.start()
        ready.wait(SECONDS)
        try:
            with self.monitor.run("sales.orders") as run:
                scenario(self)
        finally:
            over.set()
            thread.join()
        assert run.lifecycle is not None
        other = quiet[0].lifecycle
        assert other is not None
        return {
            "events": [[e.kind, e.stage_id, e.attempt, e.executor, e.cause] for e in run.lifecycle.events],
            "own": all(event.run_id == run.run_id for event in run.lifecycle.events),
            "unattributed": [event.kind for event in run.lifecycle.unattributed],
            "incomplete": run.lifecycle.incomplete,
            "failed_tasks": run.lifecycle.activity.failed_tasks,
            "quiet": [len(other.events), other.activity.jobs, other.activity.failed_tasks],
        }


def while_all_are_busy(job: Job, name: str, kill: Callable[[], None]) -> None:
    """Kill something while each executor is at work on one task of the run; then let the tasks end."""
    begun, go = job.folder / name, job.folder / f"{name}-go"
    begun.mkdir()
    begun.chmod(0o777)

    def wait(number: int) -> int:
        (begun / str(number)).touch()
        while not go.exists():
            time.sleep(0.02)
        return number

    def killer() -> None:
        try:
            wait_for(lambda: len(list(begun.iterdir())) == WORKERS, f"{name}: not every task has begun")
            kill()
        finally:
            go.touch()

    thread = threading.Thread(target=killer)
    thread.start()
    found = job.spark.sparkContext.parallelize(range(WORKERS), WORKERS).map(wait).collect()
    thread.join()
    assert found == list(range(WORKERS)), found


def executor_killed(job: Job) -> None:
    def kill() -> None:
        os.kill(executors(job.spark.sparkContext.applicationId)[0], signal.SIGKILL)

    while_all_are_busy(job, "executor", kill)


def worker_killed(job: Job) -> None:
    while_all_are_busy(job, "worker", lambda: os.killpg(job.group, signal.SIGKILL))


def task_failed_four_times(job: Job) -> None:
    def fail(_: int) -> None:
        raise ValueError("four times")

    with suppress(Exception):
        job.spark.sparkContext.parallelize([1], 1).map(fail).collect()


def shuffle_lost(job: Job) -> None:
    marker, cluster = job.folder / "shuffle", job.cluster

    @F.udf("long")
    def lose(x: int) -> int:
        if not marker.exists():
            marker.touch()
            for file in cluster.glob("*-local/**/shuffle_*"):
                file.unlink(missing_ok=True)
        return x

    job.spark.range(0, 1000, 1, 4).repartition(8, "id").withColumn("z", lose("id")).write.format("noop").mode("overwrite").save()
    assert marker.exists()


SCENARIOS = [task_failed_four_times, shuffle_lost, executor_killed, worker_killed]


def main(*arguments: str) -> None:
    job, scenarios = Job(*arguments), {scenario.__name__: scenario for scenario in SCENARIOS}
    answer(lambda name: job.told(scenarios[name]))


if __name__ == "__main__":
    main(*sys.argv[1:])
