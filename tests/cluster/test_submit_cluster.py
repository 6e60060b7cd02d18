"""spark-submit in client mode to a real standalone cluster, of jobs that know nothing of spark_pd: under `spark-pd run`, under `exec`."""

# ruff: noqa: F811

from __future__ import annotations

from pathlib import Path

import pytest

import spark_pd
from tests.application.conftest import ended, script, submit, to_sandbox  # noqa: F401
from tests.crash.conftest import EXEC, enabled, environ, outbox_folder, sandbox, triggers  # noqa: F401

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


@pytest.mark.versions
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


# The first task kills its own executor, the JVM above the daemon of its Python worker.
LOSING = """
import os, signal, sys
from pyspark.sql import SparkSession

def first_kills(number, mark=sys.argv[1]):
    if number == 0 and not os.path.exists(mark):
        open(mark, "w").close()
        with open(f"/proc/{os.getppid()}/stat") as daemon:
            os.kill(int(daemon.read().rpartition(")")[2].split()[1]), signal.SIGKILL)
    return number

spark = SparkSession.builder.getOrCreate()
spark.sparkContext.setLogLevel("OFF")
print(spark.sparkContext.parallelize(range(4), 4).map(first_kills).sum())
"""


def test_under_exec_alone_a_lost_executor_is_told_while_the_job_ends_well(
    ended, script, environ, enabled, sandbox, master, tmp_path
) -> None:
    """spark-submit starts its driver by Spark's own scripts; the job is as it was, and so is its result."""
    lost = ["--conf", "spark.pd.on.executor_lost=true"]
    command = [*submit(spark__executor__memory="512m"), "--master", master]
    done = ended(
        *EXEC,
        "--name",
        "nightly",
        *lost,
        "--",
        *command,
        script(LOSING),
        str(tmp_path / "killed"),
        only=enabled | {"SPARK_PD_DEADLINE": "60"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "6"
    assert triggers(sandbox) == ["spark_pd/test/-/nightly/executor_lost"]
    (incident,) = sandbox.open_incidents()
    assert "executor_lost" in str(incident.details["events"])
    assert (tmp_path / "killed").exists()
