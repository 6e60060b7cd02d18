"""What becomes of events: incidents open, are updated and close."""

from __future__ import annotations

import threading

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_pd.sandbox import Sandbox
from spark_pd.sandbox.incidents import Account


def test_a_trigger_opens_an_incident_with_all_that_it_says(sandbox, event, post):
    post(
        event(
            payload={
                "component": "sales.orders",
                "group": "sales",
                "class": "error_drop_threshold",
                "timestamp": "2026-11-20T01:02:03Z",
                "custom_details": {"dropped": 33},
            },
            client="spark_pd",
            client_url="https://example.com/job",
            links=[{"href": "https://example.com/run", "text": "run"}],
            images=[{"src": "https://example.com/x.png"}],
        )
    )
    (incident,) = sandbox.open_incidents()
    assert incident.status == "triggered"
    assert incident.severity == "error"
    assert incident.summary == "9.9% of sales.orders dropped"
    assert incident.dedup_key == "orders"
    assert incident.details == {"dropped": 33}
    assert incident.trigger_count == 1
    assert (incident.source, incident.component, incident.group, incident.class_) == (
        "nightly",
        "sales.orders",
        "sales",
        "error_drop_threshold",
    )
    assert (incident.client, incident.client_url) == ("spark_pd", "https://example.com/job")
    assert incident.links == ({"href": "https://example.com/run", "text": "run"},)
    assert incident.images == ({"src": "https://example.com/x.png"},)
    assert incident.timestamp == "2026-11-20T01:02:03Z"
    assert incident.number == 1
    assert incident.created_at.tzinfo is not None
    assert incident.resolved_at is None


def test_a_second_trigger_updates_the_open_incident(sandbox, event, post):
    post(event(payload={"custom_details": {"dropped": 1}}))
    post(event(payload={"summary": "worse", "severity": "critical", "custom_details": {"dropped": 2}}))
    (incident,) = sandbox.incidents()
    assert (incident.trigger_count, incident.summary, incident.severity, incident.details) == (2, "worse", "critical", {"dropped": 2})


def test_after_its_resolve_a_trigger_opens_a_new_incident(sandbox, event, post):
    for action in ("trigger", "resolve", "trigger"):
        assert post(event(action)).status_code == 202
    assert [(incident.number, incident.status) for incident in sandbox.incidents()] == [(1, "resolved"), (2, "triggered")]
    assert [incident.number for incident in sandbox.open_incidents()] == [2]
    assert sandbox.incidents()[0].resolved_at is not None


def test_a_trigger_leaves_an_acknowledged_incident_acknowledged(sandbox, event, post):
    for action in ("trigger", "acknowledge", "trigger"):
        post(event(action))
    (incident,) = sandbox.open_incidents()
    assert (incident.status, incident.trigger_count) == ("acknowledged", 2)


@pytest.mark.parametrize("action", ["acknowledge", "resolve"])
def test_what_finds_no_open_incident_is_accepted_and_dropped(sandbox, event, post, action):
    assert post(event(action)).json() == {"status": "success", "message": "Event processed", "dedup_key": "orders"}
    assert sandbox.incidents() == []
    assert len(sandbox.events) == 1


def test_a_resolved_incident_is_not_acknowledged(sandbox, event, post):
    for action in ("trigger", "resolve", "acknowledge"):
        post(event(action))
    assert [incident.status for incident in sandbox.incidents()] == ["resolved"]


def test_the_same_dedup_key_on_two_services_is_two_incidents(event):
    with Sandbox(services=["sales", "stock"]) as sandbox:
        for key in (sandbox.keys["sales"], sandbox.keys["stock"], sandbox.keys["stock"]):
            sent = {**event(), "routing_key": key}
            assert requests.post(f"{sandbox.url}/v2/enqueue", json=sent, timeout=60).status_code == 202
        assert [(incident.service, incident.trigger_count) for incident in sandbox.incidents()] == [("sales", 1), ("stock", 2)]
        assert sandbox.key == sandbox.keys["sales"]


def test_what_a_caller_does_to_an_event_changes_nothing_inside(sandbox, event, post):
    post(event(payload={"custom_details": {"rules": [1]}}))
    sandbox.events[0]["payload"]["summary"] = "changed"
    sandbox.incidents()[0].details["rules"].append(2)
    assert sandbox.events[0]["payload"]["summary"] == "9.9% of sales.orders dropped"
    assert sandbox.incidents()[0].details == {"rules": [1]}


def test_triggers_from_many_threads_are_one_incident_and_none_is_lost(sandbox, event, post):
    def send() -> None:
        for _ in range(20):
            assert post(event()).status_code == 202

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (incident,) = sandbox.incidents()
    assert incident.trigger_count == 160
    assert len(sandbox.events) == 160
    assert [request.number for request in sandbox.requests] == list(range(1, 161))


KEY = "a" * 32


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["trigger", "acknowledge", "resolve"]), st.sampled_from("ab")), max_size=40))
def test_any_sequence_ends_as_a_plain_reading_of_the_rules_says(steps):
    account = Account({"service": KEY})
    expected: list[list] = []  # dedup key, status, count
    for action, key in steps:
        payload = {"summary": "s", "source": "s", "severity": "info"}
        account.accept({"routing_key": KEY, "event_action": action, "dedup_key": key, "payload": payload})
        ours = [row for row in expected if row[0] == key and row[1] != "resolved"]
        if action == "trigger" and not ours:
            expected.append([key, "triggered", 1])
        elif action == "trigger":
            ours[0][2] += 1
        elif ours:
            ours[0][1] = {"acknowledge": "acknowledged", "resolve": "resolved"}[action]
    assert [[i.dedup_key, i.status, i.trigger_count] for i in account.incidents()] == expected
