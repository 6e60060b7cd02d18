"""How checked rows are written: to a table by its name, or to a folder by its path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_pd.checks.error_table.location import Place

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """The arguments of `run.write`; those of `foreach_batch` and `with_expectations` that are about the write."""

    mode: str = "append"
    format: str | None = None
    partition_by: str | Sequence[str] = ()
    options: Mapping[str, Any] | None = None


def write_target(df: DataFrame, target: str | Path, how: WriteOptions) -> Place:
    """Write the rows, and return where they are. Raises what Spark raises."""
    writer = df.write.mode(how.mode).options(**dict(how.options or {}))
    if how.format is not None:
        writer = writer.format(how.format)
    if how.partition_by:
        writer = writer.partitionBy(*([how.partition_by] if isinstance(how.partition_by, str) else how.partition_by))
    if isinstance(target, Path) or "/" in target:
        writer.save(str(target))
    else:
        writer.saveAsTable(target)
    return Place(f"./{target}" if isinstance(target, Path) and "/" not in str(target) else str(target), how.format)
