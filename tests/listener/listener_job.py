"""A job in a process of its own: it stops its context, makes a new one, forks, and ends without stopping. Prints JSON."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from pyspark import InheritableThread
from pyspark.sql import SparkSession

import spark_pd

SETTINGS = {"spark.pd.counting": "two_pass"}  # nothing is checked here


def session() -> Any:
    made = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate()
    )
    made.sparkContext.setLogLevel("OFF")
    return made


def fails(spark: Any) -> None:
    with suppress(Exception):
        spark.range(0, 1, 1, 1).selectExpr("raise_error('boom')").collect()


def told(run: spark_pd.Run) -> dict[str, Any] | None:
    if run.lifecycle is None:
        return None
    events = [event.kind for event in run.lifecycle.events]
    return {"jobs": run.lifecycle.activity.jobs, "events": events, "incomplete": run.lifecycle.incomplete}


def listening() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "spark_pd-listener"]


def forks() -> int:
    """The exit code of a child that ends as any program does."""
    child = os.fork()
    if child == 0:
        sys.exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def at_work(spark: Any, group: str) -> bool:
    """Whether tasks of the group's jobs run. A job that has none yet may fail by the stop: Spark cannot send it to executors any more."""
    tracker = spark.sparkContext.statusTracker()
    stages = [stage for job in tracker.getJobIdsForGroup(group) if (info := tracker.getJobInfo(job)) for stage in info.stageIds]
    return any(info.numActiveTasks for stage in stages if (info := tracker.getStageInfo(stage)))


def stopped_under_way(spark: Any, monitor: spark_pd.Monitor) -> spark_pd.Run:
    """The context is stopped while a job of the run is at work, and after another has failed."""

    def slow() -> None:
        spark.sparkContext.setJobGroup("under way", "sleeps")
        with suppress(Exception):
            spark.range(0, 400, 1, 400).selectExpr("java_method('java.lang.Thread', 'sleep', 100L)").collect()

    with monitor.run("sales.orders") as run:
        fails(spark)
        thread = InheritableThread(target=slow)
        thread.start()
        until = time.monotonic() + 60
        while not at_work(spark, "under way") and time.monotonic() < until:
            time.sleep(0.01)
        spark.stop()
        thread.join()
    return run


def main() -> None:
    found: dict[str, Any] = {}
    spark = session()
    monitor = spark_pd.install(spark, SETTINGS, lifecycle=True)
    (thread,) = listening()
    with monitor.run("sales.orders"):
        found["pickled"] = spark.sparkContext.parallelize(range(3), 2).map(lambda x: 2 * x).collect()
        try:
            found["child"] = forks()
        except SystemExit as end:  # the child
            os._exit(0 if end.code == 0 else 1)
    found["stopped under way"] = told(stopped_under_way(spark, monitor))
    thread.join(60)
    found["thread ended"] = not thread.is_alive()

    spark = session()
    with spark_pd.install(spark, SETTINGS, lifecycle=True).run("sales.orders") as run:
        fails(spark)
    found["new context"] = told(run)
    found["left"] = len(listening()) == 1
    print("FOUND " + json.dumps(found), flush=True)
    # The context is not stopped, and the thread waits in the JVM: the interpreter ends all the same.


if __name__ == "__main__":
    main()
