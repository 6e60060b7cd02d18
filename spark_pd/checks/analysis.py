"""What Spark's analyzer says of rules, before any data is read: which it refuses, and what about them."""

from __future__ import annotations

import difflib
import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from spark_pd.model import Rule


def refused(rules: Sequence[Rule], why: Callable[[Sequence[Rule]], Exception | None]) -> list[tuple[Rule, Exception]]:
    """The rules that Spark refuses, in their order, with what it says.

    `why`: what Spark says against some rules together, None where it takes them all. By halves: one bad rule among 1,000 takes some 20
    looks, not 1,000.
    """
    if not rules:
        return []
    with quiet():
        error = why(rules)
    if error is None:
        return []
    if len(rules) == 1:
        return [(rules[0], error)]
    half = len(rules) // 2
    return refused(rules[:half], why) + refused(rules[half:], why)


class _Quiet(logging.Filter):
    """Drops what PySpark logs in threads that are in a block of `quiet`."""

    def __init__(self) -> None:
        super().__init__()
        self.threads = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        return not getattr(self.threads, "quiet", False)


_quiet = _Quiet()


@contextmanager
def quiet() -> Iterator[None]:
    """PySpark 4 logs a JSON trace of each error of Spark's that Python sees: not those that are caught in this block."""
    with suppress(ImportError):  # PySpark 3.5 logs none
        from pyspark.logger import PySparkLogger

        PySparkLogger.getLogger("SQLQueryContextLogger").addFilter(_quiet)  # once, however often
    before = getattr(_quiet.threads, "quiet", False)
    _quiet.threads.quiet = True
    try:
        yield
    finally:
        _quiet.threads.quiet = before


def not_evaluable(error: Exception) -> str:
    """Why a rule's result is unknown, without the error's text, which may hold values of the data."""
    condition = re.search(r"\[([A-Z][A-Z0-9_.]+)\]", str(error))
    return f"it could not be evaluated: {condition[1] if condition else type(error).__name__}"


def said(error: Exception, schema: StructType) -> str:
    """What Spark says, for a message: a column that is not there with the nearest one that is, else its first line."""
    missing = _missing(error)
    if missing is None:
        return first_line(error)
    known = {name.lower(): path for path, field in _paths(schema) for name in (field, path)}
    near = difflib.get_close_matches(missing.lower(), known, 1, 0.6)
    hint = f"; did you mean {known[near[0]]}?" if near else f" among {listed(schema.names)}"
    return f"there is no column {missing}{hint}"


def first_line(error: Exception) -> str:
    """The first line of what Spark says."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def listed(names: Sequence[str], most: int = 12) -> str:
    """Some of the names, for a message."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _missing(error: Any) -> str | None:
    """The column that Spark did not find, as far as the error's class tells. PySpark 3.5 over Connect does not tell."""
    try:
        condition = error.getCondition() if hasattr(error, "getCondition") else error.getErrorClass()
        parameters = error.getMessageParameters() or {}
    except Exception:
        return None
    kind = str(condition or "").partition(".")[0]
    name = parameters.get({"UNRESOLVED_COLUMN": "objectName", "FIELD_NOT_FOUND": "fieldName"}.get(kind, ""))
    return None if name is None else re.sub(r"`((?:[^`]|``)*)`", lambda quoted: quoted[1].replace("``", "`"), str(name))


def _paths(schema: StructType, prefix: str = "", depth: int = 4) -> list[tuple[str, str]]:
    """The columns, and what is nested in them: as an expectation names them, `address.zip`, and the field alone, `zip`."""
    found = []
    for field in schema.fields:
        found.append((prefix + field.name, field.name))
        inner: DataType = field.dataType
        while isinstance(inner, (ArrayType, MapType)):
            inner = inner.elementType if isinstance(inner, ArrayType) else inner.valueType
        if isinstance(inner, StructType) and depth:
            found += _paths(inner, f"{prefix}{field.name}.", depth - 1)
    return found
