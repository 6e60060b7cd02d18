"""One HTTP attempt with requests: an answer, or the kind of fault. Nothing of the request (the key is in its body) leaves this module."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from spark_pd.pagerduty.answer import Answer, Fault
from spark_pd.pagerduty.tls_and_proxy import Way
from spark_pd.secrets.log_suppression import mute

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

CONNECT_TIMEOUT = 3.05  # seconds; just above TCP's first retransmission at 3 s
READ_TIMEOUT = 5.0  # seconds
_LEAST_TIMEOUT = 0.05  # seconds; requests takes no 0
_PIECE = 64  # bytes of a long answer that are read at once: 0.15 s for a megabyte, and byte by byte it were 8 s
_BODY_LIMIT = 4_096  # bytes; PagerDuty's answers to events have a few hundred


def new_session() -> Session:
    """A session. Proxies and CA files come from the environment unless the way has them; credentials of a .netrc never do."""
    import requests

    session = requests.Session()
    session.auth = _no_auth
    mute(session)
    session.headers.update({"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "spark_pd"})
    return session


def attempt(
    session: Session,
    url: str,
    body: bytes | None = None,
    *,
    way: Way,
    deadline: float,
    headers: Mapping[str, str] | None = None,
    limit: int = _BODY_LIMIT,
) -> Answer | Fault:
    """Post the body once, or get the URL where there is none; at most `limit` bytes of the answer are read.

    Both timeouts end with `deadline` (time.monotonic's clock); a redirect is an answer, never followed.
    """
    import requests

    left = deadline - time.monotonic()
    timeout = (max(_LEAST_TIMEOUT, min(CONNECT_TIMEOUT, left)), max(_LEAST_TIMEOUT, min(READ_TIMEOUT, left)))
    try:
        with session.request(
            "GET" if body is None else "POST",
            url,
            data=body,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
            stream=True,
            proxies=dict(way.proxies),
            verify=way.ca_bundle or True,
        ) as response:
            read, whole = _body(response, deadline, limit)
            return Answer(
                status_code=response.status_code,
                retry_after=response.headers.get("Retry-After"),
                body=read,
                at=datetime.now(timezone.utc),
                whole=whole,
            )
    except requests.Timeout:
        return "timeout"
    except requests.exceptions.ProxyError:
        return "proxy"
    except requests.ConnectionError as error:  # SSLError is one of them
        fault = _fault(error)
        return "ca_bundle" if fault == "tls" and _is_no_ca_bundle(way.ca_bundle or _ca_bundle_of_environment()) else fault
    except requests.RequestException:
        return "request"
    except OSError:  # requests raises a bare one for a CA file that is not there, and for nothing else
        return "ca_bundle"
    except ValueError:
        return "request"


def _no_auth(request: PreparedRequest) -> PreparedRequest:
    # With any `auth` set, requests does not look for the host in ~/.netrc.
    return request


def _ca_bundle_of_environment() -> str | None:
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")


def _is_no_ca_bundle(path: str | None) -> bool:
    """Whether a file of certificates was named that holds none."""
    if path is None or Path(path).is_dir():
        return False
    try:
        ssl.create_default_context(cafile=path)
    except OSError:  # ssl.SSLError is one
        return True
    return False


def _body(response: Response, deadline: float, limit: int) -> tuple[str, bool]:
    """The answer's beginning, so many bytes at most, and whether that is all of it. The status counts even without it.

    A server that drips may not hold it beyond the deadline, which is looked at after each piece; so pieces are as small as time allows.
    """
    import requests

    read, whole = bytearray(), False
    try:
        for piece in response.iter_content(1 if limit <= _BODY_LIMIT else _PIECE):
            read += piece
            if len(read) >= limit or time.monotonic() >= deadline:
                break
        else:
            whole = True
    except (requests.RequestException, OSError):
        pass
    return read.decode("utf-8", "replace"), whole


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
