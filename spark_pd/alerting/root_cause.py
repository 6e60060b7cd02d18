"""The root cause out of Spark's message on why something failed, as far as it may leave the cluster. Pure."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from spark_pd.secrets.redaction import FULL_LIMIT, one_line, scrub

Shown: TypeAlias = Literal["class", "scrubbed", "full"]
"""How much of a cause is sent to PagerDuty: `spark.pd.details.exceptions`."""

_CAUSED_BY = re.compile(r"^\s*Caused by:\s*(.+)$", re.MULTILINE)
_RECENT = re.compile(r"most recent failure:\s*(?:Lost task [^\n]*?\):\s*)?([^\n]+)")
_TRACEBACK = "Traceback (most recent call last):"
# `java.lang.IllegalStateException`, `ValueError`, `pyspark.errors.exceptions.base.PySparkRuntimeException`: what a message begins with.
_CLASS = re.compile(r"((?:[A-Za-z_$][\w$]*\.)*[A-Z][\w$]*(?:Exception|Error|Failure|Fault|Interrupt|Exit|Throwable))(?=$|[:\s(])")


def cause_of(text: str | None, shown: Shown) -> str | None:
    """What is sent of a cause: only the class of its exception, the scrubbed message of the root, or all of it.

    None where there is no cause, or where only a class may be sent and it names none.
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
    """The line that names the root: the last line of a Python traceback, else the innermost `Caused by`, else the task's failure."""
    if _TRACEBACK in text:
        traceback = text[text.rindex(_TRACEBACK) + len(_TRACEBACK) :]
        # The exception is the first line that is not indented.
        exception = next((line for line in traceback.splitlines() if line and not line[0].isspace()), None)
        if exception is not None:
            return exception.strip()
    causes = _CAUSED_BY.findall(text)
    if causes:
        return str(causes[-1]).strip()
    recent = _RECENT.search(text)
    return (recent[1] if recent else text.strip().splitlines()[0]).strip()
