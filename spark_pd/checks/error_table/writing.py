"""Failing rows to the error table, whatever its format. Nothing here raises into the job: what went wrong is reported."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from spark_pd.checks.counts import Unknown
from spark_pd.checks.error_table.location import Place
from spark_pd.checks.error_table.result import ErrorTable
from spark_pd.checks.failing_rows import RUN_ID, FailingRows
from spark_pd.spark.column_fitting import declared, quoted, with_nulls
from spark_pd.spark.file_tables import FILES, LOSES_ROWS, SHARED_COMMIT, TYPED, described, loses_rows, mended_by, own_commit, refuse_view

_log = logging.getLogger("spark_pd.error_table")

HOLDS_ARRAYS = frozenset({"delta", "parquet", "orc", "json", "avro", "iceberg", "hudi"})
"""Formats that can keep the failed rules of a row. The error table of a CSV file has the session's default format."""
_ODD = re.compile(r"[ ,;{}()\n\t=]")
"""What a Delta table's columns may have in their names only where they are mapped to others in its files."""
NOTHING_FAILED = "no row failed a rule"


class OtherColumns(Exception):
    """The error table has columns that the rows cannot be appended to."""


def write_error_table(
    rows: FailingRows | Unknown | None, place: Place, target: Place, *, run_id: str, at: datetime, describe: Callable[[Exception], str]
) -> ErrorTable:
    """Append the rows to the error table, and return what became of it. Never raises.

    `rows`: None where no row failed, Unknown where it is not known which ones. `target` is the table that the run is about.
    """
    if rows is None:
        return ErrorTable(name=place.name, written=False, rows=0, exact=True, reason=NOTHING_FAILED)
    if isinstance(rows, Unknown):
        _log.info("error table %s: not written: %s", place.name, rows.reason)  # the run has warned of it
        return ErrorTable(name=place.name, written=False, rows=None, exact=False, reason=rows.reason)
    try:
        if rows.counted is None and not rows.frame.take(1):  # nobody has counted that there are any
            return _logged(ErrorTable(name=place.name, written=False, rows=0, exact=False, read_again=True, reason=_doubt(0, rows)))
        appended = _Appending(rows, place, target, run_id, at)
        appended.append()
    except Exception as error:
        _log.debug("the error table %s could not be written", place.name, exc_info=True)
        why = str(error) if isinstance(error, OtherColumns) else describe(error)
        return _logged(ErrorTable(name=place.name, written=False, rows=None, exact=False, reason=f"it could not be written: {why}"))
    if rows.from_side_output:
        return _logged(ErrorTable(name=place.name, written=True, rows=rows.counted, exact=True))
    try:
        found = appended.found()
    except Exception as error:
        why = f"its rows could not be counted: {describe(error)}"
        return _logged(ErrorTable(name=place.name, written=True, rows=None, exact=False, read_again=True, reason=why))
    exact = found == rows.counted
    return _logged(ErrorTable(name=place.name, written=found > 0, rows=found, exact=exact, read_again=True, reason=_doubt(found, rows)))


def _doubt(found: int, rows: FailingRows) -> str | None:
    """Why the rows that were read again need not be those that were counted."""
    if found == rows.counted:
        return None
    counted = "an unknown number" if rows.counted is None else f"{rows.counted:,}"
    return (
        f"the input was read again for its failing rows and gave {found:,}, where {counted} had been counted: it changed, or it is not "
        "deterministic"
    )


def _logged(outcome: ErrorTable) -> ErrorTable:
    if outcome.exact:
        _log.info("error table %s: %s rows", outcome.name, outcome.rows)
    else:
        _log.warning("error table %s: %s: %s", outcome.name, f"{outcome.rows} rows" if outcome.written else "not written", outcome.reason)
    return outcome


@functools.cache  # once for each table
def _warn_of_other_writers(name: str) -> None:
    _log.warning(LOSES_ROWS, name, mended_by(name))


class _Appending:
    """One run's rows on their way to the error table, in its own format where it has one, else the target's, else the session's."""

    def __init__(self, rows: FailingRows, place: Place, target: Place, run_id: str, at: datetime) -> None:
        self._frame = rows.for_table(run_id, at)
        self._spark: Any = self._frame.sparkSession
        self._place, self._target = place, target
        self._run_id = run_id
        self._format = "parquet"

    def append(self) -> None:
        """Append them; with the columns that the table lacks where its format can."""
        there = self._there()
        try:
            self._append(there)
        except Exception:
            if there or not self._there():
                raise
            self._append(there=True)  # another run made the table meanwhile

    def found(self) -> int:
        """How many rows of this run the table has."""
        name = self._place.name
        table = self._spark.read.format(self._format).load(name) if self._place.is_path else self._spark.read.table(name)
        return int(table.filter(table[RUN_ID] == self._run_id).count())

    def _append(self, there: bool) -> None:
        self._format = self._format_of(there)
        if self._format in FILES and not self._place.is_path:
            self._insert(there)
            return
        writer = self._frame.write
        if self._format == "delta":
            writer = writer.option("mergeSchema", "true")
            if not there and any(_ODD.search(name) for name in self._frame.columns):
                writer = writer.option("delta.columnMapping.mode", "name")
        elif there and not (self._place.is_path and self._format not in TYPED):
            writer = self._fitted().write
        if self._format in FILES:
            writer = writer.options(**own_commit())
        writer = writer.format(self._format).mode("append")
        if self._place.is_path:
            writer.save(self._place.name)
        else:
            writer.saveAsTable(self._place.name)

    def _insert(self, there: bool) -> None:
        """Append them to a catalog's table of files. It is made without them: of two runs that make it with theirs, one may lose."""
        name = self._place.name
        if not there:
            columns = ", ".join(f"{quoted(field.name)} {declared(field.dataType)}" for field in self._frame.schema.fields)
            self._spark.sql(f"CREATE TABLE IF NOT EXISTS {name} ({columns}) USING {self._format} {SHARED_COMMIT}")
        elif loses_rows(described(self._spark, name)):
            _warn_of_other_writers(name)
        frame = self._fitted()
        ours = {column.casefold(): column for column in frame.columns} | {column: column for column in frame.columns}
        by_place = [quoted(ours.get(column, ours[column.casefold()])) for column in self._spark.read.table(name).columns]
        frame.select(*by_place).write.mode("append").insertInto(name)

    def _there(self) -> bool:
        if not self._place.is_path:
            return bool(self._spark.catalog.tableExists(self._place.name))
        with suppress(Exception):
            return bool(self._spark.read.format(self._format_of(False)).load(self._place.name).columns)
        return False

    def _format_of(self, there: bool) -> str:
        own = self._provider(self._place) if there else None
        if there and own is None and not self._place.is_path:
            refuse_view(self._spark, self._place.name)
        known = own or self._place.format or self._provider(self._target)
        if known is not None and known in HOLDS_ARRAYS:
            return known
        return str(self._spark.conf.get("spark.sql.sources.default"))

    def _provider(self, place: Place) -> str | None:
        """The format of a table that the catalog has."""
        if place.is_path or not self._spark.catalog.tableExists(place.name):  # to describe what is not there is an error in Spark's log
            return None
        with suppress(Exception):
            format = described(self._spark, place.name).get("Provider")
            return None if format is None else format.lower()
        return None

    def _fitted(self) -> Any:
        """The rows with the table's columns. A catalog's table gets those that it lacks; a folder of files takes any new ones.

        Raises OtherColumns for a column of another type: no format but Delta changes those, and some would be unreadable from then on.
        """
        name = self._place.name
        table = self._spark.read.format(self._format).load(name) if self._place.is_path else self._spark.read.table(name)
        has = {field.name.lower(): field for field in table.schema.fields}
        rows = {field.name.lower(): field for field in self._frame.schema.fields}
        other = [
            f"{field.name} is {has[key].dataType.simpleString()} there and {field.dataType.simpleString()} here"
            for key, field in rows.items()
            if key in has and has[key].dataType.simpleString() != field.dataType.simpleString()
        ]
        if other:
            raise OtherColumns(f"{self._format} does not change a column's type, and {'; '.join(other)}; move the old error table away")
        if self._place.is_path:
            return self._frame
        lacking = [field for key, field in rows.items() if key not in has]
        if lacking:
            columns = ", ".join(f"{quoted(field.name)} {declared(field.dataType)}" for field in lacking)
            try:
                self._spark.sql(f"ALTER TABLE {name} ADD COLUMNS ({columns})")
            except Exception as error:
                new = ", ".join(field.name for field in lacking)
                raise OtherColumns(
                    f"it lacks the columns {new}, which could not be added ({type(error).__name__}); add them, or move it away"
                ) from error
        return with_nulls(self._frame, [field for key, field in has.items() if key not in rows])
