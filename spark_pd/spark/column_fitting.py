"""A row of ours, fitted to the columns that a table has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fitted:
    """The row with the table's columns, and what it lost by that."""

    frame: Any
    missing: tuple[str, ...]
    """Our columns that the table lacks."""
    other: tuple[str, ...]
    """Our columns that have another type there, each with both types."""


def fitted(frame: Any, fields: Sequence[Any], *, grows: bool) -> Fitted:
    """The row with these columns, in their order: NULL where they are not ours, or where our value does not fit their type.

    grows: the table takes columns that it lacks and fills those that are not ours itself, so these are as they are in the row.
    """
    from pyspark.sql import functions as F

    ours = {field.name.casefold(): field for field in frame.schema.fields}
    columns, other = [], []
    for field in fields:
        mine = ours.pop(field.name.casefold(), None)
        if mine is None:
            columns += [] if grows else [F.lit(None).cast(field.dataType).alias(field.name)]
            continue
        there, here = field.dataType.simpleString(), mine.dataType.simpleString()
        if there == here or (grows and not _is_plain(mine.dataType)):  # fields of structs are added by those that grow
            columns.append(F.col(quoted(mine.name)).alias(field.name))
        else:
            other.append(f"{field.name} is {there} there and {here} here")
            columns.append(_converted(mine, field.dataType).alias(field.name))
    missing = tuple(field.name for field in ours.values())
    if grows:
        columns += [F.col(quoted(name)) for name in missing]
    return Fitted(frame.select(*columns), missing, tuple(other))


def with_nulls(frame: Any, fields: Sequence[Any]) -> Any:
    """The rows with these columns behind their own, and NULL in them."""
    from pyspark.sql import functions as F

    return frame.select("*", *(F.lit(None).cast(field.dataType).alias(field.name) for field in fields))


def _converted(mine: Any, type: Any) -> Any:
    """Our column as that type. NULL where the value does not fit: half a number is no number."""
    from pyspark.sql import functions as F
    from pyspark.sql import types as T

    if isinstance(type, T.StringType):
        return F.col(quoted(mine.name)).cast(type)
    kinds = (T.NumericType, (T.TimestampType, T.TimestampNTZType, T.DateType))
    if any(isinstance(mine.dataType, kind) and isinstance(type, kind) for kind in kinds):
        return F.expr(f"try_cast({quoted(mine.name)} AS {type.simpleString()})")
    return F.lit(None).cast(type)


def _is_plain(type: Any) -> bool:
    from pyspark.sql import types as T

    return not isinstance(type, (T.ArrayType, T.MapType, T.StructType))


def declared(type: Any) -> str:
    """The type as a table is declared with it. What TIMESTAMP means there is a setting of the session's (spark.sql.timestampType)."""
    from pyspark.sql import types as T

    if isinstance(type, T.StructType):
        return f"struct<{', '.join(f'{quoted(field.name)}: {declared(field.dataType)}' for field in type.fields)}>"
    if isinstance(type, T.ArrayType):
        return f"array<{declared(type.elementType)}>"
    if isinstance(type, T.MapType):
        return f"map<{declared(type.keyType)}, {declared(type.valueType)}>"
    return "timestamp_ltz" if isinstance(type, T.TimestampType) else str(type.simpleString())


def quoted(name: str) -> str:
    """The name in backticks."""
    return "`" + name.replace("`", "``") + "`"
