"""spark-submit in client mode: a job that is configured by `--conf` alone, with the package from `--py-files`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import spark_pd
from tests.application.conftest import submit, to_sandbox

pytestmark = pytest.mark.spark

PACKAGE = Path(spark_pd.__file__).parent
JOB = """
import sys
from pyspark.sql import SparkSession
import spark_pd
spark = SparkSession.builder.getOrCreate()
spark.sparkContext.setLogLevel("OFF")
monitor = spark_pd.install()
with monitor.run("sales.orders", rules=[{"rule": "few", "expectation": "id < 3", "action_if_failed": "drop"}]) as run:
    run.check(spark.range(5)).write.format("noop").mode("overwrite").save()
assert run.stats.dropped_count == 2, run.stats
print(spark_pd.__file__, run.stats.counting, sys.argv[1:])
"""


def test_conf_alone_configures_a_job_and_py_files_bring_the_package(ended, script, environ, sandbox, outbox_folder, tmp_path) -> None:
    archive = shutil.make_archive(str(tmp_path / "spark_pd"), "zip", PACKAGE.parent, PACKAGE.name)
    threshold = {"spark__pd__on__error_drop_threshold": "true", "spark__pd__limit__error_drop_threshold": "10"}
    command = submit(**to_sandbox(sandbox.url, outbox_folder), **threshold, spark__se__enable__error__table="false")
    done = ended(*command, "--master", "local[2]", "--py-files", archive, script(JOB), "--day", "1", only=environ | {"PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr
    file, counting, arguments = done.stdout.strip().splitlines()[-1].split(" ", 2)
    assert (counting, arguments) == ("operator", "['--day', '1']")
    assert "spark_pd.zip" in file
    (incident,) = sandbox.open_incidents()
    assert incident.dedup_key == "spark_pd/prod/-/sales.orders/error_drop_threshold"
