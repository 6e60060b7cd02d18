"""What Spark did belongs to the run that had it done: jobs, stages, tasks, in one thread and in many."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pyspark import InheritableThread
from pyspark.sql import functions as F

import spark_pd
from spark_pd.model.lifecycle import Lifecycle

pytestmark = pytest.mark.versions

SECONDS = 60
RUNS, THREADS = 50, 8


@pytest.fixture
def monitor(spark: Any) -> Iterator[spark_pd.Monitor]:
    """A monitor that has the listener for sure."""
    installed = spark_pd.install(spark, lifecycle=True)
    yield installed
    installed.uninstall()


def fails(spark: Any, why: str) -> None:
    """A job of one task that fails for good, and a caller who handles it."""
    with pytest.raises(Exception, match=why):
        spark.range(0, 1, 1, 1).selectExpr(f"raise_error('{why}')").write.format("noop").mode("overwrite").save()


def works(spark: Any) -> None:
    spark.range(0, 4, 1, 2).write.format("noop").mode("overwrite").save()


def known(run: spark_pd.Run) -> Lifecycle:
    """What the listener told of a run, all of it."""
    assert run.lifecycle is not None
    assert run.lifecycle.incomplete is None
    return run.lifecycle


def told(run: spark_pd.Run) -> list[tuple[str, str | None]]:
    """The run's own events."""
    assert all(event.run_id == run.run_id for event in known(run).events)
    return [(event.kind, event.cause) for event in known(run).events]


def wait_for(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.01)


def in_thread(kind: type[threading.Thread], work: Callable[[], None]) -> None:
    thread = kind(target=work)
    thread.start()
    thread.join()


def test_the_tasks_of_a_run_are_counted(spark, monitor, tmp_path):
    works(spark)  # nobody's
    with monitor.run("sales.orders") as run:
        spark.range(0, 1000, 1, 5).write.parquet(str(tmp_path / "out"))
        spark.read.parquet(str(tmp_path / "out")).write.format("noop").mode("overwrite").save()
    works(spark)
    activity = known(run).activity
    assert activity.records_written == 1000
    assert activity.bytes_written > 0
    assert activity.bytes_read > 0
    assert (activity.jobs, activity.failed_tasks, activity.retried_stages) == (3, 0, 0)  # one of them read the schema
    assert activity.tasks >= 5 + 1 + 1
    assert (known(run).events, known(run).unattributed) == ((), ())


def test_a_failed_job_whose_failure_was_handled_is_a_fact_of_its_run(spark, monitor):
    context = spark.sparkContext
    context.setJobGroup("nightly", "the user's own")
    try:
        with monitor.run("sales.orders") as run:
            fails(spark, "no such order")
            works(spark)
    finally:
        context.setLocalProperty("spark.jobGroup.id", None)
        context.setLocalProperty("spark.job.description", None)
    (event,) = known(run).events
    assert (event.kind, event.run_id, event.job_group) == ("job_failed", run.run_id, "nightly")
    assert "no such order" in (event.cause or "")
    assert event.job_id is not None
    assert event.execution_id is not None
    assert event.call_site
    assert known(run).activity.failed_tasks == 4  # local[2,4]
    assert run.decisions


def test_a_failure_that_ends_the_run_is_told_too(spark, monitor):
    with pytest.raises(Exception, match="no such order"), monitor.run("sales.orders") as run:
        spark.range(1).selectExpr("raise_error('no such order')").collect()
    assert [kind for kind, _ in told(run)] == ["job_failed"]


@pytest.mark.parametrize("by", ["group", "all"])
def test_a_cancelled_job_is_no_failure(spark, monitor, by):
    context = spark.sparkContext

    def slow() -> None:
        context.setJobGroup("to be cancelled", "sleeps")
        with pytest.raises(Exception, match=r"(?i)cancel"):
            spark.range(0, 400, 1, 400).selectExpr("java_method('java.lang.Thread', 'sleep', 100L)").collect()

    with monitor.run("sales.orders") as run:
        thread = InheritableThread(target=slow)
        thread.start()
        wait_for(
            lambda: set(context.statusTracker().getActiveJobsIds()) & set(context.statusTracker().getJobIdsForGroup("to be cancelled"))
        )
        context.cancelJobGroup("to be cancelled") if by == "group" else context.cancelAllJobs()
        thread.join()
    assert told(run) == []
    assert known(run).activity.jobs == 1


def test_a_stage_that_is_tried_again_is_told_with_its_cause(spark, monitor, tmp_path):
    marker, local = tmp_path / "lost", Path(spark.conf.get("spark.local.dir"))

    @F.udf("long")
    def lose(x: int) -> int:
        if not marker.exists():
            marker.touch()
            for file in local.glob("**/shuffle_*"):
                file.unlink(missing_ok=True)
        return x

    # PySpark 4.2.0 by Arrow, its default, sometimes hangs in a plain write of withColumn(udf), without spark_pd
    spark.conf.set("spark.sql.execution.pythonUDF.arrow.enabled", "false")
    try:
        with monitor.run("sales.quiet") as quiet, monitor.run("sales.orders") as run:
            spark.range(0, 1000, 1, 4).repartition(8, "id").withColumn("z", lose("id")).write.parquet(str(tmp_path / "out"))
    finally:
        spark.conf.unset("spark.sql.execution.pythonUDF.arrow.enabled")
    assert marker.exists()
    events = known(run).events
    assert events
    assert {event.kind for event in events} == {"stage_retried"}
    assert len({(event.stage_id, event.attempt) for event in events}) == len(events) == known(run).activity.retried_stages
    assert all(event.attempt and event.attempt >= 1 for event in events)
    assert any("FetchFailed" in (event.cause or "") for event in events)
    assert known(run).activity.records_written == 1000
    assert (known(quiet).events, known(quiet).unattributed, known(quiet).activity.tasks) == ((), (), 0)


def test_a_thread_that_inherits_is_the_runs_and_a_plain_one_is_nobodys(spark, monitor):
    with monitor.run("sales.orders") as run:
        in_thread(InheritableThread, lambda: fails(spark, "inherited"))
        in_thread(threading.Thread, lambda: fails(spark, "plain"))
    assert [cause for _, cause in told(run)] == [event.cause for event in known(run).events if "inherited" in (event.cause or "")]
    assert len(known(run).events) == 1
    (event,) = known(run).unattributed
    assert (event.kind, event.run_id) == ("job_failed", None)
    assert "plain" in (event.cause or "")
    with monitor.run("sales.orders") as later:
        works(spark)
    assert known(later).unattributed == ()


def test_a_broadcast_and_a_subquery_are_their_querys_runs(spark, monitor):
    with monitor.run("sales.orders") as run:
        small = spark.range(3).selectExpr("id", "if(id = 1, raise_error('in the broadcast'), id) AS x")
        with pytest.raises(Exception, match="in the broadcast"):
            spark.range(100).join(F.broadcast(small), "id").collect()
        with pytest.raises(Exception, match="in the subquery"):
            spark.sql("SELECT * FROM range(9) WHERE id > (SELECT max(raise_error('in the subquery')) FROM range(2))").collect()
    causes = " ".join(cause or "" for _, cause in told(run))
    assert "in the broadcast" in causes
    assert "in the subquery" in causes
    assert known(run).unattributed == ()


def test_a_run_within_a_run_has_its_own_and_properties_are_as_before(spark, monitor):
    context = spark.sparkContext
    mine = {"spark.jobGroup.id": "nightly", "spark.job.description": "orders", "spark.scheduler.pool": "default", "spark_pd.run": None}
    for name, value in mine.items():
        context.setLocalProperty(name, value)
    try:
        with monitor.run("sales.outer") as outer:
            fails(spark, "outer")
            with monitor.run("sales.inner") as inner:
                fails(spark, "inner")
                assert context.getLocalProperty("spark_pd.run") == inner.run_id
            assert context.getLocalProperty("spark_pd.run") == outer.run_id
            fails(spark, "outer again")
        with pytest.raises(ValueError, match="boom"), monitor.run("sales.outer"):
            raise ValueError("boom")
        assert {name: context.getLocalProperty(name) for name in mine} == mine
    finally:
        for name in mine:
            context.setLocalProperty(name, None)
    assert len(told(outer)) == 2
    assert len(told(inner)) == 1
    assert "inner" in (known(inner).events[0].cause or "")


def test_fifty_runs_in_eight_threads_each_have_their_own_failures_and_no_others(spark, monitor):
    def one(number: int) -> tuple[int, spark_pd.Run]:
        with monitor.run(f"sales.t{number}") as run:
            for each in range(number % 3):
                fails(spark, f"run {number} failure {each} end")
                works(spark)
            works(spark)
        return number, run

    with ThreadPoolExecutor(THREADS) as threads:
        ran = list(threads.map(one, range(RUNS)))
    for number, run in ran:
        failures = [cause for kind, cause in told(run) if kind == "job_failed"]
        assert len(failures) == len(known(run).events) == number % 3
        for each, cause in enumerate(failures):
            assert f"run {number} failure {each} end" in (cause or "")
        assert known(run).unattributed == ()
        assert known(run).activity.jobs == 2 * (number % 3) + 1
        assert known(run).activity.failed_tasks == 4 * (number % 3)
        assert known(run).activity.tasks == 4 * (number % 3) + 2 * (number % 3 + 1)


def test_a_job_that_outlives_its_run_is_told_to_be_running_and_is_no_later_runs(spark, monitor, tmp_path):
    context, over, sleep = spark.sparkContext, tmp_path / "over", time.sleep

    def wait_and_fail(_: int) -> None:  # travels to a worker that does not know this module
        while not over.exists():
            sleep(0.01)
        raise ValueError("too late")

    def work() -> None:
        context.setJobGroup("outlives", "waits")
        with pytest.raises(Exception, match="too late"):
            context.parallelize([1], 1).map(wait_and_fail).collect()

    with monitor.run("sales.orders") as run:
        thread = InheritableThread(target=work)
        thread.start()
        wait_for(lambda: context.statusTracker().getJobIdsForGroup("outlives"))
    with monitor.run("sales.orders") as later:
        over.touch()
        thread.join()
    assert run.lifecycle is not None
    assert run.lifecycle.incomplete == "1 job of the run had not ended"
    assert (known(later).events, known(later).unattributed) == ((), ())
