"""PagerDuty's own Python client against the sandbox."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from spark_pd.sandbox import Sandbox

pagerduty = pytest.importorskip("pagerduty")
pytest.importorskip("cryptography")

SERVICES = [f"Service {n:03d}" for n in range(205)]


@pytest.fixture(scope="module")
def secured() -> Iterator[Sandbox]:
    """With TLS: the client refuses any base URL that is not https."""
    with Sandbox(tls=True, services=SERVICES) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def fresh(secured):
    secured.reset()


@pytest.fixture
def events(secured) -> Iterator[Any]:
    context = ssl.create_default_context(cafile=secured.ca_file)
    with pagerduty.EventsApiV2Client(secured.key, base_url=secured.url, verify=context) as client:
        yield client


@pytest.fixture
def rest(secured) -> Iterator[Any]:
    context = ssl.create_default_context(cafile=secured.ca_file)
    with pagerduty.RestApiV2Client(secured.rest_token, base_url=secured.url, verify=context) as client:
        yield client


def test_trigger_acknowledge_resolve(secured, events):
    key = events.trigger("9.9% dropped", "nightly", severity="warning", custom_details={"dropped": 3})
    assert events.trigger("9.9% dropped", "nightly", dedup_key=key) == key
    assert (secured.incidents()[0].trigger_count, secured.incidents()[0].severity) == (2, "critical")
    assert events.acknowledge(key) == key
    assert secured.open_incidents()[0].status == "acknowledged"
    assert events.resolve(key) == key
    assert secured.open_incidents() == []


def test_a_change_event(secured, events):
    events.submit("sales.orders loaded", "nightly", custom_details={"rows": 7}, timestamp="2026-11-20T01:02:03Z")
    assert secured.changes[0]["payload"]["custom_details"] == {"rows": 7}


def test_a_refusal_is_the_clients_http_error(secured, events):
    with pytest.raises(pagerduty.HttpError) as caught:
        events.trigger("s" * 1025, "nightly")
    assert caught.value.response.json()["errors"] == ["'summary' is too long (maiximum is 1024 characters)"]


def test_services_and_their_keys(secured, rest):
    found = list(rest.iter_all("services", params={"include[]": "integrations"}))
    assert {service["name"]: service["integrations"][0]["integration_key"] for service in found} == secured.keys
    assert rest.get_total("services") == len(SERVICES)
    assert rest.find("services", "Service 123")["name"] == "Service 123"
    assert rest.rget(f"/services/{found[0]['id']}")["name"] == "Service 000"


def test_incidents(secured, events, rest):
    for n in range(130):
        events.trigger(f"broken {n}", "nightly", dedup_key=f"key {n}")
    events.resolve("key 7")
    assert len(list(rest.iter_all("incidents"))) == 130
    left = list(rest.iter_all("incidents", params={"statuses": ["triggered", "acknowledged"]}))
    assert {incident["incident_key"] for incident in left} == {f"key {n}" for n in range(130) if n != 7}
    assert [i["status"] for i in rest.iter_all("incidents", params={"incident_key": "key 7"})] == ["resolved"]


def test_a_wrong_token_is_the_clients_http_error(secured):
    context = ssl.create_default_context(cafile=secured.ca_file)
    with pagerduty.RestApiV2Client("wrong", base_url=secured.url, verify=context) as client, pytest.raises(pagerduty.HttpError):
        list(client.iter_all("services"))
