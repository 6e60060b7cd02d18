"""Tables that are folders of files, and how several writers append to one without losing each other's rows.

All writers of a folder share one `_temporary` in it, and as Hadoop commits by default, the first who is done moves or deletes what the
others have there: rows were lost, and others there twice. So nobody clears away: empty folders stay behind in `_temporary` of each write.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from spark_pd.model.errors import UsageError

FILES = frozenset({"parquet", "orc", "json", "csv", "avro", "text", "xml", "hive"})
"""Formats whose tables are folders of files."""
TYPED = frozenset({"parquet", "orc", "avro", "iceberg", "hudi"})
"""Formats whose files have a schema of their own, which they may not contradict."""
_VERSION = "mapreduce.fileoutputcommitter.algorithm.version"
_SHARED = {_VERSION: "2", "mapreduce.fileoutputcommitter.cleanup.skipped": "true"}
COMMIT = {**_SHARED, "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false"}
"""Each task moves its own file into place. For a catalog's table, which holds it for all of its writers, and for writes of one file."""
SHARED_COMMIT = "OPTIONS (" + ", ".join(f"'{name}' '{value}'" for name, value in COMMIT.items()) + ")"
"""The same where a catalog's table is made."""

LOSES_ROWS = "%s is a table of files, which may lose rows where several runs write it at once; where they do: %s"
"""A warning: the table's name, and what it is `mended_by`."""


def own_commit() -> dict[str, str]:
    """For one write to a folder: all of its files are moved at its end, out of a place that no other writer has."""
    return {**COMMIT, _VERSION: "1", "mapreduce.job.application.attempt.id": str(random.SystemRandom().randrange(1, 2**31))}


def described(spark: Any, table: str) -> dict[str, str]:
    """What a catalog tells of a table, such as its Provider, which a view has not. Raises what Spark raises where there is none."""
    return {row[0]: str(row[1]) for row in spark.sql(f"DESCRIBE TABLE EXTENDED {table}").collect()}


def loses_rows(description: Mapping[str, str]) -> bool:
    """Whether writers at once may lose rows of a catalog's table, by what is `described` of it.

    An insert commits as the table itself says, or by default: its own options reach no committer (tried on Spark 3.5.9 and 4.2.0).
    """
    options = description.get("Storage Properties", "")
    return description.get("Provider", "").casefold() in FILES and not all(f"{name}={value}" in options for name, value in _SHARED.items())


def refuse_view(spark: Any, name: str) -> None:
    """Raise UsageError for a view: beside one of the session's own, Spark would silently make a table of that name."""
    if spark.catalog.getTable(name).tableType in ("VIEW", "TEMPORARY"):
        raise UsageError(f"{name} is a view, and rows can be appended to tables only; drop it, or give the name of a table")


def mended_by(table: str) -> str:
    """The statement after which a table holds how it is to be committed."""
    options = ", ".join(f"'{name}'='{value}'" for name, value in COMMIT.items())
    return f"ALTER TABLE {table} SET SERDEPROPERTIES ({options})"
