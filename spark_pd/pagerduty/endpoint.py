"""Where events go and where the REST API is: PagerDuty's region, or a URL of the user's own."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from spark_pd.model import pagerduty_hosts as hosts
from spark_pd.model.errors import SettingsError

PATH = "/v2/enqueue"
CHANGE_PATH = "/v2/change/enqueue"
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


def endpoint(region: str, url: str | None = None) -> str:
    """The URL that events are posted to: the region's (`us`, `eu`), or `url`, a base or a whole one that ends in /v2/enqueue.

    Raises SettingsError for an unknown region and for a URL that is not https (http is for loopback alone), or that has
    user info, a query or a fragment. The message never shows the URL: a secret may be in it.
    """
    if url is None or not url.strip():
        if region not in hosts.EVENTS:
            raise SettingsError([f"unknown PagerDuty region {region!r}: expected us or eu"])
        return f"https://{hosts.EVENTS[region]}{PATH}"
    problem = _problem(url.strip())
    if problem is not None:
        raise SettingsError(
            [f"the PagerDuty webhook url {problem}; expected https://HOST, or https://HOST/v2/enqueue, or none for PagerDuty's own"]
        )
    base = url.strip().rstrip("/")
    return base if base.endswith(PATH) else base + PATH


def change_endpoint(url: str) -> str:
    """The URL that change events are posted to, beside the one that `endpoint` gave."""
    return url.removesuffix(PATH) + CHANGE_PATH


def rest_url(region: str, url: str | None = None) -> str:
    """The base of the REST API: the region's, or `url` without the slash at its end."""
    return f"https://{hosts.REST[region]}" if url is None else url.rstrip("/")


def host(url: str) -> str:
    """The URL's host, such as events.pagerduty.com; empty where it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine by its name or address: localhost, 127.0.0.0/8 or ::1."""
    name = host(url).rstrip(".")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "cannot be read"
    if "@" in parts.netloc:
        return "holds a user or a password"
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return "is not an https address"
    if not _HOST.fullmatch(parts.hostname) or port == 0 or re.search(r"[\s\\\x00-\x1f]", url):
        return "has a host or a port that cannot be read"
    if "?" in url or "#" in url:
        return "has a query or a fragment"
    if parts.scheme == "http" and not is_loopback(url):
        return f"would send the integration key to {parts.hostname} over plain http"
    return None
