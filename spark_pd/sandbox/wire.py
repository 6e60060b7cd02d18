"""Between the server and the application: every request is logged, and an ordered fault acts on its answer."""

from __future__ import annotations

import io
import os
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import EnvironHeaders
from werkzeug.wrappers import Response
from werkzeug.wsgi import get_host

from spark_pd.sandbox import events
from spark_pd.sandbox.faults import STATUSES, Fault, FaultQueue
from spark_pd.sandbox.received import ReceivedRequest, RequestLog

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

DRAINED = "spark_pd.drained"
"""In the environment once the body was read to its end."""

_PAGE = "<!doctype html><title>Sign in</title><h1>This network wants you to sign in</h1>\n"
_FAULT_MESSAGES = {
    "429": ("throttle exceeded", "Requests for this service are arriving too quickly.  Please retry later."),
    "500": ("internal error", "The server encountered an error while processing the event"),
}
_REDIRECTS = {"moved": 301, "redirect": 307}
_ACCEPTED_FIRST = ("slow", "lost", "reset_mid_body", "drip", "not_json")


class Wire:
    """The WSGI application that the server runs."""

    def __init__(self, app: WSGIApplication, faults: FaultQueue, log: RequestLog) -> None:
        self._app = app
        self._faults = faults
        self._log = log

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request. A ConnectionError that leaves it tells the server that there is nobody to answer any more."""
        body = _take_body(environ)
        fault, released = self._faults.take(_target(environ["PATH_INFO"]))
        request = self._log.received(
            method=environ["REQUEST_METHOD"],
            path=environ["PATH_INFO"],
            query=environ.get("QUERY_STRING", ""),
            headers=dict(EnvironHeaders(environ)),
            body=events.parse(body),
            size=len(body),
            client=f"{environ.get('REMOTE_ADDR')}:{environ.get('REMOTE_PORT')}",
            fault=fault.kind if fault else None,
        )
        if fault is None:
            return self._give(request, self._answer(environ), environ, start_response)
        if fault.kind in _ACCEPTED_FIRST:
            return self._spoil(fault, released, request, environ, start_response)
        return self._refuse(fault, released, request, environ, start_response)

    def _answer(self, environ: WSGIEnvironment) -> Response:
        return Response.from_app(self._app, environ, buffered=True)

    def _give(self, request: ReceivedRequest, answer: Response, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self._log.settled(request, answer.status_code, _errors(answer))
        return answer(environ, start_response)

    def _refuse(
        self, fault: Fault, released: threading.Event, request: ReceivedRequest, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Faults that keep the request from PagerDuty."""
        if fault.kind in STATUSES:
            return self._give(request, _status_answer(fault), environ, start_response)
        if fault.kind == "portal":
            return self._give(request, Response(_PAGE, 200, mimetype="text/html"), environ, start_response)
        if fault.kind in _REDIRECTS:
            to = f"{environ['wsgi.url_scheme']}://{get_host(environ)}/redirected"
            return self._give(request, Response("", _REDIRECTS[fault.kind], {"Location": to}), environ, start_response)
        if fault.kind == "hang":
            released.wait()
        self._log.settled(request, None)
        if fault.kind == "reset":
            _reset(environ)
        raise ConnectionAbortedError(f"the ordered fault {fault.kind}")

    def _spoil(
        self, fault: Fault, released: threading.Event, request: ReceivedRequest, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Faults that let the request through to PagerDuty and spoil the answer."""
        answer = self._answer(environ)
        if fault.kind == "slow" and not released.wait(fault.seconds):
            return self._give(request, answer, environ, start_response)
        if fault.kind == "drip":
            self._log.settled(request, answer.status_code, _errors(answer))
            return _drip(answer, fault.seconds, released, environ, start_response)
        if fault.kind == "not_json":
            spoilt = Response(_PAGE, answer.status_code, mimetype="text/html")
            return self._give(request, spoilt, environ, start_response)
        self._log.settled(request, None)
        if fault.kind == "reset_mid_body":
            _send_half(answer, environ)
        if fault.kind != "slow":
            _reset(environ)
        raise ConnectionAbortedError(f"the ordered fault {fault.kind}")


def _target(path: str) -> str:
    return {"/v2/enqueue": "enqueue", "/v2/change/enqueue": "change"}.get(path, "rest")


def _take_body(environ: WSGIEnvironment) -> bytes:
    """Read the body, at most one byte more than the limit, and leave it in the environment for the application."""
    stream, limit = environ["wsgi.input"], events.BODY_LIMIT + 1
    if environ.pop("wsgi.input_terminated", False):
        body = _read_to_end(stream, limit)
        length = len(body)
        environ.pop("HTTP_TRANSFER_ENCODING", None)
    else:
        declared = environ.get("CONTENT_LENGTH") or "0"
        length = int(declared) if declared.isascii() and declared.isdigit() else 0
        body = stream.read(min(length, limit))
        if len(body) < min(length, limit):
            raise ConnectionAbortedError("the client left in the middle of its body")
    environ[DRAINED] = len(body) < limit
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(length)
    return body


def _read_to_end(stream: Any, limit: int) -> bytes:
    body = b""
    try:
        while len(body) < limit and (chunk := stream.read(limit - len(body))):
            body += chunk
    except OSError as error:  # what werkzeug raises for chunks that are none
        raise ConnectionAbortedError("the client sent chunks that cannot be read") from error
    return body


def _errors(answer: Response) -> tuple[str, ...]:
    content = answer.get_json(silent=True) if answer.status_code >= 400 and answer.is_json else None
    if not isinstance(content, dict):
        return ()
    holder = content.get("error", content)
    return tuple(holder.get("errors") or [holder.get("message", "")])


def _status_answer(fault: Fault) -> Response:
    if fault.kind == "204":
        return Response(status=204)
    answer = Response(status=int(fault.kind), mimetype="application/json")
    status, message = _FAULT_MESSAGES.get(fault.kind, (answer.status.partition(" ")[2].lower(), "The sandbox was asked to fail"))
    answer.set_data(f'{{"status": "{status}", "message": "{message}", "errors": []}}')
    if fault.retry_after is not None:
        answer.headers["Retry-After"] = fault.retry_after
    return answer


def _drip(
    answer: Response, seconds: float, released: threading.Event, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterator[bytes]:
    for byte in b"".join(answer(environ, start_response)):
        if released.wait(seconds):
            raise ConnectionAbortedError("the ordered fault drip was cleared")
        yield bytes([byte])


def _send_half(answer: Response, environ: WSGIEnvironment) -> None:
    body = answer.get_data()
    head = f"HTTP/1.1 {answer.status}\r\nContent-Type: {answer.content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    environ["werkzeug.socket"].sendall(head.encode("latin-1") + body[: len(body) // 2])


def _reset(environ: WSGIEnvironment) -> None:
    """End the connection with a reset: closed without lingering, and before anything of the server's says goodbye in good order."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())
