"""Policy and state on the whole road: a real session, real HTTP, and each run in a monitor of its own, as if in another process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.end_to_end.shared import IGNORED_ON, write

ABOVE = {"rule": "below_90", "expectation": "id < 90"}
EVEN = {"rule": "even", "expectation": "id % 2 = 0"}
THERE = {"rule": "there", "expectation": "id IS NOT NULL"}
TRIGGER = "ignored_rules"


def told(run: Any) -> tuple[str, str]:
    """Status and reason of the one delivery."""
    (delivery,) = run.deliveries
    assert len(run.alerts) == 1
    return delivery.status, delivery.reason


def reason(run: Any) -> str:
    return next(d.reason for d in run.decisions if d.trigger == TRIGGER)


def states(pagerduty: Any) -> list[str]:
    return [incident.status for incident in pagerduty.incidents()]


def test_change_tells_once_and_again_what_is_worse_and_the_good_run_closes(run, pagerduty):
    config = {"spark.pd.notify.ignored_rules": "change"}
    assert told(run([ABOVE], 100, config))[0] == "sent"
    second = run([ABOVE], 100, config)
    assert told(second)[0] == "suppressed"
    assert "it is no worse (spark.pd.notify.ignored_rules is change)" in told(second)[1]
    assert reason(second).endswith(f"; not told: {told(second)[1]}")
    assert told(run([ABOVE, EVEN], 100, config))[0] == "sent"
    assert [i.trigger_count for i in pagerduty.open_incidents()] == [2]
    assert told(run([{**ABOVE, "expectation": "true"}, {**EVEN, "expectation": "true"}], 90, config))[0] == "sent"
    assert states(pagerduty) == ["resolved"]


def test_after_three_bad_runs_in_a_row_somebody_is_paged(run, pagerduty):
    config = {"spark.pd.after.ignored_rules": 3}
    assert [told(run([ABOVE], rows, config))[0] for rows in (100, 50, 100, 100)] == ["suppressed", "sent", "suppressed", "suppressed"]
    assert pagerduty.incidents() == []
    assert told(run([ABOVE], 100, config))[0] == "sent"
    assert states(pagerduty) == ["triggered"]


def test_a_run_without_the_rule_that_failed_does_not_close_its_incident_and_says_so(run, pagerduty):
    run([ABOVE, THERE], 100)
    other = run([THERE], 100)
    assert told(other) == (
        "suppressed",
        "it did not evaluate rule below_90, which had failed; a second run without it closes it",
    )
    assert reason(other).startswith("no rule with action ignore failed; not told: it did not evaluate rule below_90")
    assert len(pagerduty.open_incidents()) == 1
    second = run([THERE], 100)
    assert told(second)[0] == "sent"
    assert "rule below_90, which had failed, is not among the rules for the second time" in reason(second)
    assert states(pagerduty) == ["resolved"]


def test_a_rule_that_was_removed_from_its_file_closes_and_one_of_another_file_does_not(run, pagerduty, tmp_path):
    rules, others = tmp_path / "rules.json", tmp_path / "others.json"
    rules.write_text(json.dumps([ABOVE, THERE]))
    others.write_text(json.dumps([THERE]))
    run(rules, 100)
    assert "its rules are from" in told(run(others, 100))[1]
    rules.write_text(json.dumps([{**ABOVE, "is_active": False}, THERE]))
    closing = run(rules, 100)
    assert f"rule below_90, which had failed, is in file {rules} no more" in reason(closing)
    assert states(pagerduty) == ["resolved"]


def test_a_trigger_that_is_switched_off_closes_what_it_opened_and_sends_nothing_else(run, pagerduty):
    off = dict.fromkeys(IGNORED_ON, False)
    run([ABOVE], 100)
    closing = run([ABOVE], 100, off)
    assert told(closing)[0] == "sent"
    assert "is closed, since the trigger is switched off" in reason(closing)
    assert states(pagerduty) == ["resolved"]
    before = len(pagerduty.requests)
    again = run([ABOVE], 100, off)
    assert (again.alerts, again.deliveries, len(pagerduty.requests)) == ((), (), before)


def test_a_run_that_started_earlier_does_not_override_one_that_started_later(spark, pagerduty, install):
    monitor = install({**IGNORED_ON, "spark.pd.on.failure": False})
    with monitor.run("sales.orders", rules=[ABOVE]) as early:
        write(early.check(spark.range(50)))
        with monitor.run("sales.orders", rules=[ABOVE]) as late:
            write(late.check(spark.range(100)))
    assert told(late)[0] == "sent"
    status, why = told(early)
    assert status == "suppressed"
    assert why.startswith("a run that started later, at ")
    assert states(pagerduty) == ["triggered"]


def test_a_mutes_file_that_changes_under_a_running_monitor(spark, pagerduty, install, tmp_path):
    mutes = tmp_path / "mutes.yaml"
    mutes.write_text("- {reason: warehouse upgrade, who: platform, table: 'sales.*', until: 2999-01-01T00:00:00Z}")
    monitor = install({**IGNORED_ON, "spark.pd.on.failure": False, "spark.pd.mutes.file": mutes})
    runs = []
    for _ in range(2):
        with monitor.run("sales.orders", rules=[ABOVE]) as run:
            write(run.check(spark.range(100)))
        runs.append(told(run))
        mutes.write_text("")
    assert runs[0] == ("suppressed", "muted: warehouse upgrade (platform), until 2999-01-01 00:00 UTC (spark.pd.mutes.file)")
    assert runs[1][0] == "sent"
    assert states(pagerduty) == ["triggered"]


def test_start_and_completion_with_a_cool_down_and_change_are_told_run_by_run(spark, pagerduty, install):
    config = {"spark.pd.on.start": True, "spark.pd.on.completion": True, "spark.pd.on.failure": False, "spark.pd.cooldown": 3600}
    monitor = install({**config, "spark.pd.notify.start": "change", "spark.pd.notify.completion": "change"})
    for _ in range(2):
        with monitor.run("sales.orders", rules=[THERE]) as run:
            write(run.check(spark.range(10)))
        assert [(d.alert.trigger, d.alert.state, d.status) for d in run.deliveries] == [
            ("start", "firing", "sent"),
            ("completion", "resolved", "sent"),
            ("completion", "firing", "sent"),
            ("start", "resolved", "sent"),
        ]
    assert [i.class_ for i in pagerduty.open_incidents()] == ["completion"]


def test_nothing_is_remembered_where_pagerduty_is_not_enabled(spark, install, tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_PD_STATE_HOME", str(tmp_path / "home"))
    config = {"spark.expectations.notifications.pagerduty.enabled": False, "spark.pd.after.ignored_rules": 3, **IGNORED_ON}
    with install(config).run("sales.orders", rules=[ABOVE]) as run:
        write(run.check(spark.range(100)))
    assert {(d.alert.state, d.status) for d in run.deliveries} == {("firing", "suppressed"), ("resolved", "suppressed")}
    assert all("is not enabled" in d.reason for d in run.deliveries)
    assert not Path(tmp_path / "home").exists()
