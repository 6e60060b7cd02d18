"""SIGTERM, kill -9 and Ctrl-C while Spark works: the main thread waits in a call to the JVM. Each job has a session of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap

import pytest

from tests.crash.conftest import finished, markers, triggers, until_ready
from tests.crash.test_exec import UNDER

pytestmark = pytest.mark.spark

KEY = "spark_pd/test/-/orders/failure"
JOB = """
from pyspark.sql import SparkSession
import spark_pd

spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.host", "127.0.0.1").config("spark.ui.showConsoleProgress", "false").getOrCreate())
spark.sparkContext.setLogLevel("OFF")
monitor = spark_pd.install(spark)

def tell():
    tracker = spark.sparkContext.statusTracker()
    while not tracker.getActiveJobsIds(): time.sleep(0.05)
    time.sleep(0.3)
    ready()

RULES = [{"rule": "even", "expectation": "id % 2 = 0", "action_if_failed": "drop"}]
threading.Thread(target=tell, daemon=True).start()
"""
SLOW = """
with monitor.run("orders", rules=RULES) as run:
    checked = run.check(spark.range(4))
    checked.selectExpr("id", "reflect('java.lang.Thread', 'sleep', 600000L) AS slept").write.format("noop").mode("overwrite").save()
"""


@pytest.fixture
def job(start, enabled):
    """A job that is in the middle of a slow write."""

    def go(body: str = SLOW, **options) -> subprocess.Popen[str]:
        process = start(JOB + textwrap.dedent(body), env=enabled, **options)
        until_ready(process)
        return process

    return go


def test_sigterm_in_a_write_is_told_and_ends_the_process(job, sandbox, outbox_folder) -> None:
    process = job()
    process.send_signal(signal.SIGTERM)
    returned, errors = finished(process)
    assert returned == -signal.SIGTERM, errors
    assert triggers(sandbox) == [KEY]
    (incident,) = sandbox.open_incidents()
    assert "terminated by SIGTERM" in incident.summary
    assert incident.details["counts_unknown_because"] == "terminated by SIGTERM"
    assert markers(outbox_folder) == []


@pytest.mark.exhaustive
def test_sigterm_in_a_write_of_a_thread_is_told(job, sandbox) -> None:
    process = job(
        """
        def work():
            with monitor.run("orders", rules=RULES) as run:
                checked = run.check(spark.range(4))
                checked.selectExpr("reflect('java.lang.Thread', 'sleep', 600000L) AS s").write.format("noop").mode("overwrite").save()
        with monitor.run("main"):
            thread = threading.Thread(target=work); thread.start(); thread.join()
        """
    )
    process.send_signal(signal.SIGTERM)
    assert finished(process)[0] == -signal.SIGTERM
    assert sorted(triggers(sandbox)) == ["spark_pd/test/-/main/failure", KEY]


def test_ctrl_c_in_a_write_is_sparks_to_handle_and_pages_nobody(job, sandbox) -> None:
    process = job()
    process.send_signal(signal.SIGINT)
    assert finished(process)[0] != 0
    assert triggers(sandbox) == []


def test_a_jvm_that_is_killed_is_told_by_the_run(job, sandbox) -> None:
    process = job("jvm = spark.sparkContext._gateway.proc.pid\nprint(jvm, file=sys.stderr, flush=True)\n" + SLOW)
    assert process.stderr is not None
    os.kill(int(next(line for line in process.stderr if line.strip().isdigit())), signal.SIGKILL)
    assert finished(process)[0] == 1
    assert triggers(sandbox) == [KEY]


def test_kill_9_in_a_write_is_told_once_by_exec(job, sandbox, outbox_folder) -> None:
    process = job("print(os.getpid(), file=sys.stderr, flush=True)\n" + SLOW, under=UNDER)
    assert process.stderr is not None
    os.kill(int(next(line for line in process.stderr if line.strip().isdigit())), signal.SIGKILL)
    assert finished(process)[0] == -signal.SIGKILL
    assert triggers(sandbox) == [KEY]
    assert sandbox.open_incidents()[0].summary == "[test] orders failed: the job was killed by SIGKILL while a run was open"
    assert markers(outbox_folder) == []
