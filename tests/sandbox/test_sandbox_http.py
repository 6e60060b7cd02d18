"""Paths, methods, bodies and limits."""

from __future__ import annotations

import gzip
import json

import pytest
import requests

from spark_pd.sandbox import Sandbox
from spark_pd.sandbox.limits import RollingLimit


@pytest.mark.parametrize("path", ["/", "/v2", "/v2/enqueue/", "/enqueue", "/v1/enqueue", "/generic/2010-04-15/create_event.json"])
def test_an_unknown_path_is_404(sandbox, event, post, path):
    answer = post(event(), path)
    assert answer.status_code == 404
    assert answer.json()["status"] == "not found"
    assert sandbox.events == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/v2/enqueue", "/v2/change/enqueue"])
def test_another_method_is_405(sandbox, method, path):
    answer = requests.request(method, sandbox.url + path, timeout=60)
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def sized(event: dict, size: int) -> bytes:
    """The event as a body of exactly so many bytes."""
    event["payload"]["custom_details"] = {"fill": ""}
    bare = len(json.dumps(event).encode())
    event["payload"]["custom_details"]["fill"] = "x" * (size - bare)
    return json.dumps(event).encode()


@pytest.mark.parametrize(("size", "status"), [(512_000, 202), (512_001, 413), (3_000_000, 413)])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_512000_bytes_is_413(sandbox, event, size, status, chunked):
    body = sized(event(), size)
    assert len(body) == size
    pieces = (body[at : at + 60_000] for at in range(0, size, 60_000)) if chunked else body
    answer = requests.post(f"{sandbox.url}/v2/enqueue", data=pieces, headers={"Content-Type": "application/json"}, timeout=60)
    assert answer.status_code == status
    assert len(sandbox.events) == (status == 202)


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "application/vnd.api+json", None])
def test_json_is_accepted_with_its_type_or_without_any(sandbox, event, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    answer = requests.post(f"{sandbox.url}/v2/enqueue", data=json.dumps(event()).encode(), headers=headers, timeout=60)
    assert answer.status_code == 202


@pytest.mark.parametrize("headers", [{"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}])
def test_another_content_type_is_415(sandbox, event, headers):
    answer = requests.post(f"{sandbox.url}/v2/enqueue", data=json.dumps(event()), headers=headers, timeout=60)
    assert answer.status_code == 415
    assert "application/json" in answer.json()["message"]


def test_a_compressed_body_is_415(sandbox, event):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    body = gzip.compress(json.dumps(event()).encode())
    assert requests.post(f"{sandbox.url}/v2/enqueue", data=body, headers=headers, timeout=60).status_code == 415


def test_every_request_is_logged_whatever_became_of_it(sandbox, event, post):
    size = len(post(event()).request.body)
    post({**event(), "event_action": "open"})
    requests.get(f"{sandbox.url}/nowhere?a=1", timeout=60)
    seen = [(request.number, request.method, request.path, request.status) for request in sandbox.requests]
    assert seen == [(1, "POST", "/v2/enqueue", 202), (2, "POST", "/v2/enqueue", 400), (3, "GET", "/nowhere", 404)]
    assert sandbox.requests[0].body == event()
    assert sandbox.requests[0].size == size
    assert sandbox.requests[2].query == "a=1"
    assert sandbox.requests[2].body is None


def test_too_many_events_of_one_key_are_429(event):
    with Sandbox(rate_limit=2, services=["sales", "stock"]) as sandbox:

        def send(key: str, **fields: object) -> int:
            sent = {**event(), "routing_key": key, **fields}
            return requests.post(f"{sandbox.url}/v2/enqueue", json=sent, timeout=60).status_code

        sales, stock = sandbox.keys["sales"], sandbox.keys["stock"]
        assert [send(sales), send(sales, event_action="open"), send(sales), send(sales)] == [202, 400, 202, 429]
        assert send(stock) == 202
        assert len(sandbox.events) == 3
        sandbox.reset()
        assert send(sales) == 202


def test_a_limit_rolls_on_with_the_clock():
    now = [0.0]
    limit = RollingLimit(2, clock=lambda: now[0])
    assert (limit.take(), limit.remaining()) == (None, 1)
    now[0] = 40
    assert (limit.take(), limit.remaining()) == (None, 0)
    now[0] = 50
    assert limit.take() == 10
    now[0] = 60
    assert (limit.remaining(), limit.take(), limit.take()) == (1, None, 40)
    assert RollingLimit(None).take() is None
