"""One HTTP attempt with requests: an answer, or the kind of fault. Nothing of the request (the key is in its body) leaves this module."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from spark_pd.pagerduty.endpoint import host, is_loopback
from spark_pd.pagerduty.verdict import Answer, Fault

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

CONNECT_TIMEOUT = 3.05  # seconds; just above TCP's first retransmission at 3 s
READ_TIMEOUT = 5.0  # seconds
_LEAST_TIMEOUT = 0.05  # seconds; requests takes no 0
_BODY_LIMIT = 4_096  # bytes; PagerDuty's answers have a few hundred


def new_session() -> Session:
    """A session. Proxies and CA files come from the environment, as everywhere with requests; credentials of a .netrc never do."""
    import requests

    session = requests.Session()
    session.auth = _no_auth
    session.headers.update({"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "spark_pd"})
    return session


def attempt(session: Session, url: str, body: bytes, *, deadline: float) -> Answer | Fault:
    """Post the body once. Both timeouts end with `deadline` (time.monotonic's clock); a redirect is an answer, never followed."""
    import requests

    left = deadline - time.monotonic()
    timeout = (max(_LEAST_TIMEOUT, min(CONNECT_TIMEOUT, left)), max(_LEAST_TIMEOUT, min(READ_TIMEOUT, left)))
    proxies = {"no_proxy": host(url)} if is_loopback(url) else None  # a proxy would look for the sandbox on its own loopback
    try:
        with session.post(url, data=body, timeout=timeout, allow_redirects=False, stream=True, proxies=proxies) as response:
            return Answer(
                status_code=response.status_code,
                retry_after=response.headers.get("Retry-After"),
                body=_body(response, deadline),
                at=datetime.now(timezone.utc),
            )
    except requests.Timeout:
        return "timeout"
    except requests.exceptions.ProxyError:
        return "proxy"
    except requests.ConnectionError as error:  # SSLError is one of them
        return _fault(error)
    except (requests.RequestException, OSError, ValueError):
        return "request"


def _no_auth(request: PreparedRequest) -> PreparedRequest:
    # With any `auth` set, requests does not look for the host in ~/.netrc.
    return request


def _body(response: Response, deadline: float) -> str:
    """The answer's beginning, byte by byte: a server that drips may not hold it beyond the deadline. The status counts even without it."""
    import requests

    read = bytearray()
    try:
        for byte in response.iter_content(1):
            read += byte
            if len(read) >= _BODY_LIMIT or time.monotonic() >= deadline:
                break
    except (requests.RequestException, OSError):
        pass
    return read.decode("utf-8", "replace")


def _fault(error: BaseException) -> Fault:
    causes = list(_causes(error))
    kinds: tuple[tuple[type[BaseException], Fault], ...] = (
        (ssl.SSLCertVerificationError, "certificate"),
        (ssl.SSLError, "tls"),
        (socket.gaierror, "dns"),
        (ConnectionRefusedError, "refused"),
        (TimeoutError, "timeout"),
        (ConnectionResetError, "reset"),
        (ConnectionAbortedError, "reset"),
        (BrokenPipeError, "reset"),
    )
    for kind, fault in kinds:
        if any(isinstance(cause, kind) for cause in causes):
            return fault
    # http.client.RemoteDisconnected is a ConnectionResetError; what is left has no socket error at its root.
    return "connection"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that lies under it. urllib3 hides causes in `reason`, requests in `args`."""
    waiting, seen = [error], {id(error)}
    while waiting:
        current = waiting.pop()
        yield current
        for under in (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args):
            if isinstance(under, BaseException) and id(under) not in seen:
                seen.add(id(under))
                waiting.append(under)
