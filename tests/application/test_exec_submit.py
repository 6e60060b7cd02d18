"""`spark-pd exec -- spark-submit job.py`: a real spark-submit, of a job that knows nothing of spark_pd."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.application.conftest import LOCAL, submit
from tests.crash.conftest import EXEC, markers, triggers

pytestmark = pytest.mark.spark

SECONDS = 120
# It reads and writes nothing, gets over a failed Spark job, and goes on until it was told to take too long.
JOB = """
import os, sys, time
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
spark.sparkContext.setLogLevel("OFF")
assert spark.read.text(__file__).count() > 0
try:
    spark.range(1).selectExpr("raise_error('no price')").collect()
except Exception:
    print("went on", flush=True)
until = time.monotonic() + 120
while not os.path.exists(sys.argv[1]) and time.monotonic() < until:
    time.sleep(0.05)
worker = spark.sparkContext.parallelize([0], 1).map(lambda _: sys.executable).first()
print(sys.argv, sys.path[0] == os.path.dirname(__file__), os.environ.get("PYSPARK_DRIVER_PYTHON"), worker == sys.executable)
sys.exit(0)
"""
ASKED_FOR = ("no_output", "job_failure", "overrun")


@pytest.mark.versions
def test_a_job_is_watched_while_it_runs_and_told_of_once(enabled, script, sandbox, outbox_folder, tmp_path) -> None:
    """What it got over, that it takes too long, while it does, that it wrote nothing; and its good end closes its last failure."""
    path, told = script(JOB), tmp_path / "told"
    subprocess.run([*EXEC, "--name", "job.py", "--", "false"], env=enabled, check=False, timeout=SECONDS)
    assert triggers(sandbox) == ["spark_pd/test/-/job.py/failure"]
    asked = [word for name in ASKED_FOR for word in ("--conf", f"spark.pd.on.{name}=true")]
    command = [*EXEC, *asked, "--conf", "spark.pd.limit.overrun=1", "--", *submit(), "--master", "local[1]", path, str(told)]
    patient = {"SPARK_PD_DEADLINE": "60"}
    job = subprocess.Popen(command, env={**enabled, **LOCAL, **patient}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + SECONDS
    while "spark_pd/test/-/job.py/overrun" not in triggers(sandbox) and job.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    told.touch()
    output, errors = job.communicate(timeout=SECONDS)
    assert job.returncode == 0, errors
    assert output.splitlines()[-2:] == ["went on", f"{[path, str(told)]} True None True"]
    assert "spark-pd exec" not in errors
    assert {incident.dedup_key for incident in sandbox.open_incidents()} == {f"spark_pd/test/-/job.py/{name}" for name in ASKED_FOR}
    for name in ("no_output", "job_failure", "failure"):
        assert triggers(sandbox).count(f"spark_pd/test/-/job.py/{name}") == 1
    assert markers(outbox_folder) == []
