"""`spark-pd run` of PySpark scripts that know nothing of spark_pd: real sessions, with the session's own settings alone."""

from __future__ import annotations

import pytest

from tests.application.conftest import SPARK_PD
from tests.crash.conftest import markers, triggers

pytestmark = pytest.mark.spark

SESSION = """
from pyspark.sql import SparkSession
builder = SparkSession.builder.master("local[2]").appName("nightly orders")
for name, value in {conf!r}.items():
    builder = builder.config(name, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("OFF")
"""


@pytest.fixture
def session(sandbox, outbox_folder) -> str:
    """A script's beginning: its first session, whose configuration is all that says where to send. The environment enables nothing."""
    conf = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.expectations.notifications.pagerduty.enabled": "true",
        "spark.expectations.notifications.pagerduty.integration.key": "env:JOB_KEY",
        "spark.expectations.notifications.pagerduty.webhook.url": sandbox.url,
        "spark.pd.outbox.path": str(outbox_folder),
        "spark.pd.environment": "test",
    }
    return SESSION.format(conf=conf)


@pytest.mark.versions
def test_a_job_that_fails_opens_an_incident_of_the_application(ended, script, session, environ, sandbox, outbox_folder) -> None:
    done = ended(*SPARK_PD, "run", script(session + "spark.sql('SELECT 1 FROM nowhere')"), only=environ)
    assert done.returncode == 1
    assert "TABLE_OR_VIEW_NOT_FOUND" in done.stderr
    assert "spark_pd" not in done.stderr  # no frame of ours in the traceback, and no word
    (incident,) = sandbox.open_incidents()
    assert incident.dedup_key == "spark_pd/test/-/job.py/failure"
    assert "AnalysisException" in incident.summary
    assert incident.details["application_id"].startswith("local-")
    assert incident.source == "nightly orders"
    assert markers(outbox_folder) == []


GETS_OVER_IT = """
try:
    spark.range(1).selectExpr("raise_error('no price')").collect()
except Exception:
    print("went on")
spark.stop()
"""


def test_a_job_that_ends_well_and_stops_spark_closes_it_and_what_it_got_over_is_told_where_that_is_asked_for(
    ended, script, session, environ, sandbox, outbox_folder
) -> None:
    assert ended(*SPARK_PD, "run", script("raise ValueError('before its session')")).returncode == 1
    assert triggers(sandbox) == ["spark_pd/test/-/job.py/failure"]
    path = script(session.replace("'spark.pd.environment'", "'spark.pd.on.job_failure': 'true', 'spark.pd.environment'") + GETS_OVER_IT)
    done = ended(*SPARK_PD, "run", path, only=environ)
    assert (done.returncode, done.stdout) == (0, "went on\n"), done.stderr
    (incident,) = sandbox.open_incidents()
    assert incident.dedup_key == "spark_pd/test/-/job.py/job_failure"
    assert "no price" in incident.details["reason"]
    assert markers(outbox_folder) == []
