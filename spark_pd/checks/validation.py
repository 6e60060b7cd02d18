"""Rules against columns alone: every mistake and every doubt, before any data is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from spark_pd.checks import constant_rules
from spark_pd.checks.aggregates_and_queries import WholePlan, whole_plan
from spark_pd.checks.analysis import first_line, quiet
from spark_pd.checks.row_plan import RowPlan, row_plan
from spark_pd.model import Rule
from spark_pd.model.errors import RulesError, UsageError

FORMATS = {".parquet": "parquet", ".orc": "orc", ".json": "json", ".jsonl": "json", ".csv": "csv"}


def plans(df: DataFrame, rules: Sequence[Rule]) -> tuple[RowPlan, WholePlan]:
    """The plans of the row rules and of the others. Raises RulesError with the mistakes of both."""
    mistakes: list[str] = []
    rows = whole = None
    try:
        rows = row_plan(df, rules)
    except RulesError as error:
        mistakes += error.mistakes
    try:
        whole = whole_plan(df, rules)
    except RulesError as error:
        mistakes += error.mistakes
    if rows is None or whole is None:
        raise RulesError(mistakes)
    return rows, whole


def findings(df: DataFrame, rules: Sequence[Rule]) -> tuple[tuple[str, ...], list[str]]:
    """The mistakes in the rules, and what is odd about those that have none."""
    try:
        plans(df, rules)
    except RulesError as error:
        return error.mistakes, []
    return (), constant_rules.notes(df, rules)


@contextmanager
def columns_of(*, schema: str | None = None, sample: Path | None = None, table: str | None = None) -> Iterator[DataFrame]:
    """A DataFrame with the columns of a DDL schema, of a sample file or of a table, until the block ends.

    It is in the active session, or one of its own on this machine. Raises UsageError for what gives no columns.
    """
    running = SparkSession.getActiveSession()
    spark = running or _own_session()
    try:
        try:
            with quiet():
                df = _frame(spark, schema, sample, table)
        except Exception as error:
            raise UsageError(f"{schema or sample or table} gives no columns: {first_line(error)}") from None
        yield df
    finally:
        if running is None:
            spark.stop()


def _own_session() -> SparkSession:
    """A small session on this machine, which keeps to itself what we say in our own words."""
    builder: Any = SparkSession.builder
    settings = {
        "spark.ui.enabled": "false",
        "spark.log.level": "OFF",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark: SparkSession = builder.master("local[1]").appName("spark-pd validate").getOrCreate()
    return spark


def _frame(spark: SparkSession, schema: str | None, sample: Path | None, table: str | None) -> DataFrame:
    if schema is not None:
        return spark.createDataFrame([], schema)
    if table is not None:
        return spark.table(table)
    assert sample is not None
    folder = "delta" if (sample / "_delta_log").is_dir() else "parquet"
    form = FORMATS.get(sample.suffix.lower()) or (folder if sample.is_dir() else None)
    if form is None:
        raise ValueError(f"expected a file ending in {', '.join(FORMATS)}, or the folder of a Parquet or Delta table")
    reader = spark.read.format(form)
    return (reader.option("header", True).option("inferSchema", True) if form == "csv" else reader).load(str(sample))
