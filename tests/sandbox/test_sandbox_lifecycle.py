"""Start, end, and what is left behind: nothing."""

from __future__ import annotations

import logging
import re
import socket
import subprocess
import sys
import threading
import time

import pytest
import requests

from spark_pd.model.errors import UsageError
from spark_pd.sandbox import Sandbox


def port_of(sandbox: Sandbox) -> int:
    return int(sandbox.url.rpartition(":")[2])


def test_config_holds_exactly_three_settings(sandbox):
    assert sandbox.config == {
        "spark.expectations.notifications.pagerduty.enabled": True,
        "spark.expectations.notifications.pagerduty.integration.key": sandbox.key,
        "spark.expectations.notifications.pagerduty.webhook.url": f"{sandbox.url}/v2/enqueue",
    }
    assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+", sandbox.url)
    assert re.fullmatch(r"[0-9a-f]{32}", sandbox.key)


def test_two_sandboxes_share_nothing(sandbox, event, post):
    with Sandbox() as other:
        assert (other.url, other.key) != (sandbox.url, sandbox.key)
        assert requests.post(f"{other.url}/v2/enqueue", json=event(), timeout=60).json()["errors"] == ["Invalid routing key"]
        post(event())
        assert (len(sandbox.incidents()), len(other.incidents())) == (1, 0)


def test_port_and_key_can_be_chosen():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Sandbox(port, "A" * 32) as sandbox:
        assert (port_of(sandbox), sandbox.key) == (port, "A" * 32)


def hold(sandbox: Sandbox, event: dict) -> threading.Thread:
    """A client that waits for an answer, up to the moment that its request has arrived."""

    def send() -> None:
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{sandbox.url}/v2/enqueue", json=event, timeout=60)

    thread = threading.Thread(target=send)
    thread.start()
    while not sandbox.requests:
        time.sleep(0.01)
    return thread


@pytest.mark.parametrize("kind", ["hang", "slow", "drip"])
def test_stop_is_quick_whatever_a_fault_holds(event, kind):
    before = set(threading.enumerate())
    sandbox = Sandbox().start()
    sandbox.fault(kind, **({} if kind == "hang" else {"seconds": 60}))
    client = hold(sandbox, {**event(), "routing_key": sandbox.key})
    began = time.monotonic()
    sandbox.stop()
    assert time.monotonic() - began < 60
    client.join(20)
    assert not client.is_alive()
    assert set(threading.enumerate()) <= before


def test_stop_ends_connections_that_say_nothing(sandbox):
    port, quiet = port_of(sandbox), set(threading.enumerate())
    with socket.create_connection(("127.0.0.1", port)) as idle, socket.create_connection(("127.0.0.1", port)) as half:
        half.sendall(b"POST /v2/enqueue HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        while len(set(threading.enumerate()) - quiet) < 2:  # both are being served
            time.sleep(0.01)
        began = time.monotonic()
        sandbox.stop()
        assert time.monotonic() - began < 60
        assert set(threading.enumerate()) < quiet
        assert (idle.recv(1), half.recv(1)) == (b"", b"")
    assert sandbox.requests == []


def test_after_stop_the_port_is_free_and_what_came_is_readable(event, post, sandbox):
    post(event())
    port = port_of(sandbox)
    sandbox.stop()
    sandbox.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    assert len(sandbox.open_incidents()) == 1


def test_stop_and_start_are_an_outage(event, post, sandbox):
    url = sandbox.url
    post(event())
    sandbox.fault("hang", 1)
    sandbox.stop()
    with pytest.raises(requests.ConnectionError):
        post(event())
    sandbox.start()
    assert sandbox.url == url
    with pytest.raises(requests.ReadTimeout):  # the fault is still in order, and holds again
        requests.post(f"{url}/v2/enqueue", json=event(), timeout=0.2)
    assert post(event()).status_code == 202
    assert sandbox.incidents()[0].trigger_count == 2


def test_an_error_in_the_block_ends_it_too():
    with pytest.raises(KeyError), Sandbox() as sandbox:
        raise KeyError
    with pytest.raises(requests.ConnectionError):
        requests.get(sandbox.url, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"key": "short"}, "key must be 32 letters and digits"),
        ({"key": ""}, "key must be 32 letters and digits"),
        ({"rate_limit": 0}, "rate_limit=0 must be"),
        ({"rate_limit": "120"}, "rate_limit='120' must be"),
        ({"services": []}, r"services=\[\] must be"),
        ({"services": ["a", "a"]}, "must be a list of different names"),
        ({"services": "sales"}, "services='sales' must be"),
    ],
)
def test_arguments_that_cannot_be_are_a_usage_error(arguments, says):
    with pytest.raises(UsageError, match=says) as caught:
        Sandbox(**arguments)
    assert "short" not in str(caught.value)


def test_a_port_that_is_taken_is_a_usage_error(sandbox):
    with pytest.raises(UsageError, match=f"port {port_of(sandbox)} on 127.0.0.1 cannot be had .* use another one, or port=0"):
        Sandbox(port_of(sandbox)).start()
    with pytest.raises(UsageError, match=r"port 70000 .* cannot be had"):
        Sandbox(70000).start()


def test_what_needs_a_start_says_so():
    sandbox = Sandbox()
    with pytest.raises(UsageError, match="no url before it is started"):
        _ = sandbox.url
    assert repr(sandbox) == "<Sandbox without a port yet, stopped>"
    with sandbox, pytest.raises(UsageError, match="runs already"):
        sandbox.start()
    with pytest.raises(UsageError, match="no ca_file unless"):
        _ = sandbox.ca_file


def test_without_flask_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "flask", None)
    monkeypatch.delitem(sys.modules, "spark_pd.sandbox.app", raising=False)
    monkeypatch.delitem(sys.modules, "spark_pd.sandbox.rest", raising=False)
    with pytest.raises(UsageError, match=r"the package flask is missing; install it: pip install 'spark-pd\[sandbox\]'"):
        Sandbox().start()


def test_importing_it_is_light():
    code = "import sys, spark_pd.sandbox; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert not {"flask", "werkzeug", "requests", "pyspark", "cryptography"} & set(loaded)


def test_the_key_is_in_no_log_and_no_repr(sandbox, event, post, caplog):
    caplog.set_level(logging.DEBUG)
    post(event())
    post({**event(), "event_action": "open"})
    sandbox.fault("reset", 1)
    with pytest.raises(requests.ConnectionError):
        post(event())
    requests.get(f"{sandbox.url}/services", headers={"Authorization": f"Token token={sandbox.rest_token}"}, timeout=60)
    shown = caplog.text + repr(sandbox) + repr(sandbox.requests) + repr(sandbox.incidents())
    assert "/v2/enqueue" in shown
    assert sandbox.key not in shown
    assert sandbox.rest_token not in shown


def test_over_tls_a_client_must_trust_its_authority(event):
    pytest.importorskip("cryptography")
    with Sandbox(tls=True) as sandbox:
        sent = {**event(), "routing_key": sandbox.key}
        assert sandbox.url.startswith("https://127.0.0.1:")
        with pytest.raises(requests.exceptions.SSLError):
            requests.post(f"{sandbox.url}/v2/enqueue", json=sent, timeout=60)
        with socket.create_connection(("127.0.0.1", port_of(sandbox))):  # makes no handshake, and holds up nobody
            answer = requests.post(f"{sandbox.url}/v2/enqueue", json=sent, timeout=60, verify=str(sandbox.ca_file))
            assert answer.status_code == 202
            sandbox.fault("hang")
            with pytest.raises(requests.ReadTimeout):
                requests.post(f"{sandbox.url}/v2/enqueue", json=sent, timeout=0.3, verify=str(sandbox.ca_file))
            began = time.monotonic()
            sandbox.stop()
            assert time.monotonic() - began < 60
    assert sandbox.config["spark.expectations.notifications.pagerduty.webhook.url"].startswith("https://")


def test_the_rate_limit_counts_by_the_clock_that_it_is_given(event):
    now = [0.0]
    with Sandbox(rate_limit=2, clock=lambda: now[0]) as sandbox:

        def send():
            return requests.post(f"{sandbox.url}/v2/enqueue", json=event(routing_key=sandbox.key), timeout=60).status_code

        assert [send() for _ in range(3)] == [202, 202, 429]
        now[0] = 59.9
        assert send() == 429
        now[0] = 60.0
        assert [send() for _ in range(3)] == [202, 202, 429]
