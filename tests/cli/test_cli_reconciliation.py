"""`spark-pd check-key` and `spark-pd test` with a REST token: is anybody told?"""

from __future__ import annotations

import pytest

from spark_pd.sandbox import Sandbox


def settings(pagerduty: Sandbox, **more: object) -> dict[str, object]:
    return {**pagerduty.config, "spark.pd.rest.token": pagerduty.rest_token, "spark.pd.rest.url": pagerduty.url, **more}


@pytest.mark.parametrize(
    ("how", "code", "says"),
    [
        (None, 0, "The key belongs to the service 'spark_pd sandbox', which is active"),
        ("disable", 1, "PagerDuty's service 'spark_pd sandbox' is disabled, so nobody is told of it"),
        ("maintain", 1, "PagerDuty's service 'spark_pd sandbox' is in maintenance until 20"),
    ],
)
def test_check_key_tells_of_the_service(pagerduty, cli, conf, how, code, says):
    if how:
        getattr(pagerduty, how)()
    result = cli("check-key", *conf(settings(pagerduty)))
    assert says in result.output
    assert "The key works." in result.output
    assert result.exit_code == code
    assert pagerduty.rest_token not in result.output


def test_check_key_with_a_token_that_is_refused(pagerduty, cli, conf):
    result = cli("check-key", *conf(settings(pagerduty, **{"spark.pd.rest.token": "x" * 20})))
    assert "it refused the REST token (401)" in result.output
    assert result.exit_code == 1
    assert "x" * 20 not in result.output


@pytest.mark.parametrize(
    ("how", "code", "says"),
    [(None, 0, "PagerDuty has the incident"), ("disable", 1, "It was accepted, but PagerDuty's service 'spark_pd sandbox' is disabled")],
)
def test_test_looks_for_its_incident_and_resolves_it_in_any_case(pagerduty, cli, conf, how, code, says):
    if how:
        getattr(pagerduty, how)()
    result = cli("test", *conf(settings(pagerduty)))
    assert says in result.output
    assert result.exit_code == code
    assert [event["event_action"] for event in pagerduty.events] == ["trigger", "resolve"]


def test_without_a_token_nobody_is_asked(pagerduty, cli, conf):
    pagerduty.disable()
    assert cli("check-key", *conf(pagerduty.config)).exit_code == 0
    assert [request.method for request in pagerduty.requests] == ["POST"]


def test_replay_sends_to_allowed_hosts_only(pagerduty, cli, conf, monkeypatch, tmp_path):
    """An alert that was queued for PagerDuty's US region stays, where only the EU's is allowed."""
    from spark_pd.delivery.outbox import Outbox
    from spark_pd.model import Address
    from tests.outbox.conftest import make_alert

    monkeypatch.setenv("SOME_KEY", "0" * 32)
    box = Outbox(tmp_path)
    fingerprint = "f" * 64
    box.keep([(make_alert("a"), Address(channel="pagerduty", endpoint="https://events.pagerduty.com/v2/enqueue", reference="env:SOME_KEY",
                                        fingerprint=fingerprint))])  # fmt: skip
    options = {"spark.pd.outbox.path": tmp_path, "spark.pd.region": "eu", "spark.pd.allowed_hosts": "events.eu.pagerduty.com"}
    result = cli("outbox", "replay", *conf(options))
    assert "which is not in spark.pd.allowed_hosts" in result.output
    assert result.exit_code == 1
