"""Silence for those who write values down for debugging: loggers, while a secret is looked up, and connections that carry one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from requests import Session

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


def mute(session: Session) -> None:
    """Have the session's connections print nothing of what they send.

    With http.client.HTTPConnection.debuglevel set, as many do to see requests, others print headers and bodies on stdout.
    """
    from requests.adapters import HTTPAdapter
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    pools = {scheme: _muted(pool) for scheme, pool in (("http", HTTPConnectionPool), ("https", HTTPSConnectionPool))}

    class Adapter(HTTPAdapter):
        """requests' own adapter, with those pools."""

        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            """Make the manager of direct connections."""
            super().init_poolmanager(*args, **kwargs)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
            """The manager of connections through a proxy."""
            manager = super().proxy_manager_for(*args, **kwargs)
            manager.pool_classes_by_scheme = pools
            return manager

    for prefix in ("http://", "https://"):
        session.mount(prefix, Adapter())


def _muted(pool: Any) -> Any:
    """The pool class, with connections whose own debuglevel stands before that of http.client."""
    connection = type(pool.ConnectionCls.__name__, (pool.ConnectionCls,), {"debuglevel": 0})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


def _change(*, add: logging.Filter | None = None, remove: logging.Filter | None = None) -> None:
    # A new list each time: another thread may be walking the old one, and would miss a filter if one before it went away.
    with _lock:
        for name in TELLTALES:
            log = logging.getLogger(name)
            kept = [each for each in log.filters if each is not remove]
            log.filters = kept if add is None else [*kept, add]
