"""What all tests share: one Spark session for the whole run, and rows whose right counts are known without us."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
# For each JVM that a test starts by spark-submit or PySpark: they live for a minute or so, on two cores, and the second compiler's and the
# parallel collector's threads would take more than they give. The archive that scripts/class-archive made halves the time of a start. A JVM
# that it does not fit ignores it, and says so in its log, which is off: a job's output is its own.
_CLASSES = Path(sys.prefix) / "classes.jsa"
_ARCHIVE = f" -Xshare:auto -Xlog:disable -XX:SharedArchiveFile={_CLASSES}" if _CLASSES.is_file() and _CLASSES.stat().st_size else ""
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC" + _ARCHIVE)


# By hand, for what has to hold for anything at all: see make payloads.
settings.register_profile("thorough", max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="session")
def oracles_folder() -> Path:
    """Where the oracles are, if they are: what others wrote, to check our work against."""
    return Path(os.environ.get("SPARK_PD_ORACLES", Path(__file__).parent / "../shared/oracles"))


@pytest.fixture(scope="session")
def openapi(oracles_folder: Path) -> dict[str, Any]:
    """PagerDuty's own OpenAPI of the Events API v2; skips where it is absent."""
    file = oracles_folder / "pagerduty-events-v2.openapi.json"
    if not file.is_file():
        pytest.skip(f"PagerDuty's OpenAPI is not in {oracles_folder}; SPARK_PD_ORACLES names its folder")
    return dict(json.loads(file.read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def openapi_validator(openapi: dict[str, Any]) -> Callable[[str], Any]:
    """A validator of what is posted to a path of the OpenAPI."""
    schemas = pytest.importorskip("openapi_schema_validator")

    def validator(path: str) -> Any:
        schema = openapi["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        return schemas.OAS30Validator({**schema, "components": openapi["components"]}, format_checker=schemas.oas30_format_checker)

    return validator


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real local session of two cores, shared by all tests of a run."""
    from pyspark.sql import SparkSession

    from spark_pd.spark import executions, listener

    # What a listener saw has to be right however slow the machine is.
    executions.DRAIN_MILLIS = listener.DRAIN_MILLIS = 60_000
    folder = tmp_path_factory.mktemp("spark")
    session = (
        SparkSession.builder.master("local[2,4]")
        .appName("spark_pd tests")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.memory", "2g")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "4")
        # Where a test has Spark lose a shuffle, the driver's block manager is struck off, and in local mode it cannot register again:
        # it looks for CoarseGrainedScheduler, which local mode has not. After 60 heartbeats, ten minutes later, the JVM would end itself.
        .config("spark.executor.heartbeat.maxFailures", "100000")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .config(
            "spark.driver.extraJavaOptions",
            f"-Dderby.system.home={folder / 'derby'} -XX:TieredStopAtLevel=1 -XX:ErrorFile={folder / 'hs_err.log'}",
        )
        .config("spark.local.dir", str(folder / "local"))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    global _spark
    _spark = session.sparkContext._gateway.proc, folder / "hs_err.log"
    yield session
    session.stop()


# The JVM of the shared session, and where it would say why it crashed.
_spark: tuple[subprocess.Popen[bytes], Path] | None = None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say with a failure how the JVM ended, where it did: what a test then shows is a refused connection only."""
    report = yield
    if report.failed and _spark is not None and (code := _spark[0].poll()) is not None:
        crash = _spark[1].read_text(encoding="utf-8")[:3000] if _spark[1].is_file() else ""
        report.sections.append(("The shared session's JVM", f"is gone, with code {code} {crash}"))
    return report
