"""`spark-pd run` of PySpark scripts that know nothing of spark_pd: real sessions, with the session's own settings."""

from __future__ import annotations

import pytest

from tests.application.conftest import SPARK_PD
from tests.dying.conftest import markers

pytestmark = pytest.mark.spark

SESSION = """
import os, sys, threading, time
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[2]").appName("nightly orders").config("spark.ui.enabled", "false")
    .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    .config("spark.ui.showConsoleProgress", "false").getOrCreate())
spark.sparkContext.setLogLevel("OFF")
"""


def test_a_job_that_knows_nothing_fails_and_closes_by_its_next_good_end(ended, script, environ, sandbox, outbox_folder) -> None:
    """Its settings are in Spark's own configuration alone: the environment enables nothing."""
    conf = f"""
    .config("spark.expectations.notifications.pagerduty.enabled", "true")
    .config("spark.expectations.notifications.pagerduty.integration.key", "env:JOB_KEY")
    .config("spark.expectations.notifications.pagerduty.webhook.url", {sandbox.url!r})
    .config("spark.pd.outbox.path", {str(outbox_folder)!r}).config("spark.pd.environment", "prod").getOrCreate())"""
    session = SESSION.replace(".getOrCreate())", conf)
    failing = ended(*SPARK_PD, "run", script(session + "spark.sql('SELECT 1 FROM nowhere')"), only=environ)
    assert failing.returncode == 1, failing.stderr
    assert "TABLE_OR_VIEW_NOT_FOUND" in failing.stderr
    assert "spark_pd" not in failing.stderr
    (incident,) = sandbox.open_incidents()
    assert incident.dedup_key == "spark_pd/prod/-/job.py/failure"
    assert "AnalysisException" in incident.summary
    assert incident.details["application_id"].startswith("local-")
    assert incident.source == "nightly orders"
    good = ended(*SPARK_PD, "run", script(session + "print(spark.range(5).count())\nspark.stop()"), only=environ)
    assert (good.returncode, good.stdout) == (0, "5\n"), good.stderr
    assert sandbox.open_incidents() == []
    assert markers(outbox_folder) == []
