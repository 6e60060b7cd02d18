"""The REST API asked in the background, after a 202: is there an incident, and does its service open any?"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from spark_pd.delivery.dispatch import Dispatcher
from spark_pd.model import Alert, Secret
from spark_pd.pagerduty import Directory, PagerDutyChannel
from spark_pd.pagerduty import directory as directory_module
from spark_pd.pagerduty.directory import Service, Unanswered
from spark_pd.pagerduty.reconciliation import missing
from spark_pd.runs.channels import channel_of
from spark_pd.sandbox import Sandbox
from spark_pd.settings import load_settings
from tests.pagerduty.proxy import proxy_to
from tests.pagerduty.test_pagerduty_channel import answering

Make = Callable[..., Alert]
TOKEN = "y_NbAkKc66ryYTWUXYEu"


@pytest.fixture
def account() -> Iterator[Sandbox]:
    with Sandbox(services=["Orders", "Refunds"], rest_token=TOKEN) as sandbox:
        yield sandbox


def channel_to(account: Sandbox, **config: Any) -> PagerDutyChannel:
    return channel_of(load_settings({**account.config, "spark.pd.rest.token": TOKEN, "spark.pd.rest.url": account.url, **config}))


def directory_to(url: str, token: str = TOKEN) -> Directory:
    return Directory(url, token=lambda: Secret(token))


def soon(seconds: float = 10.0) -> float:
    return time.monotonic() + seconds


def fire(channel: PagerDutyChannel, alert: Alert) -> None:
    assert channel.deliver(alert, deadline=soon()).status == "sent"


# ---- what it finds ---------------------------------------------------------------------------------------------------------------


def test_an_open_incident_is_nothing_to_tell(account: Sandbox, make_alert: Make) -> None:
    channel = channel_to(account)
    fire(channel, make_alert())
    assert channel.confirm(make_alert(), until=soon()) is None
    asked = [request for request in account.requests if request.method == "GET"]
    assert {request.headers["Accept"] for request in asked} == {"application/vnd.pagerduty+json;version=2"}
    assert [request.path for request in asked] == ["/services", "/services/PSBX0001", "/incidents"]
    channel.confirm(make_alert(), until=soon())  # which service it is, is known by now
    assert [request.path for request in account.requests if request.method == "GET"][3:] == ["/services/PSBX0001", "/incidents"]


def test_an_incident_that_appears_late_is_waited_for(account: Sandbox, make_alert: Make) -> None:
    import threading

    channel = channel_to(account)
    timer = threading.Timer(0.8, fire, (channel, make_alert()))
    timer.start()
    assert channel.confirm(make_alert(), until=soon(10)) is None
    timer.join()


def test_an_incident_that_the_run_closed_meanwhile_is_nothing_to_tell(account: Sandbox, make_alert: Make) -> None:
    from datetime import datetime, timezone

    channel, now = channel_to(account), datetime.now(timezone.utc)
    fire(channel, make_alert(at=now))
    fire(channel, make_alert(at=now, state="resolved"))
    assert account.open_incidents() == []
    assert channel.confirm(make_alert(at=now), until=soon(30)) is None


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda account: account.disable(), "PagerDuty's service 'Orders' is disabled, so nobody is told of it"),
        (lambda account: account.maintain(), "PagerDuty's service 'Orders' is in maintenance until 20"),
        (lambda account: None, "PagerDuty's service 'Orders' has no incident for it: an event rule may suppress it"),
    ],
)
def test_what_is_wrong_is_one_sentence(account: Sandbox, make_alert: Make, prepare: Any, says: str) -> None:
    prepare(account)
    channel = channel_to(account)
    if "event rule" not in says:
        fire(channel, make_alert())
    found = channel.confirm(make_alert(), until=soon(3))
    assert found is not None
    assert says in found


@pytest.mark.parametrize("how", ["disable", "maintain"])
def test_an_incident_that_was_open_before_its_service_was_off_counts(account: Sandbox, make_alert: Make, how: str) -> None:
    channel = channel_to(account)
    fire(channel, make_alert())
    getattr(account, how)()
    assert channel.confirm(make_alert(), until=soon()) is None


def test_a_key_of_no_service_that_the_token_sees(account: Sandbox, make_alert: Make) -> None:
    channel = channel_to(account, **{"spark.expectations.notifications.pagerduty.integration.key": "f" * 32})
    assert "no service with its integration key" in str(channel.confirm(make_alert(), until=soon(3)))


@pytest.mark.parametrize(
    ("service", "end", "says"),
    [
        (None, None, "no service with its integration key that the REST token may see"),
        (Service(id="P", name="Orders", status="disabled"), None, "is disabled, so nobody"),
        (Service(id="P", name="Orders", status="maintenance"), "2026-01-01T00:00:00Z", "in maintenance until 2026-01-01T00:00:00Z, so"),
        (Service(id="P", name="Orders", status="maintenance"), None, "in maintenance, so nobody"),
        (Service(id="P", name="Orders", status="active"), None, "has no incident for it: an event rule may suppress it"),
    ],
)
def test_the_sentences(service: Service | None, end: str | None, says: str) -> None:
    assert says in missing(service, end)


def test_the_service_is_found_on_a_later_page(make_alert: Make) -> None:
    names = [f"Service {n:03d}" for n in range(230)]
    with Sandbox(services=names, rest_token=TOKEN) as account:
        found = directory_to(account.url).service_of(Secret(account.keys["Service 229"]), until=soon(10))
        assert found is not None
        assert (found.name, found.status) == ("Service 229", "active")


# ---- what goes wrong -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, b"{}", "it refused the REST token (401): check spark.pd.rest.token"),
        (403, b"{}", "may not read services and incidents (403)"),
        (404, b"{}", "answered 404: check spark.pd.rest.url"),
        (307, b"", "a redirect, which is never followed with a token"),
        (200, b"<html>", "no JSON object"),
        (200, b"[]", "no JSON object"),
        (500, b"", "answered 500"),
    ],
)
def test_an_answer_that_is_none_is_told_without_the_token(make_alert: Make, status: int, body: bytes, says: str) -> None:
    echo = body or json.dumps({"echo": TOKEN}).encode()
    with answering(status, lambda _: echo, Location="http://127.0.0.1:9/") as url, pytest.raises(Unanswered) as caught:
        directory_to(url).has_incident("d", make_alert().at, until=soon(5))
    assert says in str(caught.value)
    assert TOKEN not in f"{caught.value!r}"


def test_a_temporary_failure_is_tried_again(account: Sandbox, make_alert: Make) -> None:
    channel = channel_to(account)
    fire(channel, make_alert())
    account.fault("500", times=1, on="rest")
    account.fault("429", times=1, on="rest")
    assert channel.confirm(make_alert(), until=soon(10)) is None


@pytest.mark.parametrize("kind", ["hang", "reset", "500", "drip"])
def test_it_ends_in_time(account: Sandbox, make_alert: Make, kind: str) -> None:
    account.fault(kind, on="rest", **({"seconds": 0.02} if kind == "drip" else {}))
    started = time.monotonic()
    found = channel_to(account).confirm(make_alert(), until=soon(1.0))
    assert found is not None
    assert "is not known" in found
    assert "JSON" not in found
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("token", ["two\nlines" + TOKEN, "ümlaut" + TOKEN, ""])
def test_a_token_that_no_header_carries(account: Sandbox, make_alert: Make, token: str) -> None:
    with pytest.raises(Unanswered) as caught:
        directory_to(account.url, token).has_incident("d", make_alert().at, until=soon())
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("reference", ["env:NO_SUCH_TOKEN", "file:/no/such/file"])
def test_a_token_that_cannot_be_had(account: Sandbox, make_alert: Make, reference: str) -> None:
    found = channel_to(account, **{"spark.pd.rest.token": reference}).confirm(make_alert(), until=soon())
    assert found is not None
    assert f"the secret '{reference}' could not be had" in found


def test_a_test_suite_asks_nobody_outside(account: Sandbox, make_alert: Make) -> None:
    channel = channel_to(account, **{"spark.pd.rest.url": None})
    assert "api.pagerduty.com is not on this machine" in str(channel.confirm(make_alert(), until=soon()))


@pytest.mark.spark_pd_network
def test_the_rest_api_is_reached_by_the_same_way(make_alert: Make) -> None:
    with Sandbox(tls=True, tls_hosts=["api.eu.pagerduty.com"], rest_token=TOKEN) as far, proxy_to(far.url) as proxy:
        config = {"spark.pd.rest.token": TOKEN, "spark.pd.region": "eu", "spark.pd.proxy": proxy.url, "spark.pd.ca_bundle": far.ca_file}
        channel = channel_of(load_settings({**config, "spark.pd.secret.integration.key": far.key}))
        good, sentence = channel.state(until=soon())
        assert (good, sentence) == (True, "The key belongs to the service 'spark_pd sandbox', which is active")
        assert set(proxy.asked) == {"CONNECT api.eu.pagerduty.com:443"}


def test_many_pages_end_at_pagerduty_s_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    directory = directory_to("http://127.0.0.1:9")
    monkeypatch.setattr(directory, "_get", lambda path, query, until: asked.append(dict(query)) or {"services": [], "more": True})
    assert directory.service_of(Secret("x"), until=soon()) is None
    assert len(asked) == directory_module._LAST // directory_module._PAGE
    assert max(int(query["offset"]) + int(query["limit"]) for query in asked) == 10_000


# ---- behind a run's back ---------------------------------------------------------------------------------------------------------


def test_a_disabled_service_is_one_warning_and_holds_nobody(account: Sandbox, make_alert: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "spark_pd")
    account.disable()
    account.fault("slow", on="rest", seconds=3)
    dispatcher = Dispatcher([channel_to(account)])
    started = time.monotonic()
    deliveries = dispatcher.submit([make_alert(dedup_key=str(n)) for n in range(3)], seconds=60).wait()
    assert time.monotonic() - started < 2.5
    assert {delivery.reason for delivery in deliveries} == {"accepted"}
    account.clear_faults()
    dispatcher.flush(60)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [
        "error_drop_threshold on pagerduty was accepted, but PagerDuty's service 'Orders' is disabled, so nobody is told of it [0]"
    ]


def test_what_is_found_in_time_is_in_the_delivery_s_reason(account: Sandbox, make_alert: Make) -> None:
    account.disable()
    dispatcher = Dispatcher([channel_to(account)])
    early = dispatcher.submit([make_alert()], seconds=60)
    until = soon(10)
    while not any(request.path == "/incidents" for request in account.requests) and time.monotonic() < until:
        time.sleep(0.02)
    dispatcher.flush(10)
    (delivery,) = early.wait()
    assert (delivery.status, delivery.status_code) == ("sent", 202)
    assert delivery.reason == "accepted, but PagerDuty's service 'Orders' is disabled, so nobody is told of it"
    assert early.wait() == (delivery,)


def test_nothing_is_asked_about_resolves_refusals_or_without_a_token(account: Sandbox, make_alert: Make) -> None:
    dispatcher = Dispatcher([channel_to(account)])
    dispatcher.submit([make_alert(state="resolved"), make_alert(change=True)], seconds=60).wait()
    account.fault("403", times=1)
    dispatcher.submit([make_alert()], seconds=60).wait()
    without = Dispatcher([channel_of(load_settings(account.config))])
    without.submit([make_alert()], seconds=60).wait()
    for each in (dispatcher, without):
        each.flush(5)
    assert [request for request in account.requests if request.method == "GET"] == []
