"""Faults to order, as a client meets them."""

from __future__ import annotations

import http.client
import socket
import threading
import time

import pytest
import requests

from spark_pd.model.errors import UsageError
from spark_pd.sandbox import FAULTS


@pytest.mark.parametrize("kind", ["400", "401", "403", "404", "408", "413", "429", "500", "502", "503", "504"])
def test_a_status_is_answered_and_nothing_accepted(sandbox, event, post, kind):
    sandbox.fault(kind, 1)
    answer = post(event())
    assert answer.status_code == int(kind)
    assert set(answer.json()) == {"status", "message", "errors"}
    assert "Retry-After" not in answer.headers
    assert sandbox.events == []
    assert post(event()).status_code == 202


def test_a_204_has_no_body_and_nothing_is_accepted(sandbox, event, post):
    sandbox.fault(204, 1)
    answer = post(event())
    assert (answer.status_code, answer.content, sandbox.events) == (204, b"", [])


@pytest.mark.parametrize(("given", "header"), [(2, "2"), (1.5, "1.5"), ("Fri, 20 Nov 2026 10:00:00 GMT", "Fri, 20 Nov 2026 10:00:00 GMT")])
def test_retry_after_is_sent_as_ordered(sandbox, event, post, given, header):
    sandbox.fault(429, retry_after=given)
    assert post(event()).headers["Retry-After"] == header


def test_a_fault_without_times_stays_until_reset(sandbox, event, post):
    sandbox.fault("503")
    assert [post(event()).status_code for _ in range(3)] == [503] * 3
    sandbox.reset()
    assert post(event()).status_code == 202


def test_counted_faults_come_first_in_their_order(sandbox, event, post):
    sandbox.fault("503")
    sandbox.fault("500", 2)
    sandbox.fault("429", times=1)
    assert [post(event()).status_code for _ in range(5)] == [500, 500, 429, 503, 503]
    sandbox.fault("502")
    assert post(event()).status_code == 502


def test_clear_faults_keeps_what_was_received(sandbox, event, post):
    post(event())
    sandbox.fault("500")
    sandbox.clear_faults()
    assert post(event()).status_code == 202
    assert sandbox.incidents()[0].trigger_count == 2


def test_reset_forgets_all_but_the_url_and_the_key(sandbox, event, post):
    url, key = sandbox.url, sandbox.key
    post(event())
    post({"routing_key": key, "payload": {"summary": "loaded"}}, "/v2/change/enqueue")
    sandbox.reset()
    assert (sandbox.events, sandbox.changes, sandbox.incidents(), sandbox.requests) == ([], [], [], [])
    assert (sandbox.url, sandbox.key) == (url, key)
    post(event())
    assert [incident.number for incident in sandbox.incidents()] == [1]


def test_slow_accepts_and_answers_later(sandbox, event, post):
    sandbox.fault("slow", 1, seconds=0.3)
    began = time.monotonic()
    assert post(event()).status_code == 202
    assert time.monotonic() - began >= 0.3
    sandbox.fault("slow", 1, seconds=5)
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{sandbox.url}/v2/enqueue", json=event(), timeout=0.5)
    assert sandbox.incidents()[0].trigger_count == 2


def test_hang_never_answers(sandbox, event):
    sandbox.fault("hang", 1)
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{sandbox.url}/v2/enqueue", json=event(), timeout=0.5)
    assert sandbox.events == []
    assert [(request.fault, request.status) for request in sandbox.requests] == [("hang", None)]


def test_reset_lets_a_hanging_request_go_unanswered(sandbox, event, post):
    sandbox.fault("hang")
    ended = []

    def send() -> None:
        with pytest.raises(requests.ConnectionError):
            post(event())
        ended.append(True)

    thread = threading.Thread(target=send)
    thread.start()
    while not sandbox.requests:
        time.sleep(0.01)
    sandbox.reset()
    thread.join(60)
    assert ended == [True]
    assert sandbox.events == []


def raw(sandbox, event) -> bytes:
    """What a bare socket gets for an event until the other side closes; ConnectionResetError where it resets."""
    body = requests.Request("POST", sandbox.url, json=event).prepare().body
    head = f"POST /v2/enqueue HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    got = b""
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=5) as connection:
        connection.sendall(head.encode() + body)
        while piece := connection.recv(1000):
            got += piece
    return got


@pytest.mark.parametrize(("kind", "accepted"), [("reset", 0), ("lost", 1), ("reset_mid_body", 1)])
def test_a_reset_is_a_real_one(sandbox, event, kind, accepted):
    sandbox.fault(kind, 1)
    with pytest.raises(ConnectionResetError):
        raw(sandbox, event())
    assert len(sandbox.events) == accepted
    assert [(request.fault, request.status) for request in sandbox.requests] == [(kind, None)]


def test_reset_mid_body_begins_an_answer(sandbox, event):
    sandbox.fault("reset_mid_body", 1)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)) as caught:
        requests.post(f"{sandbox.url}/v2/enqueue", json=event(), timeout=5)
    assert isinstance(caught.value, requests.exceptions.ChunkedEncodingError)


def test_close_ends_the_connection_in_good_order(sandbox, event):
    sandbox.fault("close", 1)
    assert raw(sandbox, event()) == b""
    assert sandbox.events == []


def test_drip_comes_byte_by_byte(sandbox, event):
    sandbox.fault("drip", 1, seconds=0.005)
    connection = http.client.HTTPConnection("127.0.0.1", int(sandbox.url.rpartition(":")[2]), timeout=5)
    connection.request("POST", "/v2/enqueue", requests.Request("POST", sandbox.url, json=event()).prepare().body)
    answer, began = connection.getresponse(), time.monotonic()
    body = answer.read()
    assert time.monotonic() - began > 0.2
    assert b'"dedup_key":"orders"' in body
    connection.close()
    assert len(sandbox.events) == 1


def test_a_drip_outlasts_a_read_timeout_for_each_byte(sandbox, event):
    sandbox.fault("drip")
    began = time.monotonic()
    with requests.post(f"{sandbox.url}/v2/enqueue", json=event(), timeout=0.5, stream=True) as answer:
        pieces = answer.iter_content(1)
        while time.monotonic() - began < 1:
            assert len(next(pieces)) == 1
    assert len(sandbox.events) == 1


@pytest.mark.parametrize(("kind", "status", "accepted"), [("not_json", 202, 1), ("portal", 200, 0)])
def test_pages_of_html(sandbox, event, post, kind, status, accepted):
    sandbox.fault(kind, 1)
    answer = post(event())
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert len(sandbox.events) == accepted


@pytest.mark.parametrize(("kind", "status"), [("redirect", 307), ("moved", 301)])
def test_who_follows_a_redirect_is_seen(sandbox, event, post, kind, status):
    sandbox.fault(kind, 2)
    answer = post(event(), allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (status, f"{sandbox.url}/redirected")
    assert len(sandbox.requests) == 1
    assert post(event()).status_code == 404
    assert [request.path for request in sandbox.requests[1:]] == ["/v2/enqueue", "/redirected"]
    assert sandbox.events == []


def test_faults_are_for_enqueue_unless_ordered_for_others(sandbox, event, post):
    change = {"routing_key": sandbox.key, "payload": {"summary": "loaded"}}
    services, headers = f"{sandbox.url}/services", {"Authorization": f"Token token={sandbox.rest_token}"}

    def statuses() -> list[int]:
        sent = [post(event()).status_code, post(change, "/v2/change/enqueue").status_code]
        return [*sent, requests.get(services, headers=headers, timeout=10).status_code]

    sandbox.fault("500")
    assert statuses() == [500, 202, 200]
    sandbox.reset()
    sandbox.fault("500", on="rest")
    assert statuses() == [202, 202, 500]
    sandbox.reset()
    sandbox.fault("500", times=1, on=["change", "rest"])
    assert statuses() == [202, 500, 200]


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ({"kind": "hangs"}, "unknown kind 'hangs'; .*Did you mean 'hang'"),
        ({"kind": 418}, "unknown kind '418'; the sandbox has 204, .*redirect"),
        ({"kind": "500", "times": 0}, "times=0 must be"),
        ({"kind": "500", "times": True}, "times=True must be"),
        ({"kind": "500", "times": 1.5}, r"times=1\.5 must be"),
        ({"kind": "500", "seconds": 1}, "seconds means nothing for '500'"),
        ({"kind": "slow", "seconds": -1}, "seconds=-1 must be"),
        ({"kind": "slow", "seconds": float("nan")}, "seconds=nan must be"),
        ({"kind": "hang", "retry_after": 1}, "retry_after means nothing for 'hang'"),
        ({"kind": "500", "on": "enqeue"}, "on='enqeue' must be"),
        ({"kind": "500", "on": []}, r"on=\[\] must be"),
    ],
)
def test_an_order_that_cannot_be_is_a_usage_error(sandbox, event, post, order, says):
    with pytest.raises(UsageError, match=says):
        sandbox.fault(**order)
    assert post(event()).status_code == 202


def test_every_kind_that_is_listed_can_be_ordered(sandbox, event):
    for kind in FAULTS:
        sandbox.fault(kind, 1, **({"seconds": 0.0} if kind in ("slow", "drip") else {}))
        try:
            answer = requests.post(f"{sandbox.url}/v2/enqueue", json=event(), timeout=0.5, allow_redirects=False)
        except requests.RequestException:
            continue
        assert answer.status_code != 202 or "not accepted" not in FAULTS[kind]
    accepting = [kind for kind, text in FAULTS.items() if text.startswith("accepted")]
    assert len(sandbox.events) == len(accepting)
