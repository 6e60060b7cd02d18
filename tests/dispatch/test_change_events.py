"""spark.pd.lifecycle.as=change: start and completion are told as change events, by way of outbox and retries, and open nothing."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from spark_pd.alerting.alerts import alerts_at_end, alerts_at_start
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.triggers import TRIGGERS, decide
from spark_pd.delivery.dispatch import Dispatcher
from spark_pd.delivery.dispatch.dispatcher import NOTHING_TO_RESOLVE, in_order
from spark_pd.delivery.dispatch.submission import Task
from spark_pd.delivery.outbox import Outbox, replay
from spark_pd.model import ANNOUNCEMENTS, Alert, Subject
from spark_pd.runs.channels import channel_of
from spark_pd.sandbox import Sandbox
from spark_pd.settings import load_settings

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
POLICY = TriggerSettings(
    on=dict.fromkeys(TRIGGERS, True), severity=dict.fromkeys(TRIGGERS, "info"), error_drop_threshold=10.0, changes=ANNOUNCEMENTS
)


def a_run(at: datetime = NOW) -> tuple[Alert, ...]:
    """What a good run tells from its start to its end."""
    facts = RunFacts(
        subject=Subject(environment="prod", product_id="sales", table="sales.orders"), run_id="r", status="passed", stats=None,
        unknown=None, failure=None, started_at=at, ended_at=at, application="nightly",
    )  # fmt: skip
    return (*alerts_at_start(facts, POLICY), *alerts_at_end(facts, POLICY, decide(facts, POLICY)))


@pytest.fixture
def box(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox")


def dispatcher_to(sandbox: Sandbox, box: Outbox | None = None, **config: Any) -> Dispatcher:
    return Dispatcher([channel_of(load_settings({**sandbox.config, **config}))], outbox=box)


def test_only_the_lifecycle_is_told_as_changes() -> None:
    told = {(alert.trigger, alert.state, alert.change) for alert in a_run()}
    assert told == {
        ("start", "firing", True),
        ("start", "resolved", True),
        ("completion", "firing", True),
        ("completion", "resolved", True),
        ("failure", "resolved", False),
    }


def test_a_run_leaves_two_changes_and_no_incident(pagerduty: Sandbox, box: Outbox, openapi_validator: Any) -> None:
    deliveries = dispatcher_to(pagerduty, box).submit(a_run(), seconds=60).wait()
    became = {(each.alert.trigger, each.alert.state): (each.status, each.reason) for each in deliveries}
    assert became["start", "firing"] == became["completion", "firing"] == ("sent", "accepted")
    assert became["start", "resolved"] == became["completion", "resolved"] == ("suppressed", NOTHING_TO_RESOLVE)
    assert became["failure", "resolved"] == ("sent", "accepted")
    assert pagerduty.incidents() == []
    assert [event["event_action"] for event in pagerduty.events] == ["resolve"]
    assert [change["payload"]["summary"] for change in pagerduty.changes] == [
        "[prod] sales.orders run started",
        "[prod] sales.orders run completed",
    ]
    for change in pagerduty.changes:
        openapi_validator("/change/enqueue").validate(change)
        assert set(change) <= {"routing_key", "payload", "links"}
        assert set(change["payload"]) == {"summary", "source", "timestamp", "custom_details"}
    assert box.names() == ()


def test_a_change_waits_in_the_outbox_and_no_other_takes_its_place(pagerduty: Sandbox, box: Outbox) -> None:
    pagerduty.fault("500", on=["change", "enqueue"])
    for hour in range(3):
        statuses = {each.status for each in dispatcher_to(pagerduty, box).submit(a_run(NOW + timedelta(hours=hour)), seconds=0.5).wait()}
        assert statuses == {"queued", "suppressed"}
    waiting = box.waiting()
    assert [entry.alert.change for entry in waiting].count(True) == 6
    assert [entry.alert.change for entry in waiting].count(False) == 1  # of the resolves of one incident the newest is enough
    pagerduty.clear_faults()
    channel = channel_of(load_settings(pagerduty.config))
    outcomes = list(replay(box, lambda entry: channel, until=time.monotonic() + 60))
    assert {outcome.status for outcome in outcomes} == {"sent"}
    assert len(pagerduty.changes) == 6
    assert pagerduty.incidents() == []


@pytest.mark.parametrize(("kind", "status"), [("403", "dead"), ("redirect", "queued"), ("portal", "queued")])
def test_a_change_is_judged_as_other_alerts_are(pagerduty: Sandbox, box: Outbox, kind: str, status: str) -> None:
    pagerduty.fault(kind, on="change")
    (first, *_) = dispatcher_to(pagerduty, box).submit(a_run()[:1], seconds=5).wait()
    assert (first.alert.change, first.status) == (True, status)


def test_a_change_is_tried_again_and_made_smaller(pagerduty: Sandbox) -> None:
    pagerduty.fault("429", times=1, on="change")
    pagerduty.fault("413", times=1, on="change")
    (delivery,) = dispatcher_to(pagerduty).submit(a_run()[:1], seconds=60).wait()
    assert (delivery.status, delivery.attempts) == ("sent", 3)


def test_a_rule_set_s_key_takes_no_changes_and_pagerduty_says_so(box: Outbox) -> None:
    with Sandbox(key="R" + "0" * 31) as sandbox:
        (delivery,) = dispatcher_to(sandbox, box).submit(a_run()[:1], seconds=5).wait()
    assert delivery.status == "dead"
    assert "rule set" in delivery.reason


def test_changes_go_behind_what_opens_an_incident() -> None:
    alert = a_run()[0]
    failure = Alert(**{**{name: getattr(alert, name) for name in alert.__slots__}, "trigger": "failure", "dedup_key": "f", "change": False})
    tasks = [Task(each, None, deadline=0, seconds=0) for each in (alert, failure)]
    assert [task.alert.trigger for task in in_order(tasks)] == ["failure", "start"]


def test_an_entry_remembers_that_it_is_a_change(pagerduty: Sandbox, box: Outbox) -> None:
    dispatcher_to(pagerduty, box).submit(a_run()[:1], seconds=0).wait()
    (entry,) = box.waiting()
    assert entry.alert.change
    assert json.loads(next(box.folder.glob("queue/*.json")).read_bytes())["entry"]["alert"]["change"] is True
