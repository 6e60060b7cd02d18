"""spark-submit in client mode to a real standalone cluster, of a job that knows nothing of spark_pd: under `spark-pd run`, under `exec`."""

# ruff: noqa: F811

from __future__ import annotations

from pathlib import Path

import pytest

import spark_pd
from tests.application.conftest import ended, script, submit, to_sandbox  # noqa: F401
from tests.dying.conftest import EXEC, enabled, environ, outbox_folder, sandbox, triggers  # noqa: F401

pytestmark = pytest.mark.cluster

MAIN = str(Path(spark_pd.__file__).parent / "__main__.py")
FAILING = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.sparkContext.setLogLevel("OFF")
assert spark.sparkContext.master.startswith("spark://")
assert spark.range(0, 1000, 1, 4).selectExpr("sum(id)").collect()[0][0] == 499500
raise ValueError("after its work")
"""


def test_a_job_that_knows_nothing_is_told_once_from_within_and_under_exec(
    ended,
    script,
    environ,
    sandbox,
    outbox_folder,
    master,
) -> None:
    """The parent has the environment's settings, the application those of spark-submit: both are the same here."""
    conf = to_sandbox(sandbox.url, outbox_folder)
    settings = {name.upper().replace("__", "_"): str(value) for name, value in conf.items()}
    command = [*submit(**conf, spark__executor__memory="512m"), "--master", master, "--name", "nightly"]
    done = ended(*EXEC, "--", *command, MAIN, "run", script(FAILING), only=environ | settings)
    assert done.returncode == 1, done.stderr
    assert "ValueError: after its work" in done.stdout  # spark-submit gives both streams as one
    assert triggers(sandbox) == ["spark_pd/prod/-/job.py/failure"]
    (incident,) = sandbox.open_incidents()
    assert incident.details["application_id"].startswith("app-")
    assert incident.source == "nightly"
