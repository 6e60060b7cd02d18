"""`spark-pd run` of PySpark scripts that know nothing of spark_pd: real sessions, with the session's own settings."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.application.conftest import LOCAL, SPARK_PD
from tests.dying.conftest import EXEC, markers, triggers

pytestmark = pytest.mark.spark

SESSION = """
import os, sys, threading, time
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[2]").appName("nightly orders").config("spark.ui.enabled", "false")
    .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    .config("spark.ui.showConsoleProgress", "false").getOrCreate())
spark.sparkContext.setLogLevel("OFF")
"""
KEY = "spark_pd/test/-/job.py/failure"
RULES = """
import spark_pd
monitor = spark_pd.install(spark)
rules = [{"rule": "few", "expectation": "id < 2", "action_if_failed": "fail"}]
"""


def test_a_job_that_knows_nothing_fails_and_closes_by_its_next_good_end(ended, script, sandbox, outbox_folder) -> None:
    """Its settings are in Spark's own configuration alone: the environment enables nothing."""
    conf = f"""
    .config("spark.expectations.notifications.pagerduty.enabled", "true")
    .config("spark.expectations.notifications.pagerduty.integration.key", "env:JOB_KEY")
    .config("spark.expectations.notifications.pagerduty.webhook.url", {sandbox.url!r})
    .config("spark.pd.outbox.path", {str(outbox_folder)!r}).config("spark.pd.environment", "prod").getOrCreate())"""
    session = SESSION.replace(".getOrCreate())", conf)
    off = {
        "SPARK_EXPECTATIONS_NOTIFICATIONS_PAGERDUTY_ENABLED": "false", "SPARK_PD_ENVIRONMENT": "", "SPARK_PD_OUTBOX_PATH": "",
        "SPARK_EXPECTATIONS_NOTIFICATIONS_PAGERDUTY_INTEGRATION_KEY": "", "SPARK_EXPECTATIONS_NOTIFICATIONS_PAGERDUTY_WEBHOOK_URL": "",
    }  # fmt: skip
    failing = ended(*SPARK_PD, "run", script(session + "spark.sql('SELECT 1 FROM nowhere')"), env=off)
    assert failing.returncode == 1, failing.stderr
    assert "TABLE_OR_VIEW_NOT_FOUND" in failing.stderr
    assert "spark_pd" not in failing.stderr
    (incident,) = sandbox.open_incidents()
    assert incident.dedup_key == "spark_pd/prod/-/job.py/failure"
    assert "AnalysisException" in incident.summary
    assert incident.details["application_id"].startswith("local-")
    assert incident.source == "nightly orders"
    good = ended(*SPARK_PD, "run", script(session + "print(spark.range(5).count())\nspark.stop()"), env=off)
    assert (good.returncode, good.stdout) == (0, "5\n"), good.stderr
    assert sandbox.open_incidents() == []
    assert markers(outbox_folder) == []


def test_a_job_with_runs_of_its_own_tells_a_failure_once(ended, script, sandbox) -> None:
    body = SESSION + RULES + "with monitor.run('orders', rules=rules) as run:\n    run.check(spark.range(5))\n"
    done = ended(*SPARK_PD, "run", script(body))
    assert done.returncode == 1
    assert "RuleFailed" in done.stderr
    assert triggers(sandbox) == ["spark_pd/test/-/orders/failure"]


@pytest.fixture
def open_job(enabled, script, tmp_path):
    """A job with an open run under `spark-pd run`, once it says so."""
    started: list[subprocess.Popen[str]] = []

    def go(*under: str) -> subprocess.Popen[str]:
        body = SESSION + RULES + "with monitor.run('orders'):\n    print('ready', os.getpid(), flush=True)\n    time.sleep(100)\n"
        command = [*under, *SPARK_PD, "run", script(body)]
        process = subprocess.Popen(
            command, cwd=tmp_path, env={**enabled, **LOCAL}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )  # fmt: skip
        started.append(process)
        return process

    yield go
    for process in started:
        process.kill()
        process.communicate()


def test_sigterm_is_told_by_the_run_that_is_open_and_not_by_the_application_too(open_job, sandbox, outbox_folder) -> None:
    process = open_job()
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == -signal.SIGTERM, errors
    assert triggers(sandbox) == ["spark_pd/test/-/orders/failure"]
    assert markers(outbox_folder) == []


def test_kill_9_is_told_once_by_exec_for_the_run_that_was_open(open_job, sandbox, outbox_folder) -> None:
    process = open_job(*EXEC, "--")
    assert process.stdout is not None
    os.kill(int(process.stdout.readline().split()[1]), signal.SIGKILL)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == -signal.SIGKILL, errors
    assert triggers(sandbox) == ["spark_pd/test/-/orders/failure"]
    assert markers(outbox_folder) == []
