"""An alert as an event of PagerDuty's Events API v2, complete, within its limits and never refused for its form.

Limits: https://developer.pagerduty.com/docs/send-alert-event, https://developer.pagerduty.com/docs/send-change-event, and for the
whole body, the 512 KB of
https://developer.pagerduty.com/docs/events-api-v2-overview.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias, cast

from spark_pd.model import DEDUP_KEY_LIMIT, SEVERITIES, Alert, Link
from spark_pd.pagerduty.endpoint import host
from spark_pd.pagerduty.json_values import Plain, plain, text, timestamp
from spark_pd.secrets.redaction import one_line

Event: TypeAlias = dict[str, Any]

SUMMARY_LIMIT = 1024  # characters
BODY_LIMIT = 512_000  # bytes; "512 KB" read the strict way, as Alertmanager does
_FIELD_LIMIT = 1024  # characters of source, component, group and of a link's text: undocumented, so the summary's
_URL_LIMIT = 2048  # characters; a longer one is no link that a browser opens
_LINKS = 20

# How far details are cut, step by step, until the event fits: characters of a string, items of a list or mapping.
_STEPS = ((8_192, 1_000), (1_024, 200), (256, 50), (80, 10))


def event(alert: Alert, *, routing_key: str, client: str = "spark_pd", acknowledge: bool = False) -> Event:
    """The event for one alert: `trigger` where it is firing, `resolve` where it is resolved. It holds the key: never log it.

    With `acknowledge` it acknowledges the alert's incident instead, whatever the alert's state.
    """
    head: Event = {
        "routing_key": text(routing_key),
        "event_action": "acknowledge" if acknowledge else "trigger" if alert.state == "firing" else "resolve",
        "dedup_key": dedup_key_of(alert),
    }
    if head["event_action"] != "trigger":
        return head  # PagerDuty reads nothing else of the others
    links = _links(alert)
    shown = alert.event.get("client")
    body = {**head, "payload": _payload(alert), "client": one_line(client if shown is None else str(shown), _FIELD_LIMIT)}
    url = text(str(alert.event.get("client_url") or "")).strip()
    first = url if _is_link(url) else links[0]["href"] if links else None
    return {**body, **({} if first is None else {"client_url": first}), **({"links": links} if links else {})}


def change_event(alert: Alert, *, routing_key: str) -> Event:
    """The change event that tells of one alert; PagerDuty shows it beside the service's incidents. It holds the key: never log it."""
    payload = _payload(alert)
    told = {name: payload[name] for name in ("summary", "source", "timestamp", "custom_details")}
    links = _links(alert)
    return {"routing_key": text(routing_key), "payload": told, **({"links": links} if links else {})}


def encode(event: Event, *, limit: int = BODY_LIMIT) -> bytes:
    """The event as it is sent: JSON in UTF-8 of at most `limit` bytes. Details are cut step by step, then left out, with a note."""
    body = _json(event)
    if len(body) <= limit or "payload" not in event:
        return body
    size = len(body)
    details = _without_samples(event["payload"].get("custom_details", {}))
    body = _json(
        _with_details(event, {"cut": f"the event had {size} bytes, so samples were left out", **cast("dict[str, Plain]", details)})
    )
    if len(body) <= limit:
        return body
    for characters, items in _STEPS:
        note = f"the event had {size} bytes, so strings were cut at {characters} characters and lists at {items} items"
        body = _json(_with_details(event, {"cut": note, **cast("dict[str, Plain]", _cut(details, characters, items))}))
        if len(body) <= limit:
            return body
    bare = _with_details(event, {"cut": f"the event had {size} bytes, so its details were left out"})
    body = _json(bare)
    # Links are the only other part that can be long; every other field was bounded when the event was made.
    return body if len(body) <= limit else _json({name: value for name, value in bare.items() if name not in ("links", "client_url")})


def _payload(alert: Alert) -> dict[str, Plain]:
    component = one_line(alert.component, _FIELD_LIMIT)
    optional = {
        "component": component,
        "group": one_line(alert.group or "", _FIELD_LIMIT),
        "class": one_line(alert.trigger, _FIELD_LIMIT),
    }
    usual: dict[str, Plain] = {
        # A blank summary or source is a 400: say what is known.
        "summary": one_line(alert.summary, SUMMARY_LIMIT) or f"{one_line(alert.trigger, 255)}: {one_line(alert.component, 255)}",
        "source": one_line(alert.source, _FIELD_LIMIT) or component or "spark_pd",
        "severity": alert.severity if alert.severity in SEVERITIES else "error",
        "timestamp": timestamp(alert.at),
        **{name: value for name, value in optional.items() if value},
        "custom_details": plain(dict(alert.details)),
    }
    return {**usual, **_templated(alert.event)}


def _templated(fields: Mapping[str, Any]) -> dict[str, Plain]:
    """The payload's fields that a channel's templates gave, within PagerDuty's limits."""
    found: dict[str, Plain] = {}
    for name in ("summary", "source", "component", "group", "class"):
        value = one_line(str(fields.get(name, "")), SUMMARY_LIMIT)
        if value:
            found[name] = value
    if fields.get("severity") in SEVERITIES:
        found["severity"] = fields["severity"]
    if isinstance(fields.get("custom_details"), Mapping):
        found["custom_details"] = plain(dict(fields["custom_details"]))
    return found


def _links(alert: Alert) -> list[dict[str, str]]:
    given = alert.event.get("links")
    if isinstance(given, (list, tuple)):
        listed = [Link(str(each.get("href", "")), str(each.get("text", ""))) for each in given if isinstance(each, Mapping)]
        alert = replace(alert, links=tuple(listed), event={})
    return [
        {"href": href, "text": one_line(link.text, _FIELD_LIMIT) or href}
        for link, href in ((link, text(link.href.strip())) for link in alert.links)
        if _is_link(href)
    ][:_LINKS]


def _is_link(href: str) -> bool:
    return (
        len(href) <= _URL_LIMIT and href.startswith(("https://", "http://")) and bool(host(href)) and not re.search(r"[\s\x00-\x1f]", href)
    )


def dedup_key_of(alert: Alert) -> str:
    """The alert's key, within PagerDuty's limit. Both the trigger and the resolve of an incident pass here, so they stay equal."""
    key = (
        " ".join(text(str(alert.event.get("dedup_key") or alert.dedup_key)).split())
        or f"spark_pd/{one_line(alert.component, 100)}/{one_line(alert.trigger, 100)}"
    )
    if len(key) <= DEDUP_KEY_LIMIT:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    return f"{key[: DEDUP_KEY_LIMIT - len(digest) - 1]}~{digest}"


def _json(event: Event) -> bytes:
    return json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


def _with_details(event: Event, details: dict[str, Plain]) -> Event:
    return {**event, "payload": {**event["payload"], "custom_details": details}}


def _without_samples(details: Plain) -> Plain:
    """Rows of the data go first: the rules that they failed tell more in less."""
    if isinstance(details, dict):
        return {name: _without_samples(value) for name, value in details.items() if name != "samples"}
    return [_without_samples(item) for item in details] if isinstance(details, list) else details


def _cut(value: Plain, characters: int, items: int) -> Plain:
    if isinstance(value, str):
        over = len(value) - characters
        return value if over <= 0 else f"{value[:characters]}... ({over} more characters)"
    if isinstance(value, list):
        kept = [_cut(item, characters, items) for item in value[:items]]
        return kept if len(value) <= items else [*kept, f"... {len(value) - items} more left out"]
    if isinstance(value, dict):
        fields = {cast(str, _cut(name, characters, items)): _cut(item, characters, items) for name, item in list(value.items())[:items]}
        return fields if len(value) <= items else {**fields, "...": f"{len(value) - items} more left out"}
    return value
