"""`spark-pd channels`, `routes`, `services` and `page`, as somebody types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spark_pd.cli import main
from spark_pd.sandbox import Sandbox

FILE = """\
# The team's file: comments stay.
spark.expectations.notifications.pagerduty.enabled: true
spark.expectations.notifications.pagerduty.webhook.url: "{url}/v2/enqueue"   # the sandbox
spark.pd.rest.url: "{url}"
spark.pd.rest.token: env:PD_REST
spark.pd.outbox.path: {outbox}
channels:
  oncall: {{integration_key: env:PD_ONCALL}}   # wakes people
  low: {{integration_key: env:PD_LOW, severity: warning}}
routes:
  - {{match: {{owner: orders}}, channels: [oncall, low]}}
owners:
  orders: {{channels: [oncall], runbook: "https://runbooks.example/orders"}}
tables:
  "sales.orders*": {{owner: orders}}
"""


@pytest.fixture
def file(keys: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PD_REST", keys.rest_token)
    path = tmp_path / "pagerduty.yaml"
    path.write_text(FILE.format(url=keys.url, outbox=tmp_path / "outbox"), encoding="utf-8")
    return path


def run(file: Path, *arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [*arguments, "--config-file", str(file)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_channels_are_added_tested_and_removed_and_the_file_s_comments_stay(file, keys):
    before = file.read_text()
    run(file, "channels", "add", "oncall_low", "--key", "env:PD_ONCALL", "--severity", "info")
    assert "oncall_low" in run(file, "channels", "list").output
    assert "env:PD_ONCALL" in run(file, "channels", "show", "oncall_low").output
    tested = run(file, "channels", "test", "oncall_low", "--severity", "critical")
    assert "Opened and resolved" in tested.output
    assert [(i.service, i.severity, i.status) for i in keys.incidents()] == [("oncall", "info", "resolved")]
    run(file, "channels", "remove", "oncall_low")
    after = file.read_text()
    assert "# wakes people" in after
    assert "# The team's file: comments stay." in after
    assert [line.split("#")[0].split() for line in after.splitlines()] == [line.split("#")[0].split() for line in before.splitlines()]


def test_a_channel_that_routes_name_is_not_removed(file):
    before = file.read_text()
    assert "names no channel" in run(file, "channels", "remove", "low", code=2).output
    assert file.read_text() == before


def test_every_service_becomes_a_channel(file):
    run(file, "channels", "add", "--all-services")
    listed = json.loads(run(file, "channels", "list", "--json").stdout)
    assert {row["name"]: row["to"] for row in listed}["orders_pipeline"] == "service Orders pipeline"
    assert "already" in run(file, "channels", "add", "--all-services").output


def test_a_channel_by_its_service_is_tested(file, keys):
    run(file, "channels", "add", "pipeline", "--service", "Orders pipeline")
    run(file, "channels", "test", "pipeline")
    assert keys.incidents()[-1].service == "Orders pipeline"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("channels", "add", "oncall", "--key", "env:X"), "already"),
        (("channels", "add", "new"), "either --key or --service"),
        (("channels", "test", "nobody"), "there is no channel 'nobody'; there is oncall, low"),
        (("channels", "remove", "nobody"), "there is no channel 'nobody'"),
        (("page",), "name one owner"),
    ],
)
def test_wrong_use_says_what_to_do(file, arguments, said):
    assert said in run(file, *arguments, code=2).output


def test_routes_says_where_an_alert_goes_and_why(file):
    said = run(file, "routes", "sales.orders_eu", "--trigger", "failure").output
    assert "route 1 matches: owner orders -> oncall, low" in said
    assert "owner: orders" in said
    found = json.loads(run(file, "routes", "other.table", "--json").stdout)
    assert (found["channels"], found["owner"]) == (["oncall", "low"], None)
    assert found["reasons"] == ["no route matches"]


def test_services_are_listed_and_searched_without_a_key(file, keys):
    said = run(file, "services").output
    assert all(name in said for name in keys.keys)
    assert not any(key in said for key in keys.keys.values())
    assert [row["name"] for row in json.loads(run(file, "services", "orders", "--json").stdout)] == ["Orders pipeline"]
    assert "on call: On call of low" in run(file, "services", "low", "--oncall").output
    assert "no service has 'nothing'" in run(file, "services", "nothing", code=1).output


def test_page_reaches_the_owners_and_says_which_it_does_not_know(file, keys):
    said = run(file, "page", "orders", "order", "--message", "the load is late", "--from", "night shift", code=1).output
    assert "there is no owner 'order': did you mean orders?" in said
    (incident,) = keys.open_incidents()
    assert (incident.service, incident.summary) == ("oncall", "the load is late (from night shift)")
    assert incident.details["runbook"] == "https://runbooks.example/orders"
    run(file, "page", "orders", "--message", "the load is late", "--from", "night shift")
    assert [(i.summary, i.trigger_count) for i in keys.open_incidents()] == [("the load is late (from night shift)", 2)]


def test_spinnaker_s_stage_is_taken_as_it_is_written(file, keys, tmp_path):
    stage = tmp_path / "stage.json"
    stage.write_text(
        json.dumps(
            {
                "applications": ["orders"],
                "details": {"from": "Overnight Monitoring Team"},
                "message": "[DEMO] Application ABC has completed",
                "name": "Trigger pager duty",
                "type": "pageApplicationOwner",
            }
        )
    )
    run(file, "page", "--stage", str(stage))
    (incident,) = keys.open_incidents()
    assert incident.summary == "[DEMO] Application ABC has completed (from Overnight Monitoring Team)"
    assert incident.details["from"] == "Overnight Monitoring Team"


def test_ack_and_resolve_reach_every_channel(file, keys):
    run(file, "page", "orders", "--message", "x")
    (incident,) = keys.open_incidents()
    assert "acknowledge on oncall" in run(file, "ack", incident.dedup_key).output
    run(file, "resolve", incident.dedup_key)
    assert keys.open_incidents() == []
