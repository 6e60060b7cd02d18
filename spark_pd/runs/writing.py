"""How a run writes: to a table by its name, or to a folder by its path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_pd.checks.error_table.location import Place

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def write(
    df: DataFrame,
    target: str | Path,
    *,
    mode: str,
    format: str | None,
    partition_by: str | Sequence[str],
    options: Mapping[str, Any] | None,
) -> Place:
    """Write the rows, and tell where they are. Raises what Spark does."""
    writer = df.write.mode(mode).options(**dict(options or {}))
    if format is not None:
        writer = writer.format(format)
    if partition_by:
        writer = writer.partitionBy(*([partition_by] if isinstance(partition_by, str) else partition_by))
    if isinstance(target, Path) or "/" in target:
        writer.save(str(target))
    else:
        writer.saveAsTable(target)
    return Place(f"./{target}" if isinstance(target, Path) and "/" not in str(target) else str(target), format)
