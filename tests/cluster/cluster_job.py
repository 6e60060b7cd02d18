"""The driver of a standalone cluster, in a process of its own: it loses executors and speculates while it counts.

It plays the scenarios that it reads from standard input, such as "operator speculated", and prints JSON.

python cluster_job.py spark://HOST:PORT FOLDER
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import spark_pd
from tests.jobs import answer

ROWS = 4000
SECONDS = 120
RULES = [
    {"rule": "tenth", "expectation": "id % 10 <> 0", "action_if_failed": "drop"},
    {"rule": "third", "expectation": "id % 3 <> 0", "action_if_failed": "ignore"},
]
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.executor.memory": "512m",
    "spark.executor.cores": "1",
    "spark.executor.extraJavaOptions": os.environ["SPARK_SUBMIT_OPTS"],
    "spark.sql.shuffle.partitions": "4",
    "spark.speculation": "true",
    "spark.speculation.interval": "100ms",
    "spark.speculation.quantile": "0.5",
    "spark.speculation.multiplier": "1.2",
    "spark.speculation.minTaskRuntime": "1s",
    # PySpark 4.2.0 by Arrow, its default, sometimes hangs in a plain write of withColumn(udf), without spark_pd
    "spark.sql.execution.pythonUDF.arrow.enabled": "false",
}


def executors(application: str) -> list[int]:
    """The process ids of this application's executors."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_text().split("\0")
            except OSError:
                continue
            if application in words and any("CoarseGrainedExecutorBackend" in word for word in words) and words[0].endswith("java"):
                found.append(int(folder.name))
    return sorted(found)


def kill_one(application: str, marker: Path) -> threading.Thread:
    """Kill one executor as soon as the marker is there, and then say so by a second marker."""

    def kill() -> None:
        until = time.monotonic() + SECONDS
        while not marker.exists() and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(executors(application)[0], signal.SIGKILL)
        marker.with_suffix(".killed").touch()

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def until_killed(marker: Path) -> Any:
    """A function that says when it is under way, and goes on when an executor was killed."""
    killed, limit = marker.with_suffix(".killed"), SECONDS

    @F.udf("long")
    def wait(x: int) -> int:
        if not killed.exists():
            marker.touch()
            until = time.monotonic() + limit
            while not killed.exists() and time.monotonic() < until:
                time.sleep(0.02)
        return x

    return wait("id")


def hangs_once(folder: Path) -> Any:
    """A function that hangs at one row in the first task that comes there, until Spark ends that task; each that comes leaves a file."""
    limit = SECONDS

    @F.udf("long")
    def slow(x: int) -> int:
        if x == 1:
            first = not any(folder.iterdir())
            (folder / str(time.time_ns())).touch()
            if first:
                time.sleep(limit)
        return x

    return slow("id")


class Job:
    """What the scenarios share."""

    def __init__(self, master: str, folder: Path) -> None:
        builder = SparkSession.builder.master(master).appName("spark_pd cluster tests")
        for name, value in SETTINGS.items():
            builder = builder.config(name, value)
        self.spark = builder.config("spark.sql.warehouse.dir", str(folder / "warehouse")).getOrCreate()
        self.spark.sparkContext.setLogLevel("OFF")
        self.folder = folder
        self.source = str(folder / "source")
        self.spark.range(0, ROWS, 1, 8).write.parquet(self.source)

    def checked(self, counting: str, name: str, use: Callable[[Any], Any]) -> dict[str, Any]:
        """What the run told, what stands in its folder, and how often the job's stages were tried."""
        monitor = spark_pd.install(self.spark, {"spark.pd.counting": counting, "se.enable.error.table": counting == "operator"})
        context: Any = self.spark.sparkContext
        context.setJobGroup(name, name)
        out = str(self.folder / name)
        with monitor.run(f"{name}_numbers".replace("-", "_"), rules=RULES) as run:
            use(run.check(self.spark.read.parquet(self.source))).write.parquet(out)
        tracker = context.statusTracker()
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(name)]
        stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
        row = self.spark.read.parquet(out).selectExpr("count(*)", "sum(id)").collect()[0]
        stats = run.stats
        assert stats is not None
        return {
            "exact": stats.exact,
            "counts": [stats.input_count, stats.error_count, stats.dropped_count, stats.output_count],
            "rules": [rule.failed_count for rule in stats.rules],
            "written": [row[0], row[1]],
            "error_table": self.failing(run.error_table),
            "attempts": max((stage.currentAttemptId for stage in stages if stage), default=0) + 1,
        }

    def failing(self, outcome: Any) -> list[Any] | None:
        """What became of the error table, and what stands in it; None where there is none."""
        if outcome is None:
            return None
        row = self.spark.table(outcome.name).selectExpr("count(*)", "sum(id)", "sum(size(meta_row_dq_results))").collect()[0]
        return [outcome.rows, outcome.exact, outcome.read_again, *row]


def killed(job: Job, counting: str, name: str, spread: Callable[[Any], Any]) -> dict[str, Any]:
    """An executor dies while the stage behind the check's own runs: its shuffle files are gone."""
    marker = job.folder / f"{name}-under-way"
    killer = kill_one(job.spark.sparkContext.applicationId, marker)
    found = job.checked(counting, name, lambda d: spread(d).withColumn("z", until_killed(marker)))
    killer.join()
    return found


def speculated(job: Job, counting: str, name: str) -> dict[str, Any]:
    """A task of the check's own stage hangs, and a second one is started beside it."""
    attempts = job.folder / f"{name}-attempts"
    attempts.mkdir()
    attempts.chmod(0o777)
    found = job.checked(counting, name, lambda d: d.withColumn("z", hangs_once(attempts)).orderBy("z"))
    return {**found, "tasks": len(list(attempts.iterdir()))}


SCENARIOS: dict[str, Callable[[Job, str, str], dict[str, Any]]] = {
    "plain": lambda job, counting, name: job.checked(counting, name, lambda d: d),
    "sorted": lambda job, counting, name: job.checked(counting, name, lambda d: d.orderBy("id")),
    "executor_killed": lambda job, counting, name: killed(job, counting, name, lambda d: d.repartition(8, "id")),
    "executor_killed_in_a_range": lambda job, counting, name: killed(job, counting, name, lambda d: d.repartitionByRange(8, "id")),
    "speculated": speculated,
}


def main(master: str, folder: str) -> None:
    job = Job(master, Path(folder))

    def play(asked: str) -> dict[str, Any]:
        counting, name = asked.split()
        return SCENARIOS[name](job, counting, f"{counting}-{name}")

    answer(play)


if __name__ == "__main__":
    main(*sys.argv[1:])
