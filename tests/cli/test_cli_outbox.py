"""`spark-pd outbox`, `ack`, `resolve` and `check-key`, against a real folder and the sandbox."""

from __future__ import annotations

import json

import pytest

from spark_pd.delivery.dispatch import Dispatcher, Limits
from spark_pd.delivery.outbox import open_outbox
from spark_pd.sandbox import Sandbox
from tests.outbox.conftest import channel_to, make_alert

INTEGRATION_KEY = "spark.expectations.notifications.pagerduty.integration.key"
WEBHOOK_URL = "spark.expectations.notifications.pagerduty.webhook.url"


@pytest.fixture
def box():
    """The outbox that commands use by default: the test's own."""
    return open_outbox(None)


def queue(box, pagerduty, *alerts, reference=None, fault="500"):
    """Alerts that a run could not send."""
    pagerduty.fault(fault)
    deliveries = []
    for alert in alerts:
        dispatcher = Dispatcher([channel_to(pagerduty.url, pagerduty.key, reference)], outbox=box)
        deliveries += dispatcher.submit([alert], seconds=0.4 if fault == "500" else 5).wait()
        dispatcher.flush(5)  # nothing is under way any more when the fault ends
    pagerduty.clear_faults()
    return deliveries


def test_an_empty_outbox_is_listed_and_not_made(cli, box):
    result = cli("outbox", "list")
    assert (result.exit_code, result.output) == (0, f"0 queued, 0 dead, 0 corrupt in {box.folder}\n")
    assert json.loads(cli("outbox", "list", "--json").output) == {"folder": str(box.folder), "entries": [], "corrupt": [], "storms": []}
    assert cli("outbox", "replay").exit_code == 0
    assert not box.folder.exists()


def test_what_waits_is_listed_and_shown_with_its_reason(cli, box, pagerduty):
    queue(box, pagerduty, make_alert("a", details={"rows": 3}))
    queue(box, pagerduty, make_alert("b"), fault="403")
    listed = json.loads(cli("outbox", "list", "--json").output)["entries"]
    assert [(each["dedup_key"], each["state"], each["alert"], each["channel"]) for each in listed] == [
        ("a", "queued", "firing", "pagerduty"),
        ("b", "dead", "firing", "pagerduty"),
    ]
    assert "500" in listed[0]["reason"]
    text = cli("outbox", "list").output
    assert "1 queued, 1 dead, 0 corrupt" in text
    assert "403 (forbidden" in text
    shown = json.loads(cli("outbox", "show", listed[0]["id"], "--json").output)
    assert (shown["details"], shown["key"], shown["endpoint"]) == ({"rows": 3}, "given literally", f"{pagerduty.url}/v2/enqueue")
    plain = cli("outbox", "show", listed[0]["id"]).output
    assert '{"rows": 3}' in plain
    assert pagerduty.key not in plain + text


def test_replay_sends_what_the_settings_have_the_key_for(cli, conf, box, pagerduty):
    dispatcher = Dispatcher([channel_to(pagerduty.url, pagerduty.key)], outbox=box)
    dispatcher.submit([make_alert("a"), make_alert("a", "resolved"), make_alert("b")], seconds=0)
    result = cli("outbox", "replay", "--json", *conf({**pagerduty.config, INTEGRATION_KEY: "f" * 32}))
    assert result.exit_code == 1
    assert {each["reason"] for each in json.loads(result.output)} == {"its key was given literally: give the same key in the settings"}
    result = cli("outbox", "replay", *conf(pagerduty.config))
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "2 sent, 1 dropped, 0 queued, 0 dead")
    assert [incident.dedup_key for incident in pagerduty.open_incidents()] == ["b"]


def test_replay_looks_the_key_up_by_the_entrys_own_reference(cli, conf, box, pagerduty, monkeypatch):
    monkeypatch.setenv("THE_KEY", pagerduty.key)
    queue(box, pagerduty, make_alert("a"), reference="THE_KEY")
    monkeypatch.setenv("THE_KEY", "f" * 32)
    result = cli("outbox", "replay", *conf({WEBHOOK_URL: pagerduty.url}))
    assert result.exit_code == 1
    assert "the integration key is not the one that it was queued for" in result.output
    monkeypatch.delenv("THE_KEY")
    assert "THE_KEY" in cli("outbox", "replay", *conf({WEBHOOK_URL: pagerduty.url})).output
    monkeypatch.setenv("THE_KEY", pagerduty.key)
    result = cli("outbox", "replay")  # the outbox alone says where: that is not enough
    assert "neither PagerDuty's own nor that of the settings" in result.output
    assert pagerduty.incidents() == []
    assert cli("outbox", "replay", *conf({WEBHOOK_URL: pagerduty.url})).exit_code == 0
    assert len(pagerduty.open_incidents()) == 1


def test_what_was_queued_without_a_known_key_is_sent_only_when_asked_for(cli, conf, box, pagerduty, monkeypatch):
    monkeypatch.delenv("THE_KEY", raising=False)
    queue(box, pagerduty, make_alert("a"), reference="THE_KEY")
    monkeypatch.setenv("THE_KEY", pagerduty.key)
    url = conf({WEBHOOK_URL: pagerduty.url})
    result = cli("outbox", "replay", *url)
    assert result.exit_code == 1
    assert "--unverified sends it to what env:THE_KEY is here" in result.output
    assert cli("outbox", "replay", "--unverified", *url).exit_code == 0
    assert len(pagerduty.open_incidents()) == 1


def test_a_dead_letter_is_sent_again_by_its_id_or_with_all_others(cli, conf, box, pagerduty):
    queue(box, pagerduty, make_alert("a"), make_alert("b"), make_alert("c"), fault="403")
    assert cli("outbox", "replay", *conf(pagerduty.config)).output == "0 sent, 0 dropped, 0 queued, 0 dead\n"
    first = box.dead()[0]
    assert cli("outbox", "replay", first.id, *conf(pagerduty.config)).exit_code == 0
    assert [incident.dedup_key for incident in pagerduty.incidents()] == ["a"]
    pagerduty.fault("403", times=1)
    result = cli("outbox", "replay", "--dead", *conf(pagerduty.config))
    assert (result.exit_code, result.output.splitlines()[-1]) == (1, "1 sent, 0 dropped, 0 queued, 1 dead")
    assert len(box.dead()) == 1


def test_after_a_failure_the_rest_is_not_tried(cli, conf, box, pagerduty):
    queue(box, pagerduty, *(make_alert(key) for key in "abc"))
    pagerduty.fault("portal")
    before = len(pagerduty.requests)
    result = cli("outbox", "replay", *conf(pagerduty.config))
    assert result.exit_code == 1
    assert result.output.count("not tried, since another failed") == 2
    assert len(pagerduty.requests) == before + 1


def test_alerts_can_be_dropped(cli, box, pagerduty):
    queue(box, pagerduty, make_alert("a"), make_alert("b"))
    queue(box, pagerduty, make_alert("c"), fault="403")
    (box.folder / "queue" / box.names()[0]).write_bytes(b"{")
    assert "1 queued, 1 dead, 1 corrupt" in cli("outbox", "list").output
    (entry,) = box.waiting()
    assert json.loads(cli("outbox", "drop", entry.id, "--json").output) == {"dropped": [entry.id]}
    assert cli("outbox", "drop", entry.id).exit_code == 2
    assert cli("outbox", "drop", "--dead", "--corrupt").output == "dropped 1 alerts and 1 corrupt files\n"
    assert "0 queued, 0 dead, 0 corrupt" in cli("outbox", "list").output
    assert pagerduty.incidents() == []


def test_a_storms_members_are_listed_and_can_be_dropped(cli, conf, box, pagerduty):
    dispatcher = Dispatcher([channel_to(pagerduty.url, pagerduty.key)], outbox=box, limits=Limits(storm=2))
    dispatcher.submit([make_alert(key, trigger="ignored_rules", severity="warning") for key in "abcd"], seconds=60).wait()
    dispatcher.flush(5)
    (storm,) = json.loads(cli("outbox", "list", "--json").output)["storms"]
    assert storm["members"] == ["c", "d"]
    assert f"part of the storm incident {storm['dedup_key']}: c" in cli("outbox", "list").output
    wrong = cli("outbox", "drop", "--member", "c", "--member", "x")
    assert (wrong.exit_code, "no storm has a member x" in wrong.output) == (2, True)
    assert "dropped 2 alerts" in cli("outbox", "drop", "--member", "c", "--member", "d").output
    assert cli("outbox", "replay", *conf(pagerduty.config)).exit_code == 0
    assert [incident.dedup_key for incident in pagerduty.open_incidents()] == ["a", "b"]
    assert json.loads(cli("outbox", "list", "--json").output)["storms"] == []


def test_resolving_by_hand_takes_a_member_out_of_its_storm(cli, conf, box, pagerduty):
    limits = Limits(storm=1, environment="dev")
    dispatcher = Dispatcher([channel_to(pagerduty.url, pagerduty.key)], outbox=box, limits=limits)
    dispatcher.submit([make_alert(key, trigger="ignored_rules", severity="warning") for key in "ab"], seconds=60).wait()
    dispatcher.flush(5)
    assert len(pagerduty.open_incidents()) == 2
    assert cli("resolve", "b", "--conf", "spark.pd.environment=dev", *conf(pagerduty.config)).exit_code == 0
    assert [incident.dedup_key for incident in pagerduty.open_incidents()] == ["a"]


def test_replay_makes_a_storm_of_too_many(cli, conf, box, pagerduty):
    dispatcher = Dispatcher([channel_to(pagerduty.url, pagerduty.key)], outbox=box)
    dispatcher.submit([make_alert(f"{n}", trigger="ignored_rules", severity="warning") for n in range(6)], seconds=0).wait()
    result = cli("outbox", "replay", "--conf", "spark.pd.storm.limit=2", "--conf", "spark.pd.environment=dev", *conf(pagerduty.config))
    assert result.exit_code == 0
    assert "6 sent, 0 dropped, 0 queued, 0 dead" in result.output
    assert result.output.count("part of the storm incident spark_pd/dev/-/outbox") == 4
    assert len(pagerduty.open_incidents()) == 3


def test_replay_keeps_to_the_rate_and_says_what_still_waits(cli, conf, box, pagerduty):
    dispatcher = Dispatcher([channel_to(pagerduty.url, pagerduty.key)], outbox=box)
    dispatcher.submit([make_alert(f"{n}") for n in range(4)], seconds=0).wait()
    result = cli("outbox", "replay", "--seconds", "2", "--conf", "spark.pd.rate=1", *conf(pagerduty.config))
    assert (result.exit_code, len(pagerduty.open_incidents())) == (1, 1)
    assert "1 sent, 0 dropped, 3 queued, 0 dead" in result.output
    assert "spark.pd.rate" in result.output


def test_the_outboxs_path_is_a_setting(cli, conf, box, pagerduty, tmp_path):
    elsewhere = open_outbox(str(tmp_path / "elsewhere"))
    queue(elsewhere, pagerduty, make_alert("a"))
    assert "0 queued" in cli("outbox", "list").output
    assert "1 queued" in cli("outbox", "list", *conf({"spark.pd.outbox.path": tmp_path / "elsewhere"})).output


def test_an_incident_is_acknowledged_and_resolved_by_hand(cli, conf, pagerduty):
    Dispatcher([channel_to(pagerduty.url, pagerduty.key)]).submit([make_alert("a/b")], seconds=60).wait()
    assert cli("ack", "a/b", *conf(pagerduty.config)).exit_code == 0
    assert pagerduty.incidents()[0].status == "acknowledged"
    assert cli("resolve", "a/b", *conf(pagerduty.config)).exit_code == 0
    assert pagerduty.incidents()[0].status == "resolved"
    pagerduty.fault("403")
    for command in ("ack", "resolve"):
        result = cli(command, "a/b", *conf(pagerduty.config))
        assert result.exit_code == 1
        assert "403" in result.output


def test_resolving_by_hand_drops_what_would_open_the_incident_again(cli, conf, box, pagerduty):
    queue(box, pagerduty, make_alert("a"))
    assert cli("resolve", "a", *conf(pagerduty.config)).exit_code == 0
    assert box.names() == ()
    assert pagerduty.incidents() == []


def test_a_key_is_checked_without_paging_anybody(cli, conf, pagerduty):
    result = cli("check-key", *conf({**pagerduty.config, "spark.expectations.notifications.pagerduty.enabled": "false"}))
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "The key works.")
    assert [event["event_action"] for event in pagerduty.events] == ["resolve"]
    assert pagerduty.incidents() == []
    wrong = "f" * 32
    result = cli("check-key", *conf({**pagerduty.config, INTEGRATION_KEY: wrong}))
    assert result.exit_code == 1
    assert "Invalid routing key" in result.output
    assert wrong not in result.output
    result = cli("check-key", *conf({**pagerduty.config, INTEGRATION_KEY: "env:NO_SUCH_VARIABLE"}))
    assert (result.exit_code, "NO_SUCH_VARIABLE" in result.output) == (1, True)


def test_another_accounts_alert_stays_when_the_sandbox_is_another(cli, conf, box, pagerduty):
    with Sandbox() as other:
        queue(box, other, make_alert("theirs"))
    result = cli("outbox", "replay", *conf(pagerduty.config))
    assert result.exit_code == 1
    assert pagerduty.events == []
