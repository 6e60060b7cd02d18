"""How a query ended, and whether that was the end of its session."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import Any, Literal

from spark_pd.secrets.redaction import FULL_LIMIT, one_line, scrub
from spark_pd.spark import java
from spark_pd.spark.session import is_connect

logger = logging.getLogger("spark_pd.streaming")

_TRACEBACK = "Traceback (most recent call last):"
_CLASS = re.compile(r"([A-Za-z_][\w.$]*)(?:: |\Z)")


def failure_of(query: Any) -> str | None:
    """The exception that ended the query, as Spark gives it; None where none did."""
    jvm_query = getattr(query, "_jsq", None)
    if jvm_query is not None:
        failure = jvm_query.exception()
        return str(failure.get().cause().toString()) if failure.isDefined() else None
    error = query.exception()
    return None if error is None else str(error)


def described(failure: str, mode: Literal["class", "scrubbed", "full"]) -> str:
    """The exception that ended a query, for an alert, in the form that `redaction.describe` gives to a Python exception.

    Of an exception in Python code, such as foreachBatch's function, Spark gives the whole traceback: the last line of that is used.
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


def session_is_over(spark: Any) -> bool:
    """Whether the session was stopped. Over Connect that is not known."""
    return not is_connect(spark) and is_stopped(spark.sparkContext)


class ApplicationEnd:
    """Sees the end of the session's application in the order of the streaming listeners' events. Over Connect it sees nothing."""

    def __init__(self, spark: Any) -> None:
        self._java: Any = None
        self._context: Any = None
        if is_connect(spark):
            return
        self._context = spark.sparkContext
        try:
            loaded = java.load_class(spark, "spark_pd.runs.streaming", "application_end.java", "spark_pd.ApplicationEnd")
            self._java = java.construct(spark, loaded, self._context._jsc.sc())
        except Exception as error:
            logger.debug("only the context says whether the application has ended: %s", type(error).__name__)

    def came(self) -> bool:
        """Inside a listener's callback: whether it came before the callback's event. Elsewhere: whether it has come."""
        if self._java is not None:
            return bool(self._java.came())
        return False if self._context is None else is_stopped(self._context)

    def remove(self) -> None:
        """Remove the listener."""
        if self._java is not None:
            with suppress(Exception):  # the context may be gone
                self._java.remove()


def is_stopped(context: Any) -> bool:
    """Whether the context was stopped, or is about to be."""
    java_context = getattr(context, "_jsc", None)
    return java_context is None or bool(java_context.sc().isStopped())
