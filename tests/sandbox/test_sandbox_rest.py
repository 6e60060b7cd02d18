"""The REST API: services, integration keys, incidents, paging and headers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from spark_pd import UsageError
from spark_pd.sandbox import Sandbox

ACCEPT = "application/vnd.pagerduty+json;version=2"


@pytest.fixture(scope="module")
def account() -> Iterator[Sandbox]:
    with Sandbox(services=[f"Service {n:03d}" for n in range(130)]) as sandbox:
        for key, action in (("a", "trigger"), ("b", "trigger"), ("c", "trigger"), ("b", "acknowledge"), ("c", "resolve")):
            event = {
                "routing_key": sandbox.key,
                "event_action": action,
                "dedup_key": key,
                "payload": {"summary": f"broken {key}", "source": "s", "severity": "error" if key == "a" else "info"},
            }
            assert requests.post(f"{sandbox.url}/v2/enqueue", json=event, timeout=60).status_code == 202
        yield sandbox


@pytest.fixture(scope="module")
def get(account):
    def ask(path: str, **params: Any) -> requests.Response:
        headers = {"Authorization": f"Token token={account.rest_token}", "Accept": ACCEPT}
        named = {name.replace("__", "[]"): value for name, value in params.items()}
        return requests.get(account.url + path, params=named, headers=headers, timeout=60)

    return ask


def test_services_come_in_pages(account, get):
    first = get("/services").json()
    assert (len(first["services"]), first["limit"], first["offset"], first["more"], first["total"]) == (25, 25, 0, True, None)
    last = get("/services", limit=100, offset=100, total="true").json()
    assert (len(last["services"]), last["limit"], last["offset"], last["more"], last["total"]) == (30, 100, 100, False, 130)
    assert get("/services", limit=30, offset=100).json()["more"] is False


def test_services_are_found_by_a_part_of_their_name(get):
    assert [service["name"] for service in get("/services", query="service 12").json()["services"]] == [
        f"Service {n}" for n in range(120, 130)
    ]


def test_keys_are_told_where_integrations_are_asked_for(account, get):
    bare = get("/services", query="Service 007").json()["services"][0]
    assert "integration_key" not in bare["integrations"][0]
    assert bare["integrations"][0]["type"] == "events_api_v2_inbound_integration_reference"
    full = get("/services", query="Service 007", include__="integrations").json()["services"][0]
    assert full["integrations"][0]["integration_key"] == account.keys["Service 007"]
    one = get(f"/services/{bare['id']}").json()["service"]
    assert one == bare
    integration = get(f"/services/{bare['id']}/integrations/{bare['integrations'][0]['id']}").json()["integration"]
    assert integration["integration_key"] == account.keys["Service 007"]
    assert integration["type"] == "events_api_v2_inbound_integration"
    assert integration["service"]["id"] == bare["id"]


def test_incidents_are_listed_by_key_status_and_service(get):
    def keys(**params: Any) -> list[str]:
        return [incident["incident_key"] for incident in get("/incidents", **params).json()["incidents"]]

    assert keys() == ["a", "b", "c"]
    assert keys(statuses__=["triggered", "acknowledged"]) == ["a", "b"]
    assert keys(incident_key="c") == ["c"]
    assert keys(incident_key="c", statuses__="triggered") == []
    assert keys(limit=1, offset=1) == ["b"]
    assert keys(service_ids__="PSBX0001") == ["a", "b", "c"]
    assert keys(service_ids__="PSBX0002") == []


def test_an_incident_is_shown_as_pagerduty_does(get):
    incident = get("/incidents", incident_key="a").json()["incidents"][0]
    assert incident["type"] == "incident"
    assert incident["status"] == "triggered"
    assert (incident["title"], incident["incident_number"], incident["urgency"]) == ("broken a", 1, "high")
    assert incident["service"]["summary"] == "Service 000"
    assert get(f"/incidents/{incident['id']}").json()["incident"] == incident


def test_abilities_are_listed(get):
    assert isinstance(get("/abilities").json()["abilities"], list)


@pytest.mark.parametrize(
    ("path", "params", "says"),
    [
        ("/services", {"limit": 101}, "Limit must be from 1 to 100"),
        ("/services", {"limit": 0}, "Limit must be from 1 to 100"),
        ("/services", {"limit": "all"}, "Limit must be a whole number"),
        ("/services", {"offset": -1}, "Offset must be a whole number"),
        ("/incidents", {"offset": 9950, "limit": 51}, "Offset plus limit must not exceed 10000"),
        ("/incidents", {"statuses__": "open"}, "must be one of"),
    ],
)
def test_wrong_parameters_are_400(get, path, params, says):
    answer = get(path, **params)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == 2001
    assert says in answer.json()["error"]["errors"][0]


@pytest.mark.parametrize("path", ["/services/PNOBODY", "/services/PSBX0001/integrations/PNONE", "/incidents/QNONE"])
def test_an_unknown_id_is_404(get, path):
    answer = get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "Not Found"


@pytest.mark.parametrize("path", ["/services", "/incidents", "/abilities", "/services/PSBX0001"])
@pytest.mark.parametrize("header", [None, "Token token=wrong", "Bearer {}", "token token={}", "{}", "Token token=ä"])
def test_without_the_token_it_is_401(account, path, header):
    headers = {} if header is None else {"Authorization": header.format(account.rest_token).encode("utf-8")}
    answer = requests.get(account.url + path, headers=headers, timeout=60)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == 2006
    assert account.rest_token not in answer.text


@pytest.mark.parametrize(
    ("accept", "status"),
    [(ACCEPT, 200), ("application/json", 200), ("*/*", 200), ("text/html", 406), ("application/vnd.pagerduty+json;version=1", 406)],
)
def test_the_accept_header_is_heeded(account, accept, status):
    headers = {"Authorization": f"Token token={account.rest_token}", "Accept": accept}
    assert requests.get(f"{account.url}/services", headers=headers, timeout=60).status_code == status


def test_only_reading_is_offered(account):
    headers = {"Authorization": f"Token token={account.rest_token}"}
    assert requests.post(f"{account.url}/services", headers=headers, json={}, timeout=60).status_code == 405


@pytest.fixture
def ask() -> Iterator[Any]:
    with Sandbox(services=["one", "two"]) as sandbox:

        def asked(path: str, **params: Any) -> Any:
            named = {name.replace("__", "[]"): value for name, value in params.items()}
            answer = requests.get(
                sandbox.url + path, params=named, headers={"Authorization": f"Token token={sandbox.rest_token}"}, timeout=60
            )
            return answer.json()

        asked.sandbox = sandbox
        yield asked


def send(sandbox: Sandbox, action: str, service: str = "one") -> None:
    event = {"routing_key": sandbox.keys[service], "event_action": action, "dedup_key": "d"}
    event["payload"] = {"summary": "s", "source": "s", "severity": "error"}
    assert requests.post(f"{sandbox.url}/v2/enqueue", json=event, timeout=60).status_code == 202


def test_a_service_s_status_is_that_of_its_incidents(ask):
    statuses = []
    for action in (None, "trigger", "acknowledge", "resolve"):
        if action:
            send(ask.sandbox, action)
        statuses.append(ask("/services/PSBX0001")["service"]["status"])
    assert statuses == ["active", "critical", "warning", "active"]
    assert ask("/services/PSBX0002")["service"]["status"] == "active"


@pytest.mark.parametrize("how", ["disabled", "maintenance"])
def test_a_service_that_is_off_accepts_events_and_opens_nothing(ask, how):
    sandbox = ask.sandbox
    send(sandbox, "trigger", "two")
    for name in ("one", "two"):
        sandbox.disable(name) if how == "disabled" else sandbox.maintain(name)
    assert ask("/services/PSBX0001")["service"]["status"] == how
    send(sandbox, "trigger", "one")
    send(sandbox, "trigger", "two")  # what was open is updated
    assert [(incident.service, incident.trigger_count) for incident in sandbox.incidents()] == [("two", 2)]
    if how == "disabled":
        sandbox.enable("one")
    else:
        sandbox.reset()
    send(sandbox, "trigger", "one")
    assert "one" in {incident.service for incident in sandbox.open_incidents()}


def test_maintenance_windows_are_listed_by_state_and_service(ask):
    sandbox = ask.sandbox
    sandbox.maintain("one", description="upgrade")
    sandbox.maintain("one", begin=-60, seconds=30, description="over")
    sandbox.maintain("two", begin=60, description="to come")

    def found(**params: Any) -> list[str]:
        return [window["description"] for window in ask("/maintenance_windows", **params)["maintenance_windows"]]

    assert found() == found(filter="all") == ["upgrade", "over", "to come"]
    assert (found(filter="ongoing"), found(filter="past"), found(filter="future")) == (["upgrade"], ["over"], ["to come"])
    assert found(filter="open") == ["upgrade", "to come"]
    assert found(service_ids__="PSBX0001") == ["upgrade", "over"]
    window = ask("/maintenance_windows", filter="ongoing")["maintenance_windows"][0]
    assert (window["type"], window["services"][0]["id"], window["start_time"][-1]) == ("maintenance_window", "PSBX0001", "Z")
    assert "must be one of" in ask("/maintenance_windows", filter="now")["error"]["errors"][0]
    with pytest.raises(UsageError, match="no service 'three'"):
        sandbox.disable("three")


def test_the_limit_is_told_in_headers():
    with Sandbox() as sandbox:
        headers = {"Authorization": f"Token token={sandbox.rest_token}"}
        for remaining in ("959", "958"):
            told = requests.get(f"{sandbox.url}/services", headers=headers, timeout=60).headers
            assert (told["ratelimit-limit"], told["ratelimit-remaining"]) == ("960", remaining)
            assert 0 < int(told["ratelimit-reset"]) <= 60


def test_more_than_the_limit_is_429(monkeypatch):
    monkeypatch.setattr("spark_pd.sandbox.rest.RATE_LIMIT", 2)
    with Sandbox() as sandbox:
        headers = {"Authorization": f"Token token={sandbox.rest_token}"}
        answers = [requests.get(f"{sandbox.url}/abilities", headers=headers, timeout=60) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].headers["ratelimit-remaining"] == "0"
