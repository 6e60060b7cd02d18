"""The way to PagerDuty: proxy, CA bundle, allowed hosts, REST token; and what of them is never shown."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from spark_pd import SettingsError
from spark_pd.model import Secret, SecretReference
from spark_pd.settings import load_settings

PROXY, TOKEN, HOSTS = "spark.pd.proxy", "spark.pd.rest.token", "spark.pd.allowed_hosts"
CHANNEL_OF, CLOUD_EVENTS = "spark.pd.channel.eu", "spark.pd.events"
CHANNEL = f"{CHANNEL_OF}.integration_key"
REGION, URL, REST_URL = "spark.pd.region", "spark.expectations.notifications.pagerduty.webhook.url", "spark.pd.rest.url"
WITH_PASSWORD = "http://bob:hunter2@proxy.example.com:3128"
LITERAL = "y_NbAkKc66ryYTWUXYEu"


def mistakes(config: dict[str, Any], **sources: Any) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(config, **{"environ": {}, **sources})
    return caught.value.mistakes


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ("http://proxy.example.com:3128", Secret("http://proxy.example.com:3128")),
        (" https://proxy.example.com ", Secret("https://proxy.example.com")),
        ("http://[2001:db8::1]:3128/", Secret("http://[2001:db8::1]:3128/")),
        (WITH_PASSWORD, Secret(WITH_PASSWORD)),
        (Secret(WITH_PASSWORD), Secret(WITH_PASSWORD)),
        ("env:PROXY", SecretReference("env", "PROXY")),
        (SecretReference("file", "/run/proxy"), SecretReference("file", "/run/proxy")),
        ("", None),
        (None, None),
    ],
)
def test_a_proxy_is_a_url_or_a_reference(value: object, held: object) -> None:
    assert load_settings({PROXY: value}, environ={}).proxy == held
    assert load_settings({"spark.pd.secret.proxy": value}, environ={}).proxy == held


@pytest.mark.parametrize(
    "value",
    [
        *(
            "proxy.example.com:3128",
            "socks5://p.example:1",
            "http://",
            "http://p.example:0",
            "http://p.example:99999",
            "http://p.example/x",
        ),
        *(
            "http://bob:hunter2/@p.example",
            "http://bob:hunter2#@p.example",
            "http://p.example?x",
            "http://p exam.ple",
            "http://pröxy.example",
        ),
        *("http://[x", "vault:hunter2", "env:", 3128),
    ],
)
def test_what_is_no_proxy_is_a_mistake_that_shows_nothing_of_it(value: object) -> None:
    (mistake,) = mistakes({PROXY: value})
    assert mistake.startswith(f"{PROXY} (from config) is ****; expected ")
    assert "hunter2" not in mistake


@pytest.mark.parametrize(
    ("value", "held"),
    [(LITERAL, Secret(LITERAL)), (Secret(LITERAL), Secret(LITERAL)), ("env:TOKEN", SecretReference("env", "TOKEN")), ("", None)],
)
def test_a_rest_token_is_a_token_or_a_reference(value: object, held: object) -> None:
    assert load_settings({TOKEN: value}, environ={}).rest_token == held


@pytest.mark.parametrize(
    "value", ["short", LITERAL + " x", LITERAL + "\n.", "Token token=" + LITERAL, "vlt:" + LITERAL, "env:", 7, "ä" * 20]
)
def test_what_is_no_token_is_a_mistake_that_shows_nothing_of_it(value: object) -> None:
    (mistake,) = mistakes({TOKEN: value})
    assert mistake.startswith(f"{TOKEN} (from config) is ****; expected ")
    assert LITERAL[:8] not in mistake


@pytest.mark.parametrize(
    ("arguments", "warned"),
    [
        ({"config": {PROXY: WITH_PASSWORD}}, f"{PROXY} (from config) holds the proxy's password itself"),
        ({"spark_conf": {PROXY: WITH_PASSWORD}}, f"{PROXY} (from Spark configuration) holds the proxy's password itself"),
        ({"config": {TOKEN: LITERAL}}, f"{TOKEN} (from config) holds the REST token itself"),
        ({"spark_conf": {"spark.pd.secret.proxy": WITH_PASSWORD}}, None),
        ({"spark_conf": {TOKEN: LITERAL}}, None),  # spark.redaction.regex has "token"
        ({"config": {PROXY: "http://proxy.example.com:3128"}}, None),
        ({"config": {PROXY: Secret(WITH_PASSWORD), TOKEN: Secret(LITERAL)}}, None),
        ({"config": {TOKEN: LITERAL, REST_URL: "http://127.0.0.1:1"}}, None),
        ({"environ": {"SPARK_PD_PROXY": WITH_PASSWORD, "SPARK_PD_REST_TOKEN": LITERAL}}, None),
    ],
)
def test_a_secret_on_show_is_warned_of(arguments: dict[str, Any], warned: str | None, caplog: pytest.LogCaptureFixture) -> None:
    load_settings(**{"environ": {}, **arguments})
    assert [warned in record.getMessage() for record in caplog.records if warned] == ([True] if warned else [])
    assert bool(caplog.records) == (warned is not None)
    assert "hunter2" not in caplog.text
    assert LITERAL not in caplog.text


def test_settings_show_neither_and_carry_none_in_a_pickle() -> None:
    settings = load_settings({PROXY: WITH_PASSWORD, TOKEN: LITERAL}, environ={})
    for text in (repr(settings), str(settings.describe()), repr(pickle.dumps(settings)), repr(pickle.loads(pickle.dumps(settings)))):
        assert "hunter2" not in text
        assert LITERAL not in text
    assert settings.describe()[PROXY] == ("****", "config")


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ("events.eu.pagerduty.com", ("events.eu.pagerduty.com",)),
        (" A.example. , b.example,a.example", ("a.example", "b.example")),
        (["a.example", "10.0.0.1", "::1"], ("a.example", "10.0.0.1", "::1")),
        (("a.example",), ("a.example",)),
        ("", None),
    ],
)
def test_allowed_hosts_are_names(value: object, held: object) -> None:
    config = {HOSTS: value, URL: "http://localhost:1"}  # this machine is always allowed
    assert load_settings(config, environ={}).allowed_hosts == held


@pytest.mark.parametrize("value", ["https://a.example", "a.example:443", "a b", "a.example,,b.example", "*.example", [], [1], 7, {"a": 1}])
def test_what_is_no_list_of_hosts_is_a_mistake(value: object) -> None:
    (mistake,) = mistakes({HOSTS: value})
    assert "expected host names such as events.pagerduty.com" in mistake


@pytest.mark.parametrize(
    ("allowed", "config", "refused"),
    [
        ("events.pagerduty.com", {}, None),
        ("events.eu.pagerduty.com", {REGION: "eu"}, None),
        ("events.eu.pagerduty.com", {}, "the region us leads to events.pagerduty.com"),
        ("events.eu.pagerduty.com", {REGION: "us"}, f"{REGION} (from config) leads to events.pagerduty.com"),
        ("events.pagerduty.com", {URL: "https://evil.example/v2/enqueue"}, f"{URL} (from config) leads to evil.example"),
        ("events.pagerduty.com", {URL: "https://events.pagerduty.com.evil.example"}, "leads to events.pagerduty.com.evil.example"),
        ("relay.example", {URL: "https://RELAY.example.:8443/v2/enqueue"}, None),
        ("events.pagerduty.com", {URL: "http://127.0.0.1:5000"}, None),
        ("events.pagerduty.com", {REST_URL: "https://api.evil.example"}, f"{REST_URL} (from config) leads to api.evil.example"),
        ("events.pagerduty.com,api.relay.example", {REST_URL: "https://api.relay.example"}, None),
        ("events.pagerduty.com", {CHANNEL: "env:KEY", f"{CHANNEL_OF}.url": "https://evil.example"}, "channel eu leads to evil.example"),
        ("events.pagerduty.com", {CHANNEL: "env:KEY", f"{CHANNEL_OF}.region": "eu"}, "channel eu leads to events.eu.pagerduty.com"),
        ("events.pagerduty.com,events.eu.pagerduty.com", {CHANNEL: "env:KEY", f"{CHANNEL_OF}.region": "eu"}, None),
        ("events.pagerduty.com", {CLOUD_EVENTS: "https://evil.example/in"}, f"{CLOUD_EVENTS} (from config) leads to evil.example"),
        ("events.pagerduty.com", {CLOUD_EVENTS: "/tmp/events.jsonl"}, None),
    ],
)
def test_events_go_to_allowed_hosts_only(allowed: str, config: dict[str, Any], refused: str | None) -> None:
    sources: dict[str, Any] = {"spark_conf": {HOSTS: allowed}}
    if refused is None:
        assert load_settings(config, environ={}, **sources).allowed_hosts is not None
        return
    (mistake,) = mistakes(config, **sources)
    assert refused in mistake
    assert "spark.pd.allowed_hosts (from Spark configuration)" in mistake


def test_what_one_source_leaves_out_no_other_can_allow(tmp_path: Path) -> None:
    """The platform's list holds, though the job's own `config` is the stronger source."""
    platform = {"SPARK_PD_ALLOWED_HOSTS": "events.pagerduty.com,relay.example"}
    job = {HOSTS: "evil.example, relay.example", URL: "https://evil.example"}
    (mistake,) = mistakes(job, environ=platform)
    assert "leads to evil.example, which is not in spark.pd.allowed_hosts (from config), which has relay.example" in mistake
    assert load_settings({**job, URL: "https://relay.example"}, environ=platform).allowed_hosts == ("relay.example",)
    assert load_settings({HOSTS: ""}, environ=platform).allowed_hosts == ("events.pagerduty.com", "relay.example")
    (mistake,) = mistakes({HOSTS: "evil.example"}, environ=platform)
    assert "which has none" in mistake
    file = tmp_path / "settings.yaml"
    file.write_text(f"{HOSTS}: [events.pagerduty.com, other.example]\n")
    assert load_settings({}, environ=platform, config_file=file).allowed_hosts == ("events.pagerduty.com",)


@pytest.mark.parametrize("value", [Path("/etc/ssl/company.pem"), "/etc/ssl/company.pem"])
def test_a_ca_bundle_is_a_path(value: object) -> None:
    assert load_settings({"spark.pd.ca_bundle": value}, environ={}).ca_bundle == "/etc/ssl/company.pem"


@pytest.mark.parametrize("value", ["dbfs:/ca.pem", "https://x.example/ca.pem", False, 7])
def test_a_ca_bundle_is_nothing_else_and_cannot_be_switched_off(value: object) -> None:
    (mistake,) = mistakes({"spark.pd.ca_bundle": value})
    assert "expected the path of a file" in mistake


def test_the_lifecycle_is_told_as_incidents_unless_changes_are_asked_for() -> None:
    assert load_settings({}, environ={}).lifecycle_as == "incident"
    assert load_settings({"spark.pd.lifecycle.as": "Change"}, environ={}).lifecycle_as == "change"
    (mistake,) = mistakes({"spark.pd.lifecycle.as": "event"})
    assert "expected incident or change" in mistake
