"""Thresholds, priorities and incidents of single rules on the whole road: a real session and real HTTP, a monitor for each run."""

from __future__ import annotations

import json
from typing import Any

from tests.end_to_end.shared import IGNORED_ON, THRESHOLD_ON

OWN = {"rule": "below_90", "expectation": "id < 90", "incident": "rule", "priority": "high"}
OTHER = {"rule": "even", "expectation": "id % 2 = 0", "priority": "low"}
THERE = {"rule": "there", "expectation": "id IS NOT NULL"}
SEVERITIES = {"spark.pd.severity.priority.high": "critical", "spark.pd.severity.priority.low": "info"}


def opened(pagerduty: Any) -> dict[str, str]:
    return {i.dedup_key.rpartition("sales.orders/")[2]: i.severity for i in pagerduty.open_incidents()}


def test_a_rule_of_its_own_opens_and_closes_beside_the_table_s_incident(run, pagerduty):
    run([OWN, OTHER], 100, SEVERITIES)
    assert opened(pagerduty) == {"ignored_rules": "info", "ignored_rules/rule=below_90": "critical"}
    run([OWN, OTHER], 50, SEVERITIES)
    assert opened(pagerduty) == {"ignored_rules": "info"}
    run([OWN, OTHER], 1, SEVERITIES)
    assert opened(pagerduty) == {}


def test_a_rule_s_own_threshold_warns_then_pages_in_one_incident_and_closes(run, pagerduty):
    rule = {**OWN, "action_if_failed": "drop", "enable_error_drop_alert": True, "error_drop_threshold": 50, "warning_threshold": 10}
    config = {**THRESHOLD_ON, "spark.pd.notify.error_drop_threshold": "change"}
    severities = []
    for rows in (100, 100, 200, 91):
        run([rule], rows, config)
        severities.append(opened(pagerduty).get("error_drop_threshold/rule=below_90"))
    assert severities == ["warning", "warning", "error", None]
    (incident,) = pagerduty.incidents()
    assert incident.trigger_count == 2, "the warning once, the alarm once"


def test_a_removed_rule_s_own_incident_closes_with_the_file_it_was_in(run, pagerduty, tmp_path):
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps([OWN, THERE]))
    run(rules, 100)
    assert set(opened(pagerduty)) == {"ignored_rules/rule=below_90"}
    other = tmp_path / "other.json"
    other.write_text(json.dumps([THERE]))
    run(other, 100)
    assert set(opened(pagerduty)) == {"ignored_rules/rule=below_90"}, "another file may be another job"
    rules.write_text(json.dumps([THERE]))
    closing = run(rules, 100)
    assert opened(pagerduty) == {}
    (alert,) = (a for a in closing.alerts if a.rule)
    assert (alert.rule, alert.state) == ("below_90", "resolved")
    assert not [a for a in run(rules, 100).alerts if a.rule], "it is remembered that it is closed"


def test_a_rule_that_joins_the_table_s_incident_leaves_none_of_its_own_behind(run, pagerduty):
    run([OWN, THERE], 100)
    run([{**OWN, "incident": "table"}, THERE], 100)
    assert set(opened(pagerduty)) == {"ignored_rules"}


def test_a_trigger_that_is_switched_off_closes_the_rules_incidents_too(run, pagerduty):
    run([OWN, THERE], 100)
    run([OWN, THERE], 100, dict.fromkeys(IGNORED_ON, False))
    assert opened(pagerduty) == {}


def test_a_removed_rule_s_incident_closes_also_when_the_trigger_is_switched_off(run, pagerduty):
    run([OWN, THERE], 100)
    run([THERE], 100, dict.fromkeys(IGNORED_ON, False))
    assert opened(pagerduty) == {}


def test_rules_from_code_close_a_missing_rule_s_own_incident_by_the_second_run_without_it(run, pagerduty):
    run([OWN, THERE], 100)
    assert [len(opened(pagerduty)) for _ in range(2) if run([THERE], 100)] == [1, 0]
