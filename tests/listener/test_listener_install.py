"""The listener comes with the first monitor of a context, goes with the last, and is never in anybody's way."""

from __future__ import annotations

import json
import logging
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import spark_pd
from spark_pd.spark import java
from spark_pd.spark.listener import Listener
from spark_pd.spark.run_lifecycle import OFF, lifecycle_of, release_listeners
from tests.jobs import found_by

pytestmark = pytest.mark.versions

HERE = Path(__file__).parent
RULES = [{"rule": "small", "expectation": "id < 4", "action_if_failed": "ignore"}]


@pytest.fixture(autouse=True)
def _no_listener_before(spark: Any) -> Iterator[None]:
    """Other tests may have left their monitors installed."""
    release_listeners()
    yield
    release_listeners()


def listeners(spark: Any) -> int:
    """How many listeners of ours the context has."""
    found = spark.sparkContext._jsc.sc().listenerBus().listeners()
    return sum(found.get(i).getClass().getName() == "spark_pd.Listener" for i in range(found.size()))


def fails(spark: Any) -> None:
    with pytest.raises(Exception, match="boom"):
        spark.range(0, 1, 1, 1).selectExpr("raise_error('boom')").collect()


def jobs(run: spark_pd.Run) -> tuple[int, list[str]]:
    """How many jobs a run had, and its events."""
    assert run.lifecycle is not None
    assert run.lifecycle.incomplete is None
    return run.lifecycle.activity.jobs, [event.kind for event in run.lifecycle.events]


def test_installing_again_adds_no_second_listener_and_uninstalling_removes_it(spark):
    for _ in range(3):
        monitor = spark_pd.install(spark)
        assert listeners(spark) == 1
    monitor.uninstall()
    assert listeners(spark) == 0
    with spark_pd.install(spark).run("sales.orders") as run:
        fails(spark)
    assert jobs(run) == (1, ["job_failed"])


def test_a_run_that_is_open_at_the_uninstall_keeps_its_listener_until_its_end(spark):
    monitor = spark_pd.install(spark)
    with monitor.run("sales.orders") as run:
        monitor.uninstall()
        fails(spark)
    assert jobs(run) == (1, ["job_failed"])
    assert listeners(spark) == 0


def test_who_wants_no_listener_has_none(spark):
    monitor = spark_pd.install(spark, lifecycle=False)
    assert listeners(spark) == 0
    with monitor.run("sales.orders") as run:
        fails(spark)
        assert spark.sparkContext.getLocalProperty("spark_pd.run") is None
    assert run.lifecycle is None
    assert OFF.endswith("(lifecycle=False)")


def test_the_rare_events_are_logged_as_they_come(spark, caplog):
    def logged() -> list[str]:
        return [record.getMessage() for record in caplog.records if "job_failed" in record.getMessage()]

    with caplog.at_level(logging.INFO, logger="spark_pd.lifecycle"), spark_pd.install(spark).run("sales.orders") as run:
        fails(spark)
        until = time.monotonic() + 60
        while not logged() and time.monotonic() < until:
            time.sleep(0.01)
        assert len(logged()) == 1
        assert f"in run {run.run_id}" in logged()[0]
        assert "boom" not in logged()[0]


def test_a_verdict_from_outside_asks_spark_for_nothing(spark):
    with spark_pd.install(spark).run("sales.orders") as run:
        fails(spark)
        assert run.conclude("errored", "SIGTERM")
        assert run.lifecycle is None
    assert run.lifecycle is None
    assert spark.sparkContext.getLocalProperty("spark_pd.run") is None


def test_another_process_on_the_jvm_has_a_listener_of_its_own(spark):
    """Two processes share nothing but the JVM: threads and connections of their own, a class compiled twice, two objects."""

    def made() -> Listener:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(java, "_loaders", weakref.WeakKeyDictionary())
            return Listener(spark, lambda _: None)

    with ThreadPoolExecutor(1) as process:
        other = process.submit(made).result()
        monitor = spark_pd.install(spark)
        assert listeners(spark) == 2
        before = process.submit(other.begin, "theirs").result()
        with monitor.run("sales.orders") as ours:
            fails(spark)
            process.submit(fails, spark).result()
        monitor.uninstall()
        assert listeners(spark) == 1
        process.submit(fails, spark).result()
        text = process.submit(other.snapshot, "theirs").result()
        for call in (lambda: other.restore(before), lambda: other.forget("theirs"), other.remove):
            process.submit(call).result()
    assert text is not None
    theirs = lifecycle_of(json.loads(text))
    assert jobs(ours) == (1, ["job_failed"])
    assert ours.lifecycle is not None
    assert ours.lifecycle.unattributed == ()
    assert (theirs.activity.jobs, [event.run_id for event in theirs.events], theirs.unattributed) == (2, ["theirs"] * 2, ())
    assert listeners(spark) == 0


def test_where_the_listener_cannot_be_compiled_one_warning_says_so_and_the_checks_go_on(spark, monkeypatch, caplog):
    spark_pd.install(spark, lifecycle=False)  # what counts the rows is compiled
    monkeypatch.setattr(java, "_loaders", weakref.WeakKeyDictionary())
    monkeypatch.setattr(java, "_source", lambda *_: "this is no Java")
    with caplog.at_level(logging.INFO, logger="spark_pd"):
        spark_pd.install(spark)
        monitor = spark_pd.install(spark)
    (warning,) = [record for record in caplog.records if record.name == "spark_pd.lifecycle"]
    assert warning.levelno == logging.WARNING
    assert "CompileException" in warning.getMessage()
    with monitor.run("sales.orders", rules=RULES) as run:
        run.check(spark.range(10)).write.format("noop").mode("overwrite").save()
    assert run.stats is not None
    assert (run.stats.error_count, run.lifecycle) == (6, None)
    with pytest.raises(spark_pd.UsageError, match=r"lifecycle=True .*CompileException"):
        spark_pd.install(spark, lifecycle=True)


def test_a_job_of_its_own_ends_as_it_would_without(tmp_path):
    found = found_by(str(HERE / "listener_job.py"), folder=tmp_path, seconds=240)
    assert found == {
        "pickled": [0, 2, 4],
        "child": 0,
        "stopped under way": {"jobs": 2, "events": ["job_failed"], "incomplete": None},
        "thread ended": True,
        "new context": {"jobs": 1, "events": ["job_failed"], "incomplete": None},
        "left": True,
    }
