"""Restarts, replays and endings: what counts once, what is no recovery, what is a failure and what is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spark_pd.sandbox import Sandbox
from tests.streaming.shared import BAD, DROP, GOOD, ON, open_triggers, outcomes, until


def through(monitor, source, name=None, *, rule=DROP, failing=False):
    """Read all there is, in a query that is watched; its Watch."""
    with monitor.run("sales.orders", rules=[rule]) as run:
        checked = run.check(source.stream())
        query = source.start(checked.selectExpr("if(id = 13, raise_error('13 is ''unlucky'''), id) AS id"), name)
        watched = monitor.watch(query)
    if failing:
        with pytest.raises(Exception, match="unlucky"):
            query.awaitTermination()
    else:
        query.awaitTermination()
    watched.settle()
    return watched


def test_a_restart_is_no_recovery_and_the_window_goes_on(install, source, pagerduty):
    source.put(GOOD, BAD)
    through(install(ON), source, "orders")
    assert open_triggers(pagerduty) == ["error_drop_threshold"]
    again = through(install(ON), source, "orders")  # nothing new to read
    assert open_triggers(pagerduty) == ["error_drop_threshold"]
    assert [b.batch_id for b in again.batches] == [0, 1]
    source.put(GOOD)
    third = through(install(ON), source, "orders")  # 2 of 12 rows
    assert [b.batch_id for b in third.batches] == [0, 1, 2]
    assert third.stats.dropped_count == 2
    assert open_triggers(pagerduty) == []


def test_a_batch_that_is_replayed_counts_once(install, source, pagerduty, tmp_path):
    monitor = install(ON)
    source.put(GOOD, BAD)
    first = through(monitor, source)
    assert first.stats.input_count == 8
    # The last batch was not committed when the process died, so Spark runs it again.
    for file in ("1", ".1.crc"):
        (tmp_path / "checkpoint" / "commits" / file).unlink()
    again = through(monitor, source)
    assert [b.batch_id for b in again.batches] == [0, 1]
    assert again.stats.input_count == 8


def test_other_rules_begin_the_window_anew(install, source, pagerduty):
    source.put(BAD)
    through(install(ON), source, "orders")
    assert open_triggers(pagerduty) == ["error_drop_threshold"]
    source.put(GOOD)
    watched = through(install(ON), source, "orders", rule={**DROP, "expectation": "id > -4"})
    assert [b.batch_id for b in watched.batches] == [1]
    assert open_triggers(pagerduty) == []


@pytest.mark.versions
def test_a_query_that_fails_pages_and_closes_only_when_a_batch_completes(install, source, pagerduty):
    monitor = install(ON)
    source.put(GOOD, (13,))
    failed = through(monitor, source, "orders", failing=True)
    assert failed.is_over
    (incident,) = pagerduty.open_incidents()
    assert (incident.severity, incident.dedup_key) == ("critical", "spark_pd/-/-/sales.orders/job=orders/query_failure")
    assert incident.summary.startswith("sales.orders query orders failed: ")
    assert "unlucky" not in str(pagerduty.events)  # a quoted value
    again = through(monitor, source, "orders", failing=True)  # the same batch, once more
    assert outcomes(again)["query_failure"] == "firing"
    assert [i.trigger_count for i in pagerduty.open_incidents()] == [2]
    # Somebody mends the file: the batch completes.
    (source.folder / "in" / "0002.json").write_text('{"id": 14}\n')
    mended = through(monitor, source, "orders")
    assert outcomes(mended)["query_failure"] == "good"
    assert open_triggers(pagerduty) == []


def test_stopping_a_query_is_no_failure_and_closes_nothing(spark, install, source, pagerduty):
    monitor = install(ON)
    source.put((13,))
    through(monitor, source, "orders", failing=True)
    (source.folder / "in" / "0001.json").write_text('{"id": 1}\n')

    def hang(id):
        import time

        time.sleep(600)
        return id

    slow = source.stream().select(spark.udf.register("hang", hang, "long")("id").alias("id"))
    with monitor.run("sales.orders", rules=[DROP]) as run:
        query = source.start(run.check(slow), "orders", now=False)
        watched = monitor.watch(query)
    query.stop()  # before any batch completed
    until(lambda: watched.is_over)
    reasons = {d.trigger: d.reason for d in watched.decisions}
    assert reasons["query_failure"] == "query orders ended without an exception"
    assert open_triggers(pagerduty) == ["query_failure"]


def test_a_query_without_a_check_pages_when_it_fails(install, source, pagerduty):
    monitor = install()
    source.put((13,))

    def boom(df, batch_id):
        raise ValueError("password=hunter2 'John'")

    query = source.each(boom, "nightly")
    watched = monitor.watch(query)
    with pytest.raises(Exception, match="hunter2"):
        query.awaitTermination()
    until(lambda: watched.is_over)
    (incident,) = pagerduty.open_incidents()
    assert incident.summary == "nightly query nightly failed: ValueError: password=***"
    assert incident.dedup_key == "spark_pd/-/-/nightly/query_failure"
    assert watched.stats is None
    assert outcomes(watched)["error_drop_threshold"] == "none"


@pytest.mark.versions
def test_a_session_that_is_stopped_is_no_failure_and_a_job_that_ends_with_its_query_has_told_of_it(tmp_path):
    """In a process of its own: a query fails and ends the job, whose session is stopped under another query."""
    with Sandbox() as pagerduty:
        job = subprocess.run(
            [sys.executable, str(Path(__file__).parent / "ending_job.py"), str(tmp_path), pagerduty.url, pagerduty.key],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        assert "STOPPED [] " in job.stdout, job.stderr[-3000:]
        assert job.returncode == 1, job.stderr[-3000:]
        assert "boom" in job.stderr
        assert open_triggers(pagerduty) == ["failure", "query_failure"]
