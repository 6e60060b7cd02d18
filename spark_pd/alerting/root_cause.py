"""Spark's own words on why something failed, made fit for an incident: the root cause, as far as it may leave the cluster. Pure."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from spark_pd.secrets.redaction import FULL_LIMIT, one_line, scrub

Shown: TypeAlias = Literal["class", "scrubbed", "full"]
"""What of a cause may leave the cluster, as `spark.pd.details.exceptions` says it."""

_CAUSED_BY = re.compile(r"^\s*Caused by:\s*(.+)$", re.MULTILINE)
_RECENT = re.compile(r"most recent failure:\s*(?:Lost task [^\n]*?\):\s*)?([^\n]+)")
_TRACEBACK = "Traceback (most recent call last):"
# `java.lang.IllegalStateException`, `ValueError`, `pyspark.errors.exceptions.base.PySparkRuntimeException`: what a message begins with.
_CLASS = re.compile(r"((?:[A-Za-z_$][\w$]*\.)*[A-Z][\w$]*(?:Exception|Error|Failure|Fault|Interrupt|Exit|Throwable))(?=$|[:\s(])")


def cause_of(text: str | None, shown: Shown) -> str | None:
    """What is told of a cause: its exception's class, the scrubbed message of its root too, or all of it.

    None where there is none, or where only a class may be told and it names none.
    """
    if text is None or not text.strip():
        return None
    if shown == "full":
        return one_line(text, FULL_LIMIT) or None
    root = _root(text)
    found = _CLASS.match(root)
    if shown == "class":
        return found[1] if found else None
    return scrub(root) or None


def _root(text: str) -> str:
    """The line that says what went wrong first: Python's own last line, else the innermost `Caused by`, else the failure of the task."""
    if _TRACEBACK in text:
        python = _last_of_traceback(text[text.rindex(_TRACEBACK) + len(_TRACEBACK) :])
        if python:
            return python
    causes = _CAUSED_BY.findall(text)
    if causes:
        return str(causes[-1]).strip()
    recent = _RECENT.search(text)
    line = recent[1] if recent else text.strip().splitlines()[0]
    return line.strip()


def _last_of_traceback(text: str) -> str | None:
    """The exception that a Python traceback ends with: its first line that is not indented."""
    for line in text.splitlines():
        if line and not line[0].isspace():
            return line.strip()
    return None
