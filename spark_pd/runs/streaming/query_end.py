"""What a query says of itself: how it ended, and a name for it that stays over restarts."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal

from spark_pd.runs.streaming.application_end import is_stopped
from spark_pd.secrets.redaction import FULL_LIMIT, one_line, scrub
from spark_pd.spark.session import is_connect

_TRACEBACK = "Traceback (most recent call last):"
_CLASS = re.compile(r"([A-Za-z_][\w.$]*)(?:: |\Z)")


def failure_of(query: Any) -> str | None:
    """What Spark says of the exception that ended the query; None where none did."""
    java = getattr(query, "_jsq", None)
    if java is not None:
        failure = java.exception()
        return str(failure.get().cause().toString()) if failure.isDefined() else None
    error = query.exception()
    return None if error is None else str(error)


def said(failure: str, mode: Literal["class", "scrubbed", "full"]) -> str:
    """The exception that ended a query, for an alert: as `scrub.describe` has those that Python raised.

    Of an exception in Python code, such as foreachBatch's function, Spark gives the traceback in its own words: its last line is meant.
    """
    if mode == "full":
        return one_line(failure, FULL_LIMIT)
    line = _raised_in_python(failure) or failure
    found = _CLASS.match(line)
    kind = found[1] if found else "StreamingQueryException"
    if mode == "class":
        return kind
    message = scrub(line[found.end() :] if found else line)
    return f"{kind}: {message}" if message else kind


def _raised_in_python(failure: str) -> str | None:
    _, found, traceback = failure.rpartition(_TRACEBACK)
    lines = traceback.splitlines()[1:] if found else []
    return next((line for line in lines if line and not line[0].isspace()), None)


def lasting_name(query: Any) -> str:
    """What tells the query from others over restarts: its name, else its checkpoint, else (over Connect) its id, which a checkpoint keeps.

    A query without any of them is `stream`.
    """
    if query.name:
        return str(query.name)
    java = getattr(query, "_jsq", None)
    if java is None:
        return f"query-{query.id}"
    try:
        root = str(java.streamingQuery().resolvedCheckpointRoot())
    except Exception:
        return f"query-{query.id}"
    last = root.rstrip("/").rpartition("/")[2]
    if last.startswith("temporary-"):  # Spark's own, another one at each start
        return "stream"
    return f"{last}-{hashlib.sha256(root.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def session_is_over(spark: Any) -> bool:
    """Whether the session was stopped. Connect does not tell."""
    return not is_connect(spark) and is_stopped(spark.sparkContext)


def planned(query: Any) -> str:
    """The query's plan as text, to look for a check's name in; empty where it is not to be had."""
    java = getattr(query, "_jsq", None)
    try:
        return "" if java is None else str(java.streamingQuery().analyzedPlan().toString())
    except Exception:
        return ""
