"""What the sandbox accepts and refuses, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
import requests

MISSING = object()


def put(event: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The event with one field replaced, or removed."""
    *parents, name = path.split(".")
    holder = event
    for parent in parents:
        holder = holder[parent]
    if value is MISSING:
        holder.pop(name, None)
    else:
        holder[name] = value
    return event


SEVERITY = "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')"
TIMESTAMP = "'payload.timestamp' is invalid (must be an ISO 8601 date and time with its offset)"

REFUSED = [
    ("routing_key", MISSING, "'routing_key' cannot be blank"),
    ("routing_key", "", "'routing_key' cannot be blank"),
    ("routing_key", None, "'routing_key' cannot be blank"),
    ("routing_key", 7, "'routing_key' must be a string"),
    ("routing_key", "a" * 31, "Length of 'routing_key' is incorrect (should be 32 characters)"),
    ("routing_key", "a" * 33, "Length of 'routing_key' is incorrect (should be 32 characters)"),
    ("routing_key", "a" * 31 + "-", "'routing_key' cannot contain non-alphanumeric characters."),
    ("routing_key", "ä" * 32, "'routing_key' cannot contain non-alphanumeric characters."),
    ("routing_key", "a" * 32, "Invalid routing key"),
    ("event_action", MISSING, "'event_action' is missing or blank"),
    ("event_action", "Trigger", "'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')"),
    ("event_action", ["trigger"], "'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')"),
    ("dedup_key", "k" * 256, "'dedup_key' is too long (maximum is 255 characters)"),
    ("dedup_key", None, "'dedup_key' must be a string"),
    ("dedup_key", 5, "'dedup_key' must be a string"),
    ("payload", MISSING, "'payload' is missing or blank"),
    ("payload", None, "'payload' must be an object"),
    ("payload", [], "'payload' must be an object"),
    ("payload.summary", MISSING, "'payload.summary' is missing or blank"),
    ("payload.summary", "", "'payload.summary' is missing or blank"),
    ("payload.summary", " \n", "'payload.summary' is missing or blank"),
    ("payload.summary", 3, "'payload.summary' must be a string"),
    ("payload.summary", "s" * 1025, "'summary' is too long (maiximum is 1024 characters)"),
    ("payload.source", MISSING, "'payload.source' is missing or blank"),
    ("payload.source", "  ", "'payload.source' is missing or blank"),
    ("payload.severity", MISSING, "'payload.severity' is missing or blank"),
    ("payload.severity", "ERROR", SEVERITY),
    ("payload.severity", "high", SEVERITY),
    ("payload.severity", {}, SEVERITY),
    ("payload.timestamp", None, TIMESTAMP),
    ("payload.timestamp", 1437122338, TIMESTAMP),
    ("payload.timestamp", "yesterday", TIMESTAMP),
    ("payload.timestamp", "2015-07-17", TIMESTAMP),
    ("payload.timestamp", "2015-07-17 08:42:58Z", TIMESTAMP),
    ("payload.timestamp", "2015-07-17T08:42:58", TIMESTAMP),
    ("payload.timestamp", "2015-07-17T08:42:58+00:00Z", TIMESTAMP),
    ("payload.timestamp", "2015-02-30T08:42:58Z", TIMESTAMP),
    ("payload.timestamp", "2015-07-17T25:42:58Z", TIMESTAMP),
    ("payload.timestamp", "2015-07-17T08:42:61Z", TIMESTAMP),
    ("payload.timestamp", "2015-07-17T08:42:58+24:00", TIMESTAMP),
    ("payload.component", None, "'payload.component' must be a string"),
    ("payload.group", 1, "'payload.group' must be a string"),
    ("payload.class", [], "'payload.class' must be a string"),
    ("payload.custom_details", "rows=3", "'payload.custom_details' must be an object"),
    ("payload.custom_details", None, "'payload.custom_details' must be an object"),
    ("client", None, "'client' must be a string"),
    ("client_url", "example.com/job", "'client_url' is invalid (must be an http or https URL)"),
    ("client_url", "http://[::1", "'client_url' is invalid (must be an http or https URL)"),
    ("links", {}, "'links' must be an array"),
    ("links", ["https://example.com"], "'links[0]' must be an object"),
    ("links", [{"text": "run"}], "'links[0].href' is missing or blank"),
    ("links", [{"href": "https://example.com"}, {"href": "javascript:x"}], "'links[1].href' is invalid (must be an http or https URL)"),
    ("links", [{"href": "https://example.com", "text": None}], "'links[0].text' must be a string"),
    ("images", [{"alt": "x"}], "'images[0].src' is missing or blank"),
    ("images", [{"src": "http://example.com/x.png"}], "'images[0].src' is invalid (must be an https URL)"),
    ("images", [{"src": "https://example.com/x.png", "href": "x"}], "'images[0].href' is invalid (must be an http or https URL)"),
]

ACCEPTED = [
    ("dedup_key", "k" * 255),
    ("dedup_key", "schlüssel/✓"),
    ("payload.summary", "s" * 1024),
    ("payload.summary", "two\nlines"),
    ("payload.severity", "critical"),
    ("payload.severity", "error"),
    ("payload.severity", "warning"),
    ("payload.severity", "info"),
    ("payload.timestamp", "2015-07-17T08:42:58.315+0000"),
    ("payload.timestamp", "2015-07-17T08:42:58Z"),
    ("payload.timestamp", "2011-05-06T03:30-07"),
    ("payload.timestamp", "2024-02-29T23:59:59.999999+05:30"),
    ("payload.component", ""),
    ("payload.custom_details", {"rules": [{"name": "r", "failed": 3}], "share": 9.9, "none": None}),
    ("payload.unknown", 1),
    ("unknown", {}),
    ("client_url", "http://localhost:4040/jobs"),
    ("links", []),
    ("links", [{"href": "https://example.com"}]),
    ("images", [{"src": "https://example.com/x.png", "href": "http://example.com", "alt": "trend"}]),
]


@pytest.mark.parametrize(("path", "value", "error"), REFUSED)
def test_a_wrong_field_is_refused_in_pagerdutys_words(sandbox, event, post, path, value, error):
    answer = post(put(event(), path, value))
    assert answer.status_code == 400
    body = answer.json()
    assert (body["status"], body["message"]) == ("invalid event", "Event object is invalid")
    assert error in body["errors"]
    assert sandbox.events == []
    assert sandbox.incidents() == []
    assert sandbox.requests[0].status == 400
    assert sandbox.requests[0].errors == tuple(body["errors"])


@pytest.mark.parametrize(("path", "value"), ACCEPTED)
def test_a_right_field_is_accepted(sandbox, event, post, path, value):
    sent = put(event(), path, value)
    answer = post(sent)
    assert answer.status_code == 202
    assert answer.json() == {"status": "success", "message": "Event processed", "dedup_key": sent["dedup_key"]}
    assert sandbox.events == [sent]


def test_every_mistake_is_told_at_once(post):
    assert post({}).json()["errors"] == ["'routing_key' cannot be blank", "'event_action' is missing or blank"]


@pytest.mark.parametrize("action", ["acknowledge", "resolve"])
@pytest.mark.parametrize("key", [MISSING, "", "  ", None])
def test_acknowledge_and_resolve_need_a_dedup_key(post, event, action, key):
    answer = post(put(event(action), "dedup_key", key))
    assert answer.status_code == 400
    assert answer.json()["errors"] == ["'dedup_key' is missing or blank"]


def test_a_payload_is_checked_on_a_resolve_too(post, event):
    answer = post(event("resolve") | {"payload": {"severity": "fine"}})
    assert answer.status_code == 400
    assert "'payload.summary' is missing or blank" in answer.json()["errors"]


@pytest.mark.parametrize("key", [MISSING, "", "  "])
def test_a_trigger_without_a_dedup_key_is_given_one(sandbox, event, post, key):
    first, second = post(put(event(), "dedup_key", key)).json(), post(put(event(), "dedup_key", key)).json()
    assert [incident.dedup_key for incident in sandbox.incidents()] == [first["dedup_key"], second["dedup_key"]]
    assert first["dedup_key"] != second["dedup_key"]
    assert len(first["dedup_key"]) == 32


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"event"',
        b"null",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"x}",
    ],
    ids=["empty", "cut", "array", "string", "null", "not utf-8", "nan", "infinity", "deep", "digits"],
)
def test_a_body_that_is_no_json_object_is_refused(sandbox, body):
    answer = requests.post(f"{sandbox.url}/v2/enqueue", data=body, headers={"Content-Type": "application/json"}, timeout=60)
    assert answer.status_code == 400
    assert answer.json() == {
        "status": "Unrecognized object",
        "message": "Event object format is unrecognized",
        "errors": ["JSON parse error"],
    }


class TestChangeEvents:
    @pytest.fixture
    def change(self, sandbox):
        return {
            "routing_key": sandbox.key,
            "payload": {
                "summary": "sales.orders loaded",
                "source": "nightly",
                "timestamp": "2026-11-20T01:02:03Z",
                "custom_details": {"rows": 7},
            },
            "links": [{"href": "https://example.com/run", "text": "run"}],
        }

    def test_accepted_changes_are_kept_and_open_nothing(self, sandbox, post, change):
        answer = post(change, "/v2/change/enqueue")
        assert (answer.status_code, answer.json()) == (202, {"status": "success", "message": "Change event processed"})
        assert sandbox.changes == [change]
        assert sandbox.events == []
        assert sandbox.incidents() == []

    def test_only_the_summary_is_required(self, sandbox, post):
        assert post({"routing_key": sandbox.key, "payload": {"summary": "loaded"}}, "/v2/change/enqueue").status_code == 202

    @pytest.mark.parametrize(
        ("path", "value", "error"),
        [
            ("routing_key", "R" + "a" * 31, "'routing_key' belongs to a rule set, which does not take change events"),
            ("routing_key", "a" * 32, "Invalid routing key"),
            ("payload", MISSING, "'payload' is missing or blank"),
            ("payload", "loaded", "'payload' must be an object"),
            ("payload.summary", "", "'payload.summary' is missing or blank"),
            ("payload.summary", "s" * 1025, "'summary' is too long (maiximum is 1024 characters)"),
            ("payload.source", 5, "'payload.source' must be a string"),
            ("payload.timestamp", "yesterday", TIMESTAMP),
            ("payload.custom_details", [], "'payload.custom_details' must be an object"),
            ("links", [{}], "'links[0].href' is missing or blank"),
            ("images", [{"src": "https://example.com/x.png"}], "'images' is not supported by change events"),
        ],
    )
    def test_a_wrong_field_is_refused(self, sandbox, post, change, path, value, error):
        answer = post(put(change, path, value), "/v2/change/enqueue")
        assert answer.status_code == 400
        assert answer.json()["errors"] == [error]
        assert sandbox.changes == []
