from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import spark_pd
from spark_pd.model import Alert, Delivery, Secret
from spark_pd.model.errors import SecretError
from spark_pd.pagerduty import PagerDutyChannel, endpoint
from spark_pd.sandbox import Sandbox

KEY = "0123456789abcdef0123456789ABCDEF"
Make = Callable[..., Alert]
Check = Callable[[dict[str, Any]], None]


def channel_to(url: str, key: str = KEY, **options: Any) -> PagerDutyChannel:
    return PagerDutyChannel("pagerduty", endpoint=endpoint("us", url), key=lambda: Secret(key), **options)


def deliver(channel: PagerDutyChannel, alert: Alert, seconds: float = 5.0) -> Delivery:
    return channel.deliver(alert, deadline=time.monotonic() + seconds)


@contextmanager
def answering(status: int, answer: Callable[[bytes], bytes] = lambda body: b"", **headers: str) -> Iterator[str]:
    """A server that answers everything like that. For what the sandbox, an honest PagerDuty, would never say."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = answer(self.rfile.read(int(self.headers["Content-Length"] or 0)))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on stderr."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_firing_alert_opens_an_incident_and_a_resolved_one_closes_it(sandbox: Sandbox, make_alert: Make, valid: Check) -> None:
    channel = channel_to(sandbox.url)
    fired = deliver(channel, make_alert())
    assert (fired.status, fired.reason, fired.status_code, fired.attempts, fired.channel) == ("sent", "accepted", 202, 1, "pagerduty")
    (incident,) = sandbox.open_incidents()
    assert incident.dedup_key == make_alert().dedup_key
    assert deliver(channel, make_alert(state="resolved")).status == "sent"
    assert sandbox.open_incidents() == []
    for event in sandbox.events:
        valid(event)


@pytest.mark.parametrize("kind", ["429", "500", "502", "503", "504", "408", "reset", "close", "lost"])
def test_what_may_pass_is_tried_again(sandbox: Sandbox, make_alert: Make, kind: str) -> None:
    sandbox.fault(kind, times=2)
    delivery = deliver(channel_to(sandbox.url), make_alert())
    assert (delivery.status, delivery.status_code, delivery.attempts) == ("sent", 202, 3)
    assert len(sandbox.incidents()) == 1


def test_an_answer_lost_in_its_middle_is_not_sent_again_once_its_status_was_read(sandbox: Sandbox, make_alert: Make) -> None:
    sandbox.fault("reset_mid_body")
    delivery = deliver(channel_to(sandbox.url), make_alert())
    assert (delivery.status, delivery.attempts) == ("sent", 1)


def test_an_accepted_event_with_a_strange_body_is_sent(sandbox: Sandbox, make_alert: Make) -> None:
    sandbox.fault("not_json")
    assert deliver(channel_to(sandbox.url), make_alert()).status == "sent"


@pytest.mark.parametrize(
    ("kind", "code", "status", "reason"),
    [("403", 403, "dead", "forbidden"), ("portal", 200, "failed", "not 202"), ("redirect", 307, "failed", "never followed")],
)
def test_what_cannot_pass_is_tried_once(sandbox: Sandbox, make_alert: Make, kind: str, code: int, status: str, reason: str) -> None:
    sandbox.fault(kind)
    delivery = deliver(channel_to(sandbox.url), make_alert())
    assert (delivery.status, delivery.status_code, delivery.attempts) == (status, code, 1)
    assert reason in delivery.reason
    assert [request.path for request in sandbox.requests] == ["/v2/enqueue"]


def test_a_refused_key_is_told_in_the_words_of_pagerduty(sandbox: Sandbox, make_alert: Make) -> None:
    delivery = deliver(channel_to(sandbox.url, "tooshort"), make_alert())
    assert (delivery.status, delivery.status_code, delivery.attempts) == ("dead", 400, 1)
    assert "Length of 'routing_key' is incorrect (should be 32 characters)" in delivery.reason


def test_retry_after_is_honoured(sandbox: Sandbox, make_alert: Make) -> None:
    sandbox.fault("429", times=1, retry_after=1)
    started = time.monotonic()
    assert deliver(channel_to(sandbox.url), make_alert()).status == "sent"
    assert 1.0 <= time.monotonic() - started < 20


def test_a_retry_after_beyond_the_deadline_ends_at_once(sandbox: Sandbox, make_alert: Make) -> None:
    sandbox.fault("429", retry_after=30)
    started = time.monotonic()
    delivery = deliver(channel_to(sandbox.url), make_alert(), 20.0)
    assert (delivery.status, delivery.status_code, delivery.attempts) == ("failed", 429, 1)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        ("hang", {}, "did not answer in time"),
        ("slow", {"seconds": 20}, "did not answer in time"),
        ("500", {}, "PagerDuty answered 500"),
        ("reset", {}, "closed before PagerDuty answered"),
    ],
)
def test_a_fault_that_stays_ends_with_the_deadline(
    sandbox: Sandbox, make_alert: Make, kind: str, options: dict[str, Any], reason: str
) -> None:
    sandbox.fault(kind, **options)
    started = time.monotonic()
    delivery = deliver(channel_to(sandbox.url), make_alert(), 1.0)
    assert time.monotonic() - started < 10
    assert delivery.status == "failed"
    assert reason in delivery.reason
    assert delivery.attempts == len(sandbox.requests) >= 1


def test_a_refused_connection_is_tried_until_the_deadline(make_alert: Make) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        delivery = deliver(channel_to(f"http://127.0.0.1:{free.getsockname()[1]}"), make_alert(), 0.8)
    assert (delivery.status, delivery.status_code) == ("failed", None)
    assert delivery.attempts > 1
    assert delivery.reason == f"the connection was refused (after {delivery.attempts} tries)"


def test_a_pagerduty_that_comes_back_gets_the_alert(make_alert: Make) -> None:
    sandbox = Sandbox(key=KEY).start()
    sandbox.stop()
    threading.Timer(0.4, sandbox.start).start()
    try:
        delivery = deliver(channel_to(sandbox.url), make_alert(), 10.0)
    finally:
        sandbox.stop()
    assert delivery.status == "sent"
    assert delivery.attempts > 1


def test_a_name_that_does_not_resolve_is_tried_again(monkeypatch: pytest.MonkeyPatch, make_alert: Make) -> None:
    monkeypatch.delenv("SPARK_PD_LOOPBACK_ONLY", raising=False)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    delivery = deliver(channel_to("https://pagerduty.invalid"), make_alert(), 1.0)
    assert delivery.status == "failed"
    assert "could not be resolved" in delivery.reason


def test_an_event_too_large_is_made_smaller_once(sandbox: Sandbox, make_alert: Make) -> None:
    sandbox.fault("413", times=1)
    alert = make_alert(details={"text": "x" * 50_000})
    delivery = deliver(channel_to(sandbox.url), alert)
    assert (delivery.status, delivery.attempts) == ("sent", 2)
    assert len(json.dumps(sandbox.events[0])) < 15_000
    sandbox.reset()
    sandbox.fault("413")
    delivery = deliver(channel_to(sandbox.url), alert)
    assert (delivery.status, delivery.status_code, delivery.attempts) == ("dead", 413, 2)


def test_a_huge_event_is_cut_before_it_is_sent(sandbox: Sandbox, make_alert: Make) -> None:
    delivery = deliver(channel_to(sandbox.url), make_alert(details={"rows": ["x" * 1000] * 2_000}))
    assert (delivery.status, delivery.attempts) == ("sent", 1)


@pytest.mark.parametrize("only_loopback", [True, False])
def test_a_guarded_channel_sends_nowhere_but_to_this_machine(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, make_alert: Make, only_loopback: bool
) -> None:
    monkeypatch.setenv("SPARK_PD_LOOPBACK_ONLY", "" if only_loopback else "1")
    asked: list[str] = []

    def key() -> Secret:
        asked.append("key")
        return Secret(KEY)

    channel = PagerDutyChannel("pagerduty", endpoint=endpoint("us", None), key=key, only_loopback=only_loopback)
    delivery = deliver(channel, make_alert())
    assert (delivery.status, delivery.attempts) == ("failed", 0)
    assert "events.pagerduty.com is not on this machine" in delivery.reason
    assert ("only_loopback=True" if only_loopback else "spark_pd_network") in delivery.reason
    assert asked == []
    assert deliver(channel_to(sandbox.url, only_loopback=only_loopback), make_alert()).status == "sent"


def test_a_key_that_cannot_be_had_is_a_failed_delivery(sandbox: Sandbox, make_alert: Make) -> None:
    def missing() -> Secret:
        raise SecretError("env:PAGERDUTY_KEY is not set: export it")

    def broken() -> Secret:
        raise RuntimeError(KEY)

    delivery = deliver(PagerDutyChannel("pagerduty", endpoint=endpoint("us", sandbox.url), key=missing), make_alert())
    assert (delivery.status, delivery.attempts) == ("failed", 0)
    assert delivery.reason == "no integration key: env:PAGERDUTY_KEY is not set: export it"
    delivery = deliver(PagerDutyChannel("pagerduty", endpoint=endpoint("us", sandbox.url), key=broken), make_alert())
    assert delivery.reason == "no integration key: RuntimeError while it was resolved"
    assert sandbox.requests == []


def test_the_key_is_asked_for_at_each_delivery_and_not_before(sandbox: Sandbox, make_alert: Make) -> None:
    keys = [KEY, sandbox.key]
    asked: list[str] = []

    def key() -> Secret:
        asked.append(keys.pop())
        return Secret(asked[-1])

    channel = PagerDutyChannel("pagerduty", endpoint=endpoint("us", sandbox.url), key=key)
    assert asked == []
    deliver(channel, make_alert())
    deliver(channel, make_alert())
    assert len(asked) == 2


def test_an_alert_whose_time_is_over_is_not_sent(sandbox: Sandbox, make_alert: Make) -> None:
    delivery = deliver(channel_to(sandbox.url), make_alert(), -1.0)
    assert (delivery.status, delivery.attempts) == ("failed", 0)
    assert sandbox.requests == []


def test_an_alert_that_is_no_alert_does_not_raise(sandbox: Sandbox, make_alert: Make) -> None:
    delivery = deliver(channel_to(sandbox.url), make_alert(at="yesterday", details=7))
    assert delivery.status == "failed"
    assert "while the event was made" in delivery.reason


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_has_connections_of_its_own(sandbox: Sandbox, make_alert: Make) -> None:
    channel = channel_to(sandbox.url)
    assert deliver(channel, make_alert()).status == "sent"
    child = os.fork()
    if child == 0:
        os._exit(0 if deliver(channel, make_alert(dedup_key="child")).status == "sent" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert deliver(channel, make_alert(dedup_key="parent")).status == "sent"
    assert {incident.dedup_key for incident in sandbox.incidents()} >= {"child", "parent"}


def test_a_pickled_channel_has_no_key_and_says_so(sandbox: Sandbox, make_alert: Make) -> None:
    channel = channel_to(sandbox.url)
    deliver(channel, make_alert())  # with a session that is open
    copy = pickle.loads(pickle.dumps(channel))
    assert (copy.name, copy.endpoint) == (channel.name, channel.endpoint)
    delivery = deliver(copy, make_alert())
    assert delivery.status == "failed"
    assert "came out of a pickle" in delivery.reason


def test_making_a_channel_imports_nothing_heavy() -> None:
    code = (
        "import sys, spark_pd; before = set(sys.modules); from spark_pd.pagerduty import PagerDutyChannel, endpoint;"
        "PagerDutyChannel('p', endpoint=endpoint('us', None), key=lambda: 1/0);"
        "sys.exit(str({'requests', 'tenacity', 'pyspark', 'urllib3'} & (set(sys.modules) - before) or ''))"
    )
    root = Path(spark_pd.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.strip() == ""
