"""From what the Spark listener saw to PagerDuty: jobs that failed and were got over, and runs that wrote nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.end_to_end.shared import write

pytestmark = pytest.mark.versions

ON = {
    "spark.pd.on.job_failure": True,
    "spark.pd.on.task_failures": True,
    "spark.pd.limit.task_failures": 20,
    "spark.pd.on.no_output": True,
    "spark.pd.deadline": 60,
}


def failing(spark: Any) -> None:
    """A job that fails, and a user who goes on."""
    with pytest.raises(Exception, match="for customer"):
        write(spark.range(0, 1, 1, 1).selectExpr("raise_error('no price for customer, token=abc')"))


def decisions(run: Any) -> dict[str, str]:
    return {d.trigger: d.outcome for d in run.decisions if d.trigger in ("failure", "job_failure", "task_failures", "no_output")}


def test_a_job_that_fails_and_is_got_over_is_an_incident_that_the_next_good_run_closes(spark, pagerduty, install, tmp_path):
    monitor = install(ON)
    with monitor.run("sales.orders") as run:
        spark.sparkContext.setJobGroup("nightly", "orders")
        failing(spark)
        spark.range(10).write.parquet(str(tmp_path / "out"))
    spark.sparkContext._jsc.sc().clearJobGroup()
    # Of the tasks of both jobs one failed as often as a task may.
    assert decisions(run) == {"failure": "good", "job_failure": "firing", "task_failures": "firing", "no_output": "good"}
    by_trigger = {incident.class_: incident for incident in pagerduty.open_incidents()}
    assert sorted(by_trigger) == ["job_failure", "task_failures"]
    incident = by_trigger["job_failure"]
    assert incident.dedup_key == "spark_pd/-/-/sales.orders/job_failure"
    assert incident.severity == "warning"
    assert "1 failed Spark job: " in incident.summary
    (event,) = incident.details["events"]
    assert event["job_group"] == "nightly"
    assert event["sql_execution_id"] >= 0
    assert "no price for customer" in event["cause"]
    assert "abc" not in str(incident.details)
    with monitor.run("sales.orders") as good:
        spark.range(10).write.parquet(str(tmp_path / "again"))
    assert decisions(good) == dict.fromkeys(decisions(run), "good")
    assert pagerduty.open_incidents() == []


def test_a_run_that_reads_and_writes_nothing_is_told_where_nothing_was_checked(spark, pagerduty, install, tmp_path):
    source = str(tmp_path / "source")
    spark.range(100).write.parquet(source)
    with install(ON).run("sales.orders") as run:
        spark.read.parquet(source).where("id % 7 = 8").write.parquet(str(tmp_path / "target"))
    assert decisions(run)["no_output"] == "firing", run.decisions
    (incident,) = pagerduty.open_incidents()
    assert (incident.class_, incident.severity) == ("no_output", "error")
    assert "it read 100 rows" in incident.summary


def test_without_the_listener_its_triggers_say_so_and_page_nobody(spark, pagerduty, install, tmp_path):
    with install(ON, lifecycle=False).run("sales.orders") as run:
        failing(spark)
    assert decisions(run) == {"failure": "good", "job_failure": "none", "task_failures": "none", "no_output": "none"}
    assert all("switched off (lifecycle=False)" in d.reason for d in run.decisions if d.trigger in ("job_failure", "task_failures"))
    assert pagerduty.open_incidents() == []
