"""`spark-pd sandbox` in a process of its own, ended as a user ends it."""

from __future__ import annotations

import signal
import socket

import pytest
import requests


def read_until(process, start: str) -> str:
    for line in process.stdout:
        if line.startswith(start):
            return line.removeprefix(start).strip()
    raise AssertionError(f"no line began with {start!r}: {process.stderr.read()}")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_settings_that_work_and_ends_with_0(start, conf, ending):
    sandbox = start("sandbox", "--port", "0")
    url, key = read_until(sandbox, "url: "), read_until(sandbox, "integration key: ")
    names = ["spark.expectations.notifications.pagerduty.enabled", "spark.expectations.notifications.pagerduty.integration.key"]
    config = {name: read_until(sandbox, f"{name}=") for name in [*names, "spark.expectations.notifications.pagerduty.webhook.url"]}
    assert config[names[1]] == key
    sender = start("test", *conf(config))
    assert sender.communicate(timeout=60)[0].count("sent") == 2
    assert sender.returncode == 0
    assert "202" in read_until(sandbox, "Ctrl-C ends it") or "202" in sandbox.stdout.readline()
    assert requests.get(f"{url}/incidents", timeout=10).status_code == 401, "the REST API wants its token"
    sandbox.send_signal(ending)
    _, errors = sandbox.communicate(timeout=15)
    assert sandbox.returncode == 0, errors
    assert "Traceback" not in errors


def test_a_port_that_is_taken_exits_with_2(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = start("sandbox", "--port", port)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 2, errors
    assert port in errors
    assert "Traceback" not in errors


def test_the_key_can_be_chosen(start):
    process = start("sandbox", "--key", "0123456789abcdef0123456789abcdef")
    assert read_until(process, "integration key: ") == "0123456789abcdef0123456789abcdef"
