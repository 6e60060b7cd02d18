"""The sandbox in a terminal."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest
import requests

from spark_pd.model.errors import UsageError
from spark_pd.sandbox import serve

SCRIPT = "from spark_pd.sandbox import serve; serve(); print('ended well', flush=True)"


def send(url: str, key: str, **fields: object) -> requests.Response:
    payload = {"summary": "9.9% dropped", "source": "nightly", "severity": "error"}
    event = {"routing_key": key, "event_action": "trigger", "dedup_key": "orders", "payload": payload, **fields}
    return requests.post(url, json=event, timeout=60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_what_to_paste_then_each_event_until_a_signal(number):
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        head = []
        while not (head and head[-1].startswith("Ctrl-C")):
            head.append(process.stdout.readline().rstrip("\n"))
        settings = dict(line.split("=", 1) for line in head if line.startswith("spark."))
        known = dict(line.split(": ", 1) for line in head if ": " in line and not line.startswith(("Settings", "Ctrl-C")))
        url = settings["spark.expectations.notifications.pagerduty.webhook.url"]
        assert settings["spark.expectations.notifications.pagerduty.enabled"] == "true"
        assert len(settings) == 3
        assert url == known["url"] + "/v2/enqueue"
        assert settings["spark.expectations.notifications.pagerduty.integration.key"] == known["integration key"]
        assert known["REST token"]
        assert send(url, known["integration key"]).status_code == 202
        line = process.stdout.readline()
        assert "202  trigger  error  orders  9.9% dropped" in line
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "ended well\n", "")


def test_a_line_tells_what_was_refused_and_cannot_play_tricks_on_the_terminal():
    lines: list[str] = []
    stop = threading.Event()
    thread = threading.Thread(target=serve, kwargs={"echo": lines.append, "stop": stop, "key": "k" * 32})
    thread.start()
    try:
        while "Ctrl-C ends it. Events:" not in lines:
            time.sleep(0.01)
        url = lines[0].removeprefix("url: ")
        shown = len(lines)
        send(f"{url}/v2/enqueue", "k" * 32, dedup_key="a\x1b[2J\r\nb", payload={"summary": "s" * 500, "source": "", "severity": "info"})
        requests.post(f"{url}/v2/change/enqueue", json={"routing_key": "k" * 32, "payload": {"summary": "loaded"}}, timeout=60)
        requests.post(f"{url}/v2/enqueue", json={"payload": [], "event_action": ["x"]}, timeout=60)
        requests.get(f"{url}/nowhere", timeout=60)
        deadline = time.monotonic() + 60
        while len(lines) < shown + 4 and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    refused, change, odd, lost = lines[shown:]
    assert "400  trigger  info  a [2J  b" in refused
    assert len(refused) <= 160
    assert refused.isprintable()
    assert "202  change  loaded" in change
    assert "refused: 'routing_key' cannot be blank" in odd
    assert "404  GET  /nowhere" in lost
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


def test_what_cannot_be_is_a_usage_error_and_signals_are_as_they_were():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(UsageError, match="key must be"):
        serve(key="short")
    assert signal.getsignal(signal.SIGTERM) is before
