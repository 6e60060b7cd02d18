"""The sandbox against PagerDuty's OpenAPI: what it accepts the OpenAPI accepts, and it refuses more, as the real service does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timezone
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_pd.sandbox import Sandbox


@pytest.fixture(scope="module")
def accepts(openapi_validator) -> Any:
    """Whether the OpenAPI accepts an event on a path."""
    return lambda event, path: openapi_validator(path).is_valid(event)


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(key=KEY) as sandbox:
        yield sandbox


KEY = "0123456789abcdef0123456789abcdef"
URLS = st.sampled_from(["https://example.com/x", "http://localhost:4040"])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what a field should be, now and then anything."""
    return st.integers(0, 19).flatmap(lambda roll: JUNK if roll == 0 else strategy)


def fields(required: dict[str, st.SearchStrategy[Any]], optional: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    return some(st.fixed_dictionaries({k: some(v) for k, v in required.items()}, optional={k: some(v) for k, v in optional.items()}))


LINKS = st.lists(fields({"href": URLS}, {"text": st.text(max_size=20)}), max_size=2)
IMAGES = st.lists(fields({"src": st.just("https://example.com/x.png")}, {"href": URLS, "alt": st.text(max_size=20)}), max_size=2)
TIMESTAMPS = st.datetimes(timezones=st.just(timezone.utc)).map(lambda moment: moment.isoformat())
DETAILS = st.dictionaries(st.text(max_size=8), JUNK, max_size=3)
ALERTS = fields(
    {
        "routing_key": st.just(KEY),
        "event_action": st.sampled_from(["trigger", "acknowledge", "resolve"]),
        "dedup_key": st.text(min_size=1, max_size=300),
        "payload": fields(
            {
                "summary": st.text(min_size=1, max_size=1100),
                "source": st.text(min_size=1, max_size=20),
                "severity": st.sampled_from(["critical", "error", "warning", "info"]),
            },
            {"timestamp": TIMESTAMPS, "component": st.text(), "group": st.text(), "class": st.text(), "custom_details": DETAILS},
        ),
    },
    {"client": st.text(), "client_url": URLS, "links": LINKS, "images": IMAGES},
)
CHANGES = fields(
    {
        "routing_key": st.just(KEY),
        "payload": fields(
            {"summary": st.text(min_size=1, max_size=1100)}, {"source": st.text(), "timestamp": TIMESTAMPS, "custom_details": DETAILS}
        ),
    },
    {"links": LINKS},
)


def send(sandbox: Sandbox, path: str, event: Any) -> requests.Response:
    return requests.post(f"{sandbox.url}/v2{path}", json=event, timeout=60)


@pytest.mark.parametrize(("path", "events"), [("/enqueue", ALERTS), ("/change/enqueue", CHANGES)])
def test_what_the_sandbox_accepts_the_openapi_accepts(shared, accepts, path, events):
    answers: list[int] = []

    @settings(max_examples=150, deadline=None)
    @given(events)
    def check(event: Any) -> None:
        answer = send(shared, path, event)
        answers.append(answer.status_code)
        assert answer.status_code in (202, 400)
        if answer.status_code == 202:
            assert accepts(event, path)

    check()
    # A test that saw only one kind of answer would show nothing.
    assert answers.count(202) > 15
    assert answers.count(400) > 15


PAYLOAD = {"summary": "s", "source": "s", "severity": "error"}
TRIGGER = {"routing_key": KEY, "event_action": "trigger", "dedup_key": "k", "payload": PAYLOAD}

STRICTER = {
    "short key": {**TRIGGER, "routing_key": "a" * 5},
    "unknown key": {**TRIGGER, "routing_key": "a" * 32},
    "trigger without payload": {"routing_key": KEY, "event_action": "trigger"},
    "resolve without dedup key": {"routing_key": KEY, "event_action": "resolve"},
    "long dedup key": {**TRIGGER, "dedup_key": "k" * 256},
    "long summary": {**TRIGGER, "payload": {**PAYLOAD, "summary": "s" * 5000}},
    "blank summary": {**TRIGGER, "payload": {**PAYLOAD, "summary": " "}},
    "blank source": {**TRIGGER, "payload": {**PAYLOAD, "source": ""}},
    "client_url that is none": {**TRIGGER, "client_url": "here"},
    "link that is none": {**TRIGGER, "links": [{"href": ""}]},
    "image over http": {**TRIGGER, "images": [{"src": "http://example.com/x.png"}]},
}


@pytest.mark.parametrize("event", STRICTER.values(), ids=STRICTER.keys())
def test_the_sandbox_is_stricter_than_the_openapi(shared, accepts, event):
    assert accepts(event, "/enqueue")
    assert send(shared, "/enqueue", event).status_code == 400


def test_pagerdutys_own_examples_are_accepted(shared, openapi):
    for path in ("/enqueue", "/change/enqueue"):
        content = openapi["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            event = {**example["value"], "routing_key": KEY}
            if path == "/change/enqueue":
                event.pop("images", None)  # the OpenAPI shows them, the documentation of change events has none
            assert send(shared, path, event).status_code == 202


def test_answers_have_the_openapis_shape(shared, openapi):
    schemas = pytest.importorskip("openapi_schema_validator")
    for event, status, name in ((TRIGGER, 202, "Success"), ({}, 400, "Error")):
        validator = schemas.OAS30Validator(openapi["components"]["responses"][name]["content"]["application/json"]["schema"])
        answer = send(shared, "/enqueue", event)
        assert answer.status_code == status
        validator.validate(answer.json())
        # A shape that anything has would say nothing.
        assert answer.json().keys() == validator.schema["properties"].keys()
        assert not validator.is_valid({name: [] for name in validator.schema["properties"]})
