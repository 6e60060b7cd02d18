"""Silence for the loggers that write values down at DEBUG, in the thread that looks a secret up and for just that long."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# What each of them writes: py4j every answer of the JVM, so dbutils' secret; databricks.sdk response bodies that are not JSON, and headers;
# botocore the session token it signs, and the credentials that STS or SSO answered.
TELLTALES = ("py4j.clientserver", "py4j.java_gateway", "databricks.sdk", "botocore.auth", "botocore.endpoint", "botocore.parsers")

_lock = threading.Lock()


class _Hush(logging.Filter):
    """Drops what one thread logs below WARNING."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record may pass."""
        return record.levelno >= logging.WARNING or threading.get_ident() != self._thread


@contextmanager
def quiet() -> Iterator[None]:
    """Within it, this thread's records below WARNING do not leave the telltale loggers; other threads log as before."""
    hush = _Hush()
    _change(add=hush)
    try:
        yield
    finally:
        _change(remove=hush)


def _change(*, add: logging.Filter | None = None, remove: logging.Filter | None = None) -> None:
    # A new list each time: another thread may be walking the old one, and would miss a filter if one before it went away.
    with _lock:
        for name in TELLTALES:
            log = logging.getLogger(name)
            kept = [each for each in log.filters if each is not remove]
            log.filters = kept if add is None else [*kept, add]
