"""The way to PagerDuty, from the settings to real connections: proxies, certificates, connections that are kept, and no redirects."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spark_pd.delivery.dispatch import Dispatcher
from spark_pd.model import Alert, Delivery
from spark_pd.runs.channels import channel_of
from spark_pd.sandbox import Sandbox
from spark_pd.settings import load_settings
from tests.pagerduty.proxy import Proxy, proxy_to

KEY = "0123456789abcdef0123456789ABCDEF"
FAR = "pagerduty.invalid"  # a name that nobody resolves: whoever gets there came through the proxy
Make = Callable[..., Alert]
pytestmark = pytest.mark.spark_pd_network


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower() in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"):
            monkeypatch.delenv(name)


@pytest.fixture
def far() -> Iterator[Sandbox]:
    """A sandbox that is PagerDuty for whoever comes through a proxy."""
    with Sandbox(key=KEY, tls=True, tls_hosts=[FAR, "events.eu.pagerduty.com"]) as sandbox:
        yield sandbox


@pytest.fixture
def proxy(far: Sandbox) -> Iterator[Proxy]:
    with proxy_to(far.url) as proxy:
        yield proxy


def delivered(alert: Alert, url: str | None, seconds: float = 5.0, **settings: Any) -> Delivery:
    """Delivered by the channel of these settings (`ca_bundle` stands for spark.pd.ca_bundle)."""
    config = {f"spark.pd.{name}": value for name, value in settings.items()}
    config |= {"spark.pd.secret.integration.key": KEY, "spark.expectations.notifications.pagerduty.webhook.url": url}
    return channel_of(load_settings(config)).deliver(alert, deadline=time.monotonic() + seconds)


# ---- proxies ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_used(
    far: Sandbox, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, make_alert: Make, variable: str
) -> None:
    monkeypatch.setenv(variable, proxy.url)
    assert delivered(make_alert(), f"https://{FAR}", ca_bundle=far.ca_file).status == "sent"
    assert proxy.asked == [f"CONNECT {FAR}:443"]
    assert len(far.open_incidents()) == 1


def test_a_region_s_own_host_is_reached_through_a_proxy(
    far: Sandbox, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, make_alert: Make
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    assert delivered(make_alert(), None, ca_bundle=far.ca_file, region="eu").status == "sent"
    assert proxy.asked == ["CONNECT events.eu.pagerduty.com:443"]


@pytest.mark.parametrize("excepted", [FAR, "invalid", "*"])
def test_no_proxy_excepts_hosts_from_the_environment_s_proxy(
    far: Sandbox, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, make_alert: Make, excepted: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", excepted)
    delivery = delivered(make_alert(), f"https://{FAR}", 0.5, ca_bundle=far.ca_file)
    assert delivery.status == "failed"
    assert "could not be resolved" in delivery.reason
    assert proxy.asked == []


def test_the_settings_proxy_is_used_whatever_the_environment_says(
    far: Sandbox, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, make_alert: Make
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", FAR)
    assert delivered(make_alert(), f"https://{FAR}", ca_bundle=far.ca_file, proxy=proxy.url).status == "sent"
    assert proxy.asked == [f"CONNECT {FAR}:443"]


@pytest.mark.parametrize("variables", [["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"], []])
@pytest.mark.parametrize("tls", [True, False])
def test_loopback_never_goes_through_a_proxy(monkeypatch: pytest.MonkeyPatch, make_alert: Make, variables: list[str], tls: bool) -> None:
    with Sandbox(key=KEY, tls=tls) as sandbox, proxy_to(sandbox.url) as proxy:
        for name in variables:
            monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv(name.lower(), proxy.url)
        options: dict[str, Any] = {"ca_bundle": sandbox.ca_file} if tls else {}
        options |= {} if variables else {"proxy": proxy.url}
        assert delivered(make_alert(), sandbox.url, **options).status == "sent"
        assert delivered(make_alert(), sandbox.url.replace("127.0.0.1", "localhost"), **options).status == "sent"
        assert proxy.asked == []


@pytest.mark.parametrize("way", ["literal", "reference"])
def test_a_proxy_s_password_is_given_to_the_proxy_alone(far: Sandbox, monkeypatch: pytest.MonkeyPatch, make_alert: Make, way: str) -> None:
    with proxy_to(far.url, login="bob:hun%ter2") as proxy:
        url = proxy.url.replace("%", "%25")
        monkeypatch.setenv("COMPANY_PROXY", url)
        delivery = delivered(make_alert(), f"https://{FAR}", ca_bundle=far.ca_file, proxy=url if way == "literal" else "env:COMPANY_PROXY")
        assert delivery.status == "sent"
        assert proxy.given == ["bob:hun%ter2"]
    assert "proxy-authorization" not in {name.lower() for request in far.requests for name in request.headers}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("http://127.0.0.1:9", "the proxy did not connect: check spark.pd.proxy"),
        ("env:NO_SUCH_PROXY", "no proxy: the secret 'env:NO_SUCH_PROXY' could not be had"),
        ("env:NO_PROXY_URL", "no proxy: the proxy's URL does not begin with http:// or https:// and a host"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_a_reason(monkeypatch: pytest.MonkeyPatch, make_alert: Make, value: str, reason: str) -> None:
    monkeypatch.setenv("NO_PROXY_URL", "bob:hunter2")
    delivery = delivered(make_alert(), f"https://{FAR}", 0.5, proxy=value)
    assert delivery.status == "failed"
    assert delivery.reason.startswith(reason)
    assert "hunter2" not in delivery.reason


def test_a_proxy_of_the_environment_that_is_down_is_a_reason(monkeypatch: pytest.MonkeyPatch, make_alert: Make) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://bob:hunter2@127.0.0.1:9")
    delivery = delivered(make_alert(), f"https://{FAR}", 0.5)
    assert delivery.status == "failed"
    assert "HTTPS_PROXY" in delivery.reason
    assert "hunter2" not in delivery.reason


def test_a_proxy_that_refuses_its_login_is_a_reason_without_it(far: Sandbox, make_alert: Make) -> None:
    with proxy_to(far.url, login="bob:other") as proxy:
        url = proxy.url.replace("other", "hunter2")
        delivery = delivered(make_alert(), f"https://{FAR}", 0.5, ca_bundle=far.ca_file, proxy=url)
    assert delivery.status == "failed"
    assert "the proxy did not connect" in delivery.reason
    assert "hunter2" not in delivery.reason


# ---- certificates ----------------------------------------------------------------------------------------------------------------


def test_a_certificate_that_nobody_vouches_for_is_final(make_alert: Make) -> None:
    with Sandbox(key=KEY, tls=True) as sandbox:
        delivery = delivered(make_alert(), sandbox.url)
        assert (delivery.status, delivery.status_code, delivery.attempts) == ("failed", None, 1)
        assert "certificate is not trusted" in delivery.reason
        assert sandbox.requests == []


@pytest.mark.parametrize(
    "variables", [{"CURL_CA_BUNDLE": ""}, {"REQUESTS_CA_BUNDLE": ""}, {"PYTHONHTTPSVERIFY": "0"}, {"SSL_CERT_FILE": ""}]
)
def test_nothing_in_the_environment_turns_verification_off(
    monkeypatch: pytest.MonkeyPatch, make_alert: Make, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with Sandbox(key=KEY, tls=True) as sandbox:
        assert "certificate is not trusted" in delivered(make_alert(), sandbox.url).reason
        assert sandbox.requests == []


def test_a_certificate_for_another_name_is_not_trusted(far: Sandbox, proxy: Proxy, make_alert: Make) -> None:
    delivery = delivered(make_alert(), "https://other.invalid", ca_bundle=far.ca_file, proxy=proxy.url)
    assert (delivery.status, delivery.attempts) == ("failed", 1)
    assert "certificate is not trusted" in delivery.reason


def test_a_ca_bundle_may_be_in_the_home_directory(monkeypatch: pytest.MonkeyPatch, make_alert: Make) -> None:
    with Sandbox(key=KEY, tls=True) as sandbox:
        monkeypatch.setenv("HOME", str(sandbox.ca_file.parent))
        assert delivered(make_alert(), sandbox.url, ca_bundle=f"~/{sandbox.ca_file.name}").status == "sent"


@pytest.mark.parametrize("way", ["setting", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_ca_bundle_comes_from_the_settings_or_the_environment(monkeypatch: pytest.MonkeyPatch, make_alert: Make, way: str) -> None:
    with Sandbox(key=KEY, tls=True) as sandbox:
        if way != "setting":
            monkeypatch.setenv(way, str(sandbox.ca_file))
        options = {"ca_bundle": sandbox.ca_file} if way == "setting" else {}
        assert delivered(make_alert(), sandbox.url, **options).status == "sent"


def test_the_settings_ca_bundle_is_stronger_than_the_environment_s(monkeypatch: pytest.MonkeyPatch, make_alert: Make) -> None:
    with Sandbox(key=KEY, tls=True) as sandbox, Sandbox(tls=True) as other:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other.ca_file))
        assert delivered(make_alert(), sandbox.url, ca_bundle=sandbox.ca_file).status == "sent"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(sandbox.ca_file))
        assert "certificate is not trusted" in delivered(make_alert(), sandbox.url, ca_bundle=other.ca_file).reason


@pytest.mark.parametrize("way", ["setting", "environment"])
@pytest.mark.parametrize("content", [None, "", "no certificate", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"])
def test_a_ca_bundle_that_is_none_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_alert: Make, way: str, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    if way == "environment":
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    with Sandbox(key=KEY, tls=True) as sandbox:
        delivery = delivered(make_alert(), sandbox.url, 2.0, **({"ca_bundle": file} if way == "setting" else {}))
        assert (delivery.status, delivery.attempts) == ("failed", 1)
        assert "the CA bundle is not there or holds no certificate" in delivery.reason
        assert sandbox.requests == []


def test_plain_http_where_tls_is_expected_fails_within_the_deadline(sandbox: Sandbox, make_alert: Make) -> None:
    delivery = delivered(make_alert(), sandbox.url.replace("http:", "https:"), 0.5)
    assert delivery.status == "failed"
    assert "TLS handshake" in delivery.reason


# ---- what else of requests and http.client could do harm -------------------------------------------------------------------------


def test_credentials_of_a_netrc_are_not_sent(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_alert: Make) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login bob password hunter2\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    assert delivered(make_alert(), sandbox.url).status == "sent"
    assert "authorization" not in {name.lower() for name in sandbox.requests[0].headers}


def test_a_redirect_is_never_followed(sandbox: Sandbox, make_alert: Make) -> None:
    sandbox.fault("redirect")
    delivery = delivered(make_alert(), sandbox.url)
    assert (delivery.status, delivery.status_code, delivery.attempts) == ("failed", 307, 1)
    assert "never followed" in delivery.reason
    assert [request.path for request in sandbox.requests] == ["/v2/enqueue"]


@pytest.mark.parametrize("through_proxy", [True, False])
def test_http_client_s_debugging_does_not_print_the_key(
    far: Sandbox,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    make_alert: Make,
    through_proxy: bool,
) -> None:
    import requests

    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    requests.post(f"{sandbox.url}/v2/enqueue", json={"routing_key": KEY}, timeout=5)
    assert KEY in capfd.readouterr().out, "http.client no longer prints what it sends: is mute() still needed?"
    with proxy_to(far.url, login="bob:hunter2") as proxy:
        options = {"proxy": proxy.url, "ca_bundle": far.ca_file} if through_proxy else {}
        assert delivered(make_alert(), f"https://{FAR}" if through_proxy else sandbox.url, **options).status == "sent"
    printed = "".join(capfd.readouterr())
    assert KEY not in printed
    assert "Proxy-Authorization" not in printed


def test_alerts_share_a_connection(sandbox: Sandbox, make_alert: Make) -> None:
    settings = load_settings({**sandbox.config})
    dispatcher = Dispatcher([channel_of(settings)])
    for n in range(3):
        assert dispatcher.submit([make_alert(dedup_key=str(n)), make_alert(dedup_key=str(n), state="resolved")], seconds=5).wait()
    assert len(sandbox.requests) == 6
    assert len({request.client for request in sandbox.requests}) == 1


def test_a_kept_connection_that_was_closed_meanwhile_costs_no_alert(make_alert: Make) -> None:
    sandbox = Sandbox(key=KEY).start()
    try:
        channel = channel_of(load_settings(sandbox.config))
        for _ in range(2):
            delivery = channel.deliver(make_alert(), deadline=time.monotonic() + 60)
            assert (delivery.status, delivery.attempts) == ("sent", 1)
            sandbox.stop()
            sandbox.start()
    finally:
        sandbox.stop()
