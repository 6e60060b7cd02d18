"""What all tests share: one Spark session for the whole run, and rows whose right counts are known without us."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")


@pytest.fixture(scope="session")
def oracles_folder() -> Path:
    """Where the oracles are, if they are: what others wrote, to check our work against."""
    return Path(os.environ.get("SPARK_PD_ORACLES", Path(__file__).parent / "../shared/oracles"))


@pytest.fixture(scope="session")
def oracles(oracles_folder: Path) -> Path:
    """The folder of the oracles; skips where it is absent."""
    if not oracles_folder.is_dir():
        pytest.skip(f"no oracles in {oracles_folder}; set SPARK_PD_ORACLES")
    return oracles_folder


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real local session of two cores, shared by all tests of a run."""
    from pyspark.sql import SparkSession

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
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .config("spark.driver.extraJavaOptions", f"-Dderby.system.home={folder / 'derby'} -XX:TieredStopAtLevel=1")
        .config("spark.local.dir", str(folder / "local"))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()
