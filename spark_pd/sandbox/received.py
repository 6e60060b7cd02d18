"""The log of everything that a sandbox received, accepted or not."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """One request and what it was answered. `body` is its JSON object, None where it had none."""

    number: int
    received_at: datetime
    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body: Mapping[str, Any] | None = field(repr=False)
    size: int
    """Bytes of the body, as they came."""
    client: str
    """The client's end of the connection, as host:port: one for all requests that came over one connection."""
    fault: str | None
    """The kind of fault that it met."""
    status: int | None = None
    """The answer's status; None while there is no answer, and where a fault let none through."""
    errors: tuple[str, ...] = ()
    """Why it was refused, in PagerDuty's words."""


class RequestLog:
    """Requests in the order they came. `on_request` is called for each once its fate is settled, in the thread that served it."""

    def __init__(self, on_request: Callable[[ReceivedRequest], None] | None = None) -> None:
        self._on_request = on_request
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._requests: dict[int, ReceivedRequest] = {}

    def clear(self) -> None:
        """Forget every request. Numbers go on: one that is still being served is not mistaken for another."""
        with self._lock:
            self._requests.clear()

    def received(
        self,
        *,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None,
        size: int,
        client: str,
        fault: str | None,
    ) -> ReceivedRequest:
        """Log a request, before anything becomes of it."""
        with self._lock:
            request = ReceivedRequest(
                number=next(self._numbers),
                received_at=datetime.now(timezone.utc),
                method=method,
                path=path,
                query=query,
                headers=headers,
                body=body,
                size=size,
                client=client,
                fault=fault,
            )
            self._requests[request.number] = request
        return request

    def settled(self, request: ReceivedRequest, status: int | None, errors: tuple[str, ...] = ()) -> None:
        """Log what became of a request."""
        request = replace(request, status=status, errors=errors)
        with self._lock:
            if request.number in self._requests:
                self._requests[request.number] = request
        if self._on_request is not None:
            self._on_request(request)

    def requests(self) -> list[ReceivedRequest]:
        """Everything that came, oldest first."""
        with self._lock:
            return list(self._requests.values())
