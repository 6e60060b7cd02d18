"""The lifecycle triggers on the whole road: real runs that take too long, write nothing or are tried again, and PagerDuty's answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

import spark_pd
from spark_pd.runs import overrun_clock as overrun
from tests.end_to_end.shared import write

LONG = 3_600
EVEN = [{"rule": "even", "expectation": "id % 2 = 0", "action_if_failed": "drop"}]
NONE = [{"rule": "none", "expectation": "id < 0", "action_if_failed": "drop"}]
# What is tried here is what is told, not how fast a busy machine is.
PATIENT = {"spark.pd.deadline": 60, "spark.pd.on.failure": False}


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    monkeypatch.setattr(overrun, "PATIENCE", 60.0)


@pytest.fixture
def overrunning(install):
    """Runs sales.orders until a condition holds while it runs, with so many seconds as its limit."""

    def ran(limit: float, condition: Any = None, **config: Any) -> Any:
        settings = {**PATIENT, "spark.pd.on.overrun": True, "spark.pd.limit.overrun": limit}
        with install({**settings, **config}).run("sales.orders") as run:
            if condition is not None:
                until(lambda: condition(run))
        return run

    return ran


def decision(run: Any, trigger: str) -> Any:
    return next(d for d in run.decisions if d.trigger == trigger)


def test_a_run_that_takes_too_long_is_told_while_it_runs_and_once_and_the_next_one_in_time_closes(pagerduty, overrunning):
    run = overrunning(0.2, lambda run: pagerduty.open_incidents())
    (incident,) = pagerduty.open_incidents()
    assert incident.dedup_key == "spark_pd/-/-/sales.orders/overrun"
    assert re.fullmatch(r"sales\.orders still runs after [\d.]+ s, limit 0\.2 s", incident.summary)
    assert (incident.severity, incident.trigger_count, incident.details["status"]) == ("error", 1, "running")
    assert incident.details["run_id"] == run.run_id
    assert decision(run, "overrun").outcome == "firing"
    assert re.fullmatch(r"took .+, limit 0\.2 s; reported while it was running, after [\d.]+ s", decision(run, "overrun").reason)
    assert [(a.trigger, a.state) for a in run.alerts] == [("overrun", "firing")]
    assert [d.status for d in run.deliveries] == ["sent"]
    in_time = overrunning(LONG)
    assert decision(in_time, "overrun").outcome == "good"
    assert pagerduty.open_incidents() == []


def test_a_run_in_time_pages_nobody_and_without_a_limit_nothing_is_decided(pagerduty, overrunning, install):
    run = overrunning(LONG)
    assert [(a.trigger, a.state) for a in run.alerts] == [("overrun", "resolved")]
    with install({**PATIENT, "spark.pd.on.overrun": True}).run("sales.orders") as unlimited:
        pass
    assert decision(unlimited, "overrun").outcome == "none"
    assert "spark.pd.limit.overrun is not set" in decision(unlimited, "overrun").reason
    assert pagerduty.incidents() == []


def test_a_failure_that_comes_after_its_overrun_leaves_both_open(pagerduty, install):
    monitor = install({**PATIENT, "spark.pd.on.failure": True, "spark.pd.on.overrun": True, "spark.pd.limit.overrun": 0.2})
    with pytest.raises(ZeroDivisionError), monitor.run("sales.orders"):
        until(pagerduty.open_incidents)
        _ = 1 / 0
    assert sorted(i.class_ for i in pagerduty.open_incidents()) == ["failure", "overrun"]


def test_each_overrun_counts_once_for_the_policy_told_or_not(pagerduty, overrunning):
    policy = {"spark.pd.after.overrun": 2, "spark.pd.notify.overrun": "change"}
    first = overrunning(0.2, lambda run: run.alerts, **policy)
    assert [d.status for d in first.deliveries] == ["suppressed"]
    assert "not told: bad run 1 of the 2 in a row that it takes" in decision(first, "overrun").reason
    assert pagerduty.incidents() == []
    overrunning(0.2, lambda run: run.alerts, **policy)
    assert [i.trigger_count for i in pagerduty.open_incidents()] == [1]
    third = overrunning(0.2, lambda run: run.alerts, **policy)
    assert "the incident is open since" in decision(third, "overrun").reason
    assert [i.trigger_count for i in pagerduty.open_incidents()] == [1]


def test_without_pagerduty_it_is_decided_all_the_same(pagerduty, overrunning):
    run = overrunning(0.2, lambda run: run.alerts, **{"spark.expectations.notifications.pagerduty.enabled": False})
    assert decision(run, "overrun").outcome == "firing"
    assert [d.status for d in run.deliveries] == ["suppressed"]
    assert pagerduty.requests == []


def test_a_pagerduty_that_refuses_changes_nothing_for_the_run(pagerduty, overrunning):
    pagerduty.fault("hang")
    run = overrunning(0.2, lambda run: run.alerts, **{"spark.pd.deadline": 0.5})
    assert decision(run, "overrun").outcome == "firing"
    assert [d.status for d in run.deliveries] == ["queued"]


def test_an_uninstalled_monitors_open_run_is_still_told(spark, pagerduty):
    config = {**pagerduty.config, **PATIENT, "spark.pd.on.overrun": True, "spark.pd.limit.overrun": 0.2}
    monitor = spark_pd.install(spark, config)
    with monitor.run("sales.orders"):
        monitor.uninstall()
        until(pagerduty.open_incidents)
    assert [incident.class_ for incident in pagerduty.open_incidents()] == ["overrun"]


def test_a_state_that_clusters_share_knows_of_what_was_told_while_the_run_ran(pagerduty, overrunning, tmp_path):
    tables = {"spark.pd.stats.table": str(tmp_path / "stats"), "spark.pd.outbox.path": str(tmp_path / "a")}
    overrunning(0.2, lambda run: pagerduty.open_incidents(), **tables)
    closing = overrunning(LONG, **{**tables, "spark.pd.outbox.path": str(tmp_path / "b")})
    assert [(d.alert.state, d.status) for d in closing.deliveries] == [("resolved", "sent")]
    assert pagerduty.open_incidents() == []


def test_a_run_that_wrote_nothing_opens_an_incident_that_one_with_rows_closes_and_an_empty_input_does_neither(spark, pagerduty, install):
    monitor = install({**PATIENT, "spark.pd.on.no_output": True})

    def ran(rules: Any, rows: int) -> Any:
        with monitor.run("sales.orders", rules=rules) as run:
            write(run.check(spark.range(rows)))
        return decision(run, "no_output").outcome

    assert ran(NONE, 10) == "firing"
    assert [i.summary for i in pagerduty.open_incidents()] == ["sales.orders wrote nothing: none of the 10 checked rows was kept"]
    assert ran(EVEN, 0) == "none"
    with monitor.run("sales.orders", rules=EVEN) as unwritten:
        unwritten.check(spark.range(10))
    assert decision(unwritten, "no_output").outcome == "unknown"
    assert len(pagerduty.open_incidents()) == 1
    assert ran(EVEN, 10) == "good"
    assert pagerduty.open_incidents() == []


def test_attempts_of_one_job_are_one_incident_and_only_the_last_is_critical(pagerduty, install, monkeypatch):
    def failing(**config: Any) -> Any:
        monitor = install({"spark.pd.deadline": 60, **config})
        with pytest.raises(ZeroDivisionError), monitor.run("sales.orders"):
            _ = 1 / 0
        return pagerduty.open_incidents()

    (first,) = failing(**{"spark.pd.attempt": 1, "spark.pd.max_attempts": 3})
    assert first.severity == "warning"
    assert first.summary.startswith("sales.orders failed (attempt 1 of 3, a retry follows): ZeroDivisionError")
    assert first.details["attempt"] == "attempt 1 of 3, a retry follows"
    monkeypatch.setenv("AIRFLOW_CTX_TRY_NUMBER", "3")
    (last,) = failing(**{"spark.pd.max_attempts": 3})
    assert (last.dedup_key, last.severity, last.trigger_count) == (first.dedup_key, "critical", 2)
    assert last.summary.startswith("sales.orders failed (attempt 3 of 3): ZeroDivisionError")
    with install({"spark.pd.deadline": 60}).run("sales.orders"):
        pass
    assert pagerduty.open_incidents() == []


def test_a_run_that_is_ended_from_outside_does_not_know_what_spark_did(pagerduty, install):
    on = {f"spark.pd.on.{trigger}": True for trigger in ("job_failure", "stage_retry", "task_failures", "executor_lost", "no_output")}
    run = install({**PATIENT, **on, "spark.pd.on.overrun": True, "spark.pd.limit.overrun": LONG}).run("sales.orders")
    with run:
        assert run.conclude("errored", "terminated by SIGTERM")
    outcomes = {d.trigger: d.outcome for d in run.decisions if d.trigger in {name.rpartition(".")[2] for name in on}}
    assert set(outcomes.values()) == {"unknown"}
    assert decision(run, "overrun").outcome == "good"
    assert pagerduty.requests == []


def test_an_application_that_wrote_nothing_is_told_unless_runs_in_it_tell_what_they_wrote(spark, pagerduty, install, tmp_path):
    """It reads, as a job does that looks at what a run of its own wrote."""
    (tmp_path / "orders.txt").write_text("one\n")
    monitor = install({**PATIENT, "spark.pd.on.no_output": True})
    with monitor.application("nightly") as alone:
        assert spark.read.text(str(tmp_path)).count() == 1
    assert decision(alone, "no_output").outcome == "firing"
    with monitor.application("nightly") as application:
        with monitor.run("sales.orders"):
            pass
        assert spark.read.text(str(tmp_path)).count() == 1
    assert decision(application, "no_output").outcome == "none"
    assert "runs of the application report what they wrote" in decision(application, "no_output").reason
