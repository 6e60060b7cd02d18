"""What an attempt to send an event means: accepted, worth another try, to be made smaller, or in vain. Pure."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Literal, TypeAlias

from spark_pd.secrets.redaction import one_line

Fault: TypeAlias = Literal["timeout", "reset", "refused", "dns", "connection", "proxy", "tls", "certificate", "ca_bundle", "request"]

RETRY_AFTER_LIMIT = 60.0  # seconds; PagerDuty documents none, so no answer may make an alert wait longer
_REASON_LIMIT = 300  # characters of what the server said


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server answered. `retry_after` and `body` are as they came, `at` is when (aware)."""

    status_code: int
    retry_after: str | None = None
    body: str = ""
    at: datetime | None = None
    whole: bool = True
    """Whether `body` is all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to do next and why. `wait` is the least number of seconds before another try."""

    action: Literal["accepted", "retry", "shrink", "failed", "refused"]
    """`failed`: not now, but perhaps once somebody repaired what is between us. `refused`: PagerDuty will never take this event."""
    reason: str
    wait: float = 0.0


_FAULTS: dict[Fault, Verdict] = {
    "timeout": Verdict(action="retry", reason="PagerDuty did not answer in time"),
    "reset": Verdict(action="retry", reason="the connection was closed before PagerDuty answered"),
    "refused": Verdict(action="retry", reason="the connection was refused"),
    "dns": Verdict(action="retry", reason="the host's name could not be resolved: check the network, the DNS and the webhook url"),
    "connection": Verdict(action="retry", reason="no connection could be made"),
    "proxy": Verdict(action="retry", reason="the proxy did not connect: check spark.pd.proxy, or HTTPS_PROXY and NO_PROXY"),
    "tls": Verdict(action="retry", reason="the TLS handshake failed"),
    # Trying again would offer the key to whoever answers there in PagerDuty's place.
    "certificate": Verdict(
        action="failed",
        reason="the TLS certificate is not trusted: where a company proxy signs it, set spark.pd.ca_bundle (or REQUESTS_CA_BUNDLE) "
        "to its CA file",
    ),
    "ca_bundle": Verdict(
        action="failed",
        reason="the CA bundle is not there or holds no certificate: check the file that spark.pd.ca_bundle or REQUESTS_CA_BUNDLE names",
    ),
    "request": Verdict(action="failed", reason="the request could not be made: check the webhook url and the proxy settings"),
}

_REFUSALS = {
    401: "not authorised: check the integration key and the webhook url",
    403: "forbidden: check the integration key and the webhook url",
    404: "not found: check the webhook url",
    405: "method not allowed: check the webhook url",
}


def verdict(outcome: Answer | Fault, *, shrunk: bool = False) -> Verdict:
    """The verdict on one attempt. `shrunk` says that the event was already made smaller once."""
    if not isinstance(outcome, Answer):
        return _FAULTS[outcome]
    code = outcome.status_code
    said = f"PagerDuty answered {code}"
    if code == 202:
        return Verdict(action="accepted", reason="accepted")
    if code == 429:
        return Verdict(action="retry", reason=f"{said} (too many events)", wait=_retry_after(outcome))
    if code == 408 or 500 <= code <= 599:
        return Verdict(action="retry", reason=said, wait=_retry_after(outcome))
    if code == 413 and not shrunk:
        return Verdict(action="shrink", reason=f"{said} (event too large)")
    if code == 400:
        return Verdict(action="refused", reason=f"{said}: {_errors(outcome.body) or 'bad request'}")
    if 200 <= code <= 299:
        return Verdict(action="failed", reason=f"{said}, not 202: another server may be answering; check the webhook url and the proxy")
    if 300 <= code <= 399:
        return Verdict(action="failed", reason=f"{said}, a redirect, which is never followed: set the webhook url to its goal")
    return Verdict(action="refused", reason=f"{said} ({_REFUSALS.get(code, 'refused')})")


def _errors(body: str) -> str:
    """PagerDuty's own words in the body of a 400; empty where it has none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(answer, dict):
        return ""
    errors = answer.get("errors")
    said = [answer.get("message"), *(errors if isinstance(errors, list) else [])]
    return one_line("; ".join(part for part in said if isinstance(part, str)), _REASON_LIMIT)


def _retry_after(answer: Answer) -> float:
    """The seconds that the header asks for: a number, or a date (RFC 9110, 10.2.3). 0 where it says nothing that can be read."""
    value = (answer.retry_after or "").strip()
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value, answer.at)
    return min(max(seconds, 0.0), RETRY_AFTER_LIMIT) if not math.isnan(seconds) else 0.0


def _seconds_until(date: str, now: datetime | None) -> float:
    try:
        until = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    if now is None:
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=timezone.utc)
    return (until - now).total_seconds()
