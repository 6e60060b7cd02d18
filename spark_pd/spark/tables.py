"""A table of our own: rows are appended one by one and read again, in whatever format or catalog it is.

The row is made in the JVM from one literal, so no Python worker starts, and classic Spark and Connect are the same.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

from spark_pd.model.errors import UsageError
from spark_pd.spark.column_fitting import declared, fitted, quoted
from spark_pd.spark.file_tables import COMMIT, LOSES_ROWS, SHARED_COMMIT, TYPED, described, loses_rows, mended_by, refuse_view

logger = logging.getLogger("spark_pd.spark")

DELTA = "delta"
DELTA_CATALOG = "org.apache.spark.sql.delta.catalog.DeltaCatalog"
ATTEMPTS = 4
"""Of an append. Two that create the table at once, or change a Delta table's schema at once, conflict; appends alone never do."""
STATE_SUFFIX = "_state"
"""What the state's table is named by, behind the stats table's name."""
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column: its name, its type as SQL has it, and what it holds."""

    name: str
    type: str
    doc: str


@dataclass(frozen=True, slots=True)
class _Existing:
    """What is there already."""

    fields: tuple[Any, ...]
    """Its columns, as Spark has them."""
    format: str | None
    loses_rows: bool = False
    """Where several write it at once."""


class Table:
    """A table by its name, or the folder of one where the name has a slash. Its methods raise what Spark raises.

    format: such as `delta` or `parquet`. None: Delta where the session's catalog is Delta's, else the session's default.
    """

    def __init__(
        self, spark: Any, name: str, *, format: str | None, columns: Sequence[TableColumn], partition_by: str | None = None
    ) -> None:
        self.name = name
        self._spark = spark
        self._wanted = format
        self._columns = tuple(columns)
        self._partition_by = partition_by
        self._existing: _Existing | None = None
        self._warned: set[str] = set()

    def __repr__(self) -> str:
        return f"Table({self.name!r})"

    @property
    def is_path(self) -> bool:
        """Whether the name is a folder's."""
        return "/" in self.name

    def read(self) -> Any:
        """The table as a DataFrame. None where there is none yet."""
        from pyspark.errors import AnalysisException

        if not self.is_path:
            return self._spark.table(self.name) if self._spark.catalog.tableExists(self.name) else None
        try:
            reader, format = self._spark.read, self._format()
            frame = (reader if format is None else reader.format(format)).load(self.name)
            _ = frame.schema  # Connect looks for the folder now only
            return frame
        except AnalysisException:
            return None  # no folder, or an empty one

    def newest(self, equal: Mapping[str, str], *, least: tuple[str, int], by: str, most: int) -> list[dict[str, Any]]:
        """The newest rows by the time in `by` that have these values, and in the column of `least` that or more. Empty without a table."""
        from pyspark.sql import functions as F

        frame = self.read()
        if frame is None:
            return []
        wanted = F.col(least[0]) >= F.lit(least[1])
        for name, value in equal.items():
            wanted = wanted & (F.col(name) == F.lit(value))
        # As a number: what a timestamp becomes in Python depends on the session's and the machine's time zones.
        read = {"timestamp": "unix_micros(CAST({} AS TIMESTAMP_LTZ))"}
        columns = [F.expr(read.get(each.type, "{}").format(quoted(each.name))).alias(each.name) for each in self._columns]
        rows = frame.where(wanted).select(*columns).orderBy(F.col(by).desc()).limit(most).collect()
        times = [each.name for each in self._columns if each.type == "timestamp"]
        return [row.asDict(recursive=True) | {name: time_of(row[name]) for name in times} for row in rows]

    def append(self, row: Mapping[str, Any]) -> None:
        """Append one row, a value for each column; make the table where there is none.

        A Delta table gets the columns that it lacks. Elsewhere they are left out, with one warning.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._append(row, again=attempt > 1)
                return
            except Exception as error:
                if attempt == ATTEMPTS or isinstance(error, UsageError) or _is_stopped(self._spark):
                    raise
                logger.debug("%s: append %d of %d: %s", self.name, attempt, ATTEMPTS, type(error).__name__)
                self._existing = None  # somebody else may have made or changed it meanwhile
                time.sleep(0.1 * 2**attempt * random.uniform(0.5, 1))

    def _append(self, row: Mapping[str, Any], *, again: bool) -> None:
        _make_active(self._spark)
        # A Delta table in a folder fits itself to the row, but for columns of another type.
        frame, found = self._frame(row), None if self.is_path and self._format() == DELTA and not again else self._found()
        if found is None and not self.is_path and self._format() != DELTA:
            found = self._created(frame)
        format = self._format() if found is None or found.format is None else found.format
        if found is not None and (format in {DELTA, *TYPED} or not self.is_path):
            frame = self._fitted(frame, found, grows=format == DELTA)
            if not self.is_path and format != DELTA:
                if found.loses_rows:
                    self._warn(LOSES_ROWS, mended_by(self.name))
                frame.write.mode("append").insertInto(self.name)
                return
        writer = frame.write.mode("append").options(**({} if format == DELTA else COMMIT))
        writer = writer if format is None else writer.format(format)
        if format == DELTA:
            writer = writer.option("mergeSchema", "true")
        if self._partition_by is not None and (self.is_path or found is None):
            writer = writer.partitionBy(self._partition_by)
        if self.is_path:
            writer.save(self.name)
        else:
            writer.saveAsTable(self.name)

    def _created(self, frame: Any) -> _Existing | None:
        """Make the table in its catalog, without the row: of two that make it with theirs, one row would be there twice."""
        documented = {column.name: column.doc.replace("\\", "\\\\").replace("'", "\\'") for column in self._columns}
        columns = ", ".join(f"{quoted(f.name)} {declared(f.dataType)} COMMENT '{documented[f.name]}'" for f in frame.schema.fields)
        using = "" if self._format() is None else f" USING {self._format()}"
        parts = "" if self._partition_by is None else f" PARTITIONED BY ({quoted(self._partition_by)})"
        self._spark.sql(f"CREATE TABLE IF NOT EXISTS {self.name} ({columns}){using} {SHARED_COMMIT}{parts}")
        self._existing = None
        return self._found()

    def _fitted(self, frame: Any, found: _Existing, *, grows: bool) -> Any:
        """The row with the columns that the table has, in its order; NULL for those that are not ours."""
        row = fitted(frame, found.fields, grows=grows)
        if row.missing and not grows:
            self._warn(
                "%s lacks the columns %s, so they are left out: add them (ALTER TABLE ... ADD COLUMNS); to a Delta table they are added",
                ", ".join(row.missing),
            )
        if row.other:
            self._warn("%s has other types than ours, and NULL where a value does not fit them: %s", "; ".join(row.other))
        return row.frame

    def _warn(self, text: str, what: str) -> None:
        """Once for each text."""
        if text not in self._warned:
            self._warned.add(text)
            logger.warning(text, self.name, what)

    def _found(self) -> _Existing | None:
        there = self.read() if self._existing is None or not self.is_path else None
        if there is not None:
            # The columns of a catalog's table are looked at each time: they are filled by their place.
            fields = tuple(there.schema.fields)
            if self._existing is not None:
                self._existing = replace(self._existing, fields=fields)
            elif self.is_path:
                self._existing = _Existing(fields, self._format())
            else:
                self._existing = self._described(fields)
        elif not self.is_path:
            self._existing = None
        return self._existing

    def _described(self, fields: tuple[Any, ...]) -> _Existing:
        """A table with these columns, with what its catalog tells of it."""
        description = described(self._spark, self.name)
        format = description.get("Provider")
        if format is None:
            refuse_view(self._spark, self.name)
        return _Existing(fields, None if format is None else format.casefold(), loses_rows(description))

    def _format(self) -> str | None:
        """The format of a new table. None: Spark's own choice, where it does not tell (serverless)."""
        if self._wanted is None:
            delta = self._conf("spark.sql.catalog.spark_catalog") == DELTA_CATALOG
            self._wanted = DELTA if delta else self._conf("spark.sql.sources.default", has_default=True)
        return None if self._wanted is None else self._wanted.casefold()

    def _conf(self, name: str, *, has_default: bool = False) -> str | None:
        with suppress(Exception):
            # Asked with a None beside it, Spark before 4 gives that None instead of its own default.
            value = self._spark.conf.get(name) if has_default else self._spark.conf.get(name, None)
            return None if value is None else str(value)
        return None

    def _frame(self, row: Mapping[str, Any]) -> Any:
        """One row. Times go as numbers and dates as texts: how a text becomes a time depends on the session's settings."""
        from pyspark.sql import functions as F

        written = {"timestamp": "bigint", "date": "string"}
        schema = ", ".join(f"{quoted(column.name)} {written.get(column.type, column.type)}" for column in self._columns)
        text = json.dumps({column.name: _plain(row[column.name]) for column in self._columns}, ensure_ascii=True, allow_nan=False)
        one = self._spark.range(0, 1, 1, 1).select(F.from_json(F.lit(text), schema, {"mode": "FAILFAST"}).alias("row"))
        read = {"timestamp": "timestamp_micros({})", "date": "CAST({} AS DATE)"}
        return one.select(
            *(
                F.expr(read.get(column.type, "{}").format(f"row.{quoted(column.name)}")).alias(
                    column.name, metadata={"comment": column.doc}
                )
                for column in self._columns
            )
        )


def time_of(micros: int) -> datetime:
    """The time so many microseconds after 1970 began, aware."""
    return _EPOCH + timedelta(microseconds=micros)


def _plain(value: Any) -> Any:
    """A value as JSON has it: times in microseconds since 1970, dates as text."""
    if isinstance(value, datetime):
        return (value - _EPOCH) // timedelta(microseconds=1)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


def _make_active(spark: Any) -> None:
    """Make it this thread's session: on PySpark 3.5, Delta's catalog writes by the thread's own, and a new thread has none."""
    session = getattr(spark, "_jsparkSession", None)
    if session is not None:
        with suppress(Exception):
            spark._jvm.org.apache.spark.sql.SparkSession.setActiveSession(session)


def _is_stopped(spark: Any) -> bool:
    """Whether the classic session is over: nothing that is tried again can succeed."""
    context = getattr(spark, "_sc", None)
    return context is not None and context._jsc is None


def beside(table: str, suffix: str) -> str:
    """The name of a companion of a table: `db.stats` and `_state` give `db.stats_state`; folders and backticks as they are."""
    trimmed = table.rstrip("/")
    return f"{trimmed[:-1]}{suffix}`" if trimmed.endswith("`") else f"{trimmed}{suffix}"
