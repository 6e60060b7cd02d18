"""Which URL a token or a secret may travel to: https, or this machine."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from spark_pd.model.errors import SecretError


def checked_url(url: str, *, what: str) -> SplitResult:
    """The parts of `url`. Raises SecretError unless it is https, or http to this machine, with a host and without user, query and fragment.

    `what` says whose URL it is; the message shows scheme and host at most, since a URL can hold a password.
    """
    try:
        parts = urlsplit(url.strip())
        host, _port = parts.hostname, parts.port  # the port is checked when it is read
    except ValueError:
        raise SecretError(f"{what} is not a URL; expected one like https://host.example.com") from None
    if parts.scheme not in ("https", "http") or not host:
        raise SecretError(f"{what} is not a URL; expected one like https://host.example.com")
    if parts.username is not None or parts.password is not None:
        raise SecretError(f"{what} has a user or password in it; give the URL without them")
    if parts.query or parts.fragment:
        raise SecretError(f"{what} has a query or fragment; give the URL up to there, such as https://{host}")
    if parts.scheme == "http" and not is_loopback(host):
        raise SecretError(f"{what} is http://{host}, and secrets travel over https only (http just to this machine); use https://{host}")
    return parts


def proxy_problem(url: str) -> str | None:
    """What is wrong with a proxy's URL, without showing any of it; None where it can be used. It may hold a user and a password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "cannot be read"
    if parts.scheme not in ("http", "https") or not host:
        return "does not begin with http:// or https:// and a host"
    if port == 0 or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "has characters or a port that no URL has"
    if parts.path not in ("", "/") or "?" in url or "#" in url:
        return "has a path, a query or a fragment, or a password with one of /?# in it, which has to be percent-encoded"
    return None


def has_user(url: str) -> bool:
    """Whether a user or a password is in the URL."""
    return "@" in urlsplit(url).netloc


def is_loopback(host: str | None) -> bool:
    """Whether a host, as urlsplit gives it, is this machine."""
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
