"""One alert to several channels: three fates, each resolved where it fired, whatever became of routes and channels meanwhile."""

from __future__ import annotations

import time
from typing import Any

import pytest

from spark_pd.sandbox import Sandbox
from tests.policy.shared import verdict

TWO = {
    "channels": {"oncall": {"integration_key": "env:PD_ONCALL"}, "low": {"integration_key": "env:PD_LOW", "severity": "warning"}},
    "routes": [{"match": {"trigger": "failure"}, "channels": ["oncall", "low"]}, {"channels": ["low"]}],
}


def fate(delivering: Any, *verdicts: Any, seconds: float = 30) -> list[tuple[str, str]]:
    return sorted((d.channel, d.status) for d in delivering.notifier.submit(verdicts, seconds=seconds).wait())


def open_at(account: Sandbox) -> dict[str, str]:
    return {incident.service: incident.severity for incident in account.open_incidents()}


def test_an_alert_goes_to_each_of_its_channels_with_that_channel_s_severity_and_closes_in_each(delivering, keys):
    parts = delivering(TWO)
    assert fate(parts, verdict("firing", severity="critical")) == [("low", "sent"), ("oncall", "sent")]
    assert open_at(keys) == {"oncall": "critical", "low": "warning"}
    assert len({incident.dedup_key for incident in keys.open_incidents()}) == 1
    assert fate(parts, verdict("good", 5)) == [("low", "sent"), ("oncall", "sent")]
    assert open_at(keys) == {}


def test_routes_decide_by_trigger(delivering, keys):
    assert fate(delivering(TWO), verdict("firing", trigger="ignored_rules")) == [("low", "sent")]
    assert open_at(keys) == {"low": "warning"}


def test_a_resolve_goes_where_the_firing_went_after_the_routes_changed(delivering, keys):
    fate(delivering(TWO), verdict("firing"))
    other = delivering({**TWO, "routes": [{"channels": ["low"]}]})
    assert fate(other, verdict("good", 5)) == [("low", "sent"), ("oncall", "sent")]
    assert open_at(keys) == {}


def test_a_resolve_goes_where_the_firing_went_after_the_channel_went_away(delivering, keys):
    fate(delivering(TWO), verdict("firing"))
    without = delivering({"channels": {"low": TWO["channels"]["low"]}})
    assert fate(without, verdict("good", 5)) == [("low", "sent"), ("oncall", "sent")]
    assert open_at(keys) == {}


def test_a_channel_that_went_away_with_its_literal_key_says_what_to_do(delivering, keys):
    literal = {"channels": {"oncall": {"integration_key": keys.keys["oncall"]}, "low": TWO["channels"]["low"]}, "routes": TWO["routes"]}
    fate(delivering(literal), verdict("firing"))
    notification = delivering({"channels": {"low": TWO["channels"]["low"]}}).notifier.submit([verdict("good", 5)], seconds=30)
    found = {d.channel: d for d in notification.wait()}
    assert found["low"].status == "sent"
    assert found["oncall"].status == "failed"
    assert "spark-pd resolve spark_pd/prod/sales/sales.orders/failure" in found["oncall"].reason
    assert keys.keys["oncall"] not in found["oncall"].reason


def test_a_service_by_its_name_is_sent_to_by_its_first_key(delivering, keys):
    config = {"spark.pd.rest.token": keys.rest_token, "spark.pd.rest.url": keys.url}
    parts = delivering({"channels": {"pipeline": {"service": "Orders pipeline"}}}, **config)
    assert fate(parts, verdict("firing")) == [("pipeline", "sent")]
    assert open_at(keys) == {"Orders pipeline": "error"}


@pytest.mark.parametrize(("service", "said"), [("Orders", "no service 'Orders'"), ("low", "disabled")])
def test_a_service_that_is_missing_or_disabled_is_a_clear_word_at_delivery(delivering, keys, service, said):
    keys.disable("low")
    config = {"spark.pd.rest.token": keys.rest_token, "spark.pd.rest.url": keys.url}
    parts = delivering({"channels": {"pipeline": {"service": service}}}, **config)
    (delivery,) = parts.notifier.submit([verdict("firing")], seconds=5).wait()
    assert delivery.status == "queued"
    assert said in delivery.reason


def test_an_environment_s_channel_takes_that_environment_only(delivering, keys):
    sections = {
        "channels": {
            "prod": {"integration_key": "env:PD_ONCALL", "environment": "prod"},
            "dev": {"integration_key": "env:PD_LOW", "environment": "dev"},
        }
    }
    assert fate(delivering(sections, **{"spark.pd.environment": "prod"}), verdict("firing")) == [("prod", "sent")]
    assert open_at(keys) == {"oncall": "error"}


def test_where_nobody_takes_it_that_is_said(delivering, keys):
    sections = {"channels": {"dev": {"integration_key": "env:PD_LOW", "environment": "dev"}}}
    (delivery,) = delivering(sections, **{"spark.pd.environment": "prod"}).notifier.submit([verdict("firing")], seconds=5).wait()
    assert (delivery.status, open_at(keys)) == ("suppressed", {})
    assert "no channel takes this alert" in delivery.reason


def test_with_a_main_key_what_no_route_matches_goes_there(delivering, keys):
    parts = delivering({**TWO, "routes": TWO["routes"][:1]}, main=True)
    assert fate(parts, verdict("firing", trigger="ignored_rules")) == [("pagerduty", "sent")]
    assert open_at(keys) == {"main": "error"}


def test_not_enabled_every_channel_is_reported_and_nothing_is_sent(delivering, keys):
    parts = delivering(TWO, **{"spark.expectations.notifications.pagerduty.enabled": False})
    assert fate(parts, verdict("firing")) == [("low", "suppressed"), ("oncall", "suppressed")]
    assert keys.events == []


def test_ten_channels_of_which_five_are_in_trouble_the_others_are_sent_and_nothing_waits_longer_than_the_deadline(
    delivering, keys, monkeypatch, tmp_path
):
    """One hangs, one answers 400, one 429, one has no key, one meets a certificate that nobody vouches for."""
    sections: dict[str, Any] = {"channels": {}}
    good = [Sandbox() for _ in range(5)]
    hangs, refuses, throttles = Sandbox(), Sandbox(), Sandbox()
    tls = Sandbox(tls=True)
    every = [*good, hangs, refuses, throttles, tls]
    try:
        for number, sandbox in enumerate(every):
            sandbox.start()
            sections["channels"][f"c{number}"] = {"integration_key": f"env:KEY_{number}", "url": f"{sandbox.url}/v2/enqueue"}
            monkeypatch.setenv(f"KEY_{number}", sandbox.key)
        sections["channels"]["keyless"] = {"integration_key": "env:NOT_SET_ANYWHERE"}
        hangs.fault("hang")
        refuses.fault(400)
        throttles.fault(429)
        parts = delivering(sections)
        began = time.monotonic()
        found = dict(fate(parts, verdict("firing"), seconds=8))
        waited = time.monotonic() - began
        assert [found[f"c{number}"] for number in range(5)] == ["sent"] * 5
        assert found["c5"] == "queued"
        assert found["c6"] == "dead"
        assert found["c7"] == "queued"
        assert found["c8"] == "queued"
        assert found["keyless"] == "queued"
        assert [len(sandbox.events) for sandbox in good] == [1] * 5
        assert waited < 8 + 20  # one deadline, not ten; the margin is for a busy machine
    finally:
        for sandbox in every:
            sandbox.stop()
