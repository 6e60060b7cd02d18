"""What PagerDuty's Events API v2 accepts, and in which words it refuses. Pure: no HTTP, no state.

The words are PagerDuty's own where an answer of the real service is known; the others follow their pattern. Where the documentation
leaves a choice, the stricter one is taken: what passes here passes there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from spark_pd.model import DEDUP_KEY_LIMIT, SEVERITIES

BODY_LIMIT = 512_000
"""Bytes of a request. PagerDuty says 512 KB; the smaller reading is Alertmanager's too."""

SUMMARY_LIMIT = 1024  # characters; Events API v2, "payload.summary"
ROUTING_KEY_LENGTH = 32  # characters; Events API v2, "routing_key"
ACTIONS = ("trigger", "acknowledge", "resolve")

# Date, time and offset. PagerDuty's own examples have offsets without a colon (+0000), without minutes (-07) and times without seconds.
_TIMESTAMP = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})T(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.[0-9]+)?)?"
    r"(?:Z|[+-](?P<offset_hour>[0-9]{2})(?::?(?P<offset_minute>[0-9]{2}))?)"
)


def parse(body: bytes) -> dict[str, Any] | None:
    """The event in a request's body; None where it is no JSON object. NaN and Infinity, which Python writes, are not JSON."""
    try:
        parsed = json.loads(body.decode("utf-8"), parse_constant=_not_json)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def alert_problems(event: Mapping[str, Any]) -> list[str]:
    """Everything that /v2/enqueue would refuse in an event, in its words. Whether the key is known is the account's to say."""
    problems = [*_routing_key(event), *_action(event), *_dedup_key(event)]
    if "payload" in event:
        problems += _alert_payload(event["payload"])
    elif event.get("event_action") == "trigger":
        problems.append("'payload' is missing or blank")
    problems += _text(event, "client")
    problems += _url(event, "client_url")
    problems += _links(event)
    return problems + _images(event)


def change_problems(event: Mapping[str, Any]) -> list[str]:
    """Everything that /v2/change/enqueue would refuse in an event, in its words."""
    problems = _routing_key(event)
    if not problems and event["routing_key"].startswith("R"):
        problems.append("'routing_key' belongs to a rule set, which does not take change events")
    payload = event.get("payload")
    if payload is None:
        problems.append("'payload' is missing or blank")
    elif not isinstance(payload, dict):
        problems.append("'payload' must be an object")
    else:
        problems += _summary(payload)
        problems += _text(payload, "source", label="payload.source")
        problems += _timestamp(payload)
        problems += _custom_details(payload)
    problems += _links(event)
    if "images" in event:
        problems.append("'images' is not supported by change events")
    return problems


def is_integration_key(key: object) -> bool:
    """Whether a value has the shape of an integration key: 32 letters and digits."""
    return not _routing_key({"routing_key": key})


def _routing_key(event: Mapping[str, Any]) -> list[str]:
    key = event.get("routing_key")
    if key is None or key == "":
        return ["'routing_key' cannot be blank"]
    if not isinstance(key, str):
        return ["'routing_key' must be a string"]
    problems = []
    if len(key) != ROUTING_KEY_LENGTH:
        problems.append("Length of 'routing_key' is incorrect (should be 32 characters)")
    if not (key.isascii() and key.isalnum()):
        problems.append("'routing_key' cannot contain non-alphanumeric characters.")
    return problems


def _action(event: Mapping[str, Any]) -> list[str]:
    action = event.get("event_action")
    if action is None or action == "":
        return ["'event_action' is missing or blank"]
    if action not in ACTIONS:
        return ["'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')"]
    return []


def _dedup_key(event: Mapping[str, Any]) -> list[str]:
    # A blank key on a trigger counts as none at all: PagerDuty then makes one up.
    required = event.get("event_action") in ("acknowledge", "resolve")
    return _text(event, "dedup_key", required=required, limit=DEDUP_KEY_LIMIT)


def _alert_payload(payload: object) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' must be an object"]
    problems = [*_summary(payload), *_text(payload, "source", label="payload.source", required=True)]
    severity = payload.get("severity")
    if severity is None or severity == "":
        problems.append("'payload.severity' is missing or blank")
    elif severity not in SEVERITIES:
        problems.append("'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')")
    problems += _timestamp(payload)
    for name in ("component", "group", "class"):
        problems += _text(payload, name, label=f"payload.{name}")
    return problems + _custom_details(payload)


def _summary(payload: Mapping[str, Any]) -> list[str]:
    problems = _text(payload, "summary", label="payload.summary", required=True)
    if not problems and len(payload["summary"]) > SUMMARY_LIMIT:
        # The spelling and the missing "payload." are PagerDuty's.
        problems.append("'summary' is too long (maiximum is 1024 characters)")
    return problems


def _text(holder: Mapping[str, Any], name: str, *, label: str | None = None, required: bool = False, limit: int | None = None) -> list[str]:
    label = label or name
    if name not in holder:
        return [f"'{label}' is missing or blank"] if required else []
    value = holder[name]
    if required and (value is None or (isinstance(value, str) and not value.strip())):
        return [f"'{label}' is missing or blank"]
    if not isinstance(value, str):
        return [f"'{label}' must be a string"]
    if limit is not None and len(value) > limit:
        return [f"'{label}' is too long (maximum is {limit} characters)"]
    return []


def _timestamp(payload: Mapping[str, Any]) -> list[str]:
    if "timestamp" not in payload or _is_timestamp(payload["timestamp"]):
        return []
    return ["'payload.timestamp' is invalid (must be an ISO 8601 date and time with its offset)"]


def _is_timestamp(value: object) -> bool:
    match = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return False
    try:
        datetime.strptime(f"{match['day']} {match['hour']}:{match['minute']}:{match['second'] or '00'}", "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return False
    seconds_are_real = int(match["second"] or 0) < 60  # strptime lets 60 and 61 pass
    return seconds_are_real and int(match["offset_hour"] or 0) < 24 and int(match["offset_minute"] or 0) < 60


def _custom_details(payload: Mapping[str, Any]) -> list[str]:
    if "custom_details" in payload and not isinstance(payload["custom_details"], dict):
        return ["'payload.custom_details' must be an object"]
    return []


def _url(holder: Mapping[str, Any], name: str, *, label: str | None = None, required: bool = False, https: bool = False) -> list[str]:
    label = label or name
    problems = _text(holder, name, label=label, required=required)
    if problems or name not in holder or _is_url(holder[name], https=https):
        return problems
    return [f"'{label}' is invalid (must be an {'https' if https else 'http or https'} URL)"]


def _is_url(value: str, *, https: bool) -> bool:
    if any(character.isspace() or ord(character) < 32 for character in value):
        return False
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and parts.scheme in (("https",) if https else ("http", "https"))


def _objects(event: Mapping[str, Any], name: str) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    """The objects of a list with their labels, and what is wrong with the list itself."""
    values = event.get(name, [])
    if not isinstance(values, list):
        return [], [f"'{name}' must be an array"]
    objects = [(f"{name}[{n}]", value) for n, value in enumerate(values) if isinstance(value, dict)]
    return objects, [f"'{name}[{n}]' must be an object" for n, value in enumerate(values) if not isinstance(value, dict)]


def _links(event: Mapping[str, Any]) -> list[str]:
    links, problems = _objects(event, "links")
    for label, link in links:
        problems += _url(link, "href", label=f"{label}.href", required=True)
        problems += _text(link, "text", label=f"{label}.text")
    return problems


def _images(event: Mapping[str, Any]) -> list[str]:
    images, problems = _objects(event, "images")
    for label, image in images:
        problems += _url(image, "src", label=f"{label}.src", required=True, https=True)
        problems += _url(image, "href", label=f"{label}.href")
        problems += _text(image, "alt", label=f"{label}.alt")
    return problems
