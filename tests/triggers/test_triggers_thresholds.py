"""Thresholds of single rules, warnings, priorities and incidents of a rule's own: facts in, decisions and alerts out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.alerting.alerts import alerts_at_end
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.triggers import TRIGGERS, decide
from spark_pd.model import Alert, Rule, RuleResult, RunStats, Subject, percentage

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
SEVERITY = dict.fromkeys(TRIGGERS, "warning") | {
    "start": "info", "completion": "info", "failure": "critical", "error_drop_threshold": "error"
}  # fmt: skip
POLICY = TriggerSettings(on=dict.fromkeys(TRIGGERS, True), severity=SEVERITY, error_drop_threshold=50.0)  # type: ignore[arg-type]
PRIORITIES = replace(POLICY, by_priority={"low": "info", "medium": None, "high": "critical"})
SUBJECT = Subject(environment="prod", product_id="p", table="t")


def rule(name: str, failed: int | None, action: str = "ignore", **fields: Any) -> tuple[Rule, int | None]:
    return Rule(name=name, expectation="x > 0", action_if_failed=action, **fields), failed  # type: ignore[arg-type]


def alarm(name: str, failed: int | None, threshold: float | None, action: str = "ignore", **fields: Any) -> tuple[Rule, int | None]:
    return rule(name, failed, action, enable_error_drop_alert=True, error_drop_threshold=threshold, **fields)


def facts(*rules: tuple[Rule, int | None], rows: int = 1000, dropped: int = 0, status: str = "passed", **fields: Any) -> RunFacts:
    results = tuple(
        RuleResult.of(
            each,
            "unknown" if failed is None else "failed" if failed else "passed",
            failed_count=failed,
            failed_percentage=percentage(failed, rows),
        )
        for each, failed in rules
    )
    stats = RunStats(
        product_id="p", table_name="t", run_id="r", started_at=NOW, ended_at=NOW, status=status, input_count=rows, error_count=dropped,  # type: ignore[arg-type]
        dropped_count=dropped, output_count=rows - dropped, exact=True, counting="operator", rules=results,
    )  # fmt: skip
    usual: dict[str, Any] = {
        "subject": SUBJECT, "run_id": "r", "status": status, "stats": stats, "unknown": None, "failure": None,
        "rules": tuple(each for each, _ in rules), "started_at": NOW, "ended_at": NOW, "application": "app",
    }  # fmt: skip
    return RunFacts(**{**usual, **fields})


def decided(some: RunFacts, policy: TriggerSettings = POLICY) -> dict[tuple[str, str | None], tuple[str, str]]:
    return {(d.trigger, d.rule): (d.outcome, d.reason) for d in (e.decision for e in decide(some, policy))}


def alerts(some: RunFacts, policy: TriggerSettings = POLICY, state: str = "firing") -> dict[str, Alert]:
    told = alerts_at_end(some, policy, decide(some, policy))
    return {a.dedup_key.removeprefix("spark_pd/prod/p/t/"): a for a in told if a.state == state and a.trigger != "completion"}


THRESHOLD = ("error_drop_threshold", None)


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (alarm("a", 100, 10.0), "firing"),
        (alarm("a", 99, 10.0), "good"),
        (alarm("a", 0, 0.0), "good"),
        (alarm("a", 1, 0.0), "firing"),
        (alarm("a", 1, None), "firing"),
        (alarm("a", 100, 10.0, "drop"), "firing"),
        (alarm("a", 100, 10.0, "ignore", is_active=False), "good"),
        (rule("a", 1000, error_drop_threshold=1.0), "good"),
        (alarm("a", 100, 10.0, rule_type="agg_dq"), "good"),
        (alarm("a", 50, 10.0, warning_threshold=5.0), "firing"),
        (alarm("a", 49, 10.0, warning_threshold=5.0), "good"),
    ],
)
def test_a_rule_s_own_threshold_fires_the_table_s_trigger(given, outcome):
    assert decided(facts(given))[THRESHOLD][0] == outcome


@given(rows=st.integers(1, 10**12), share=st.fractions(0, 1), threshold=st.decimals(0, 100, places=3))
def test_a_rule_s_threshold_is_compared_unrounded_and_no_row_never_reaches_it(rows, share, threshold):
    failed = int(rows * share)
    fires = failed > 0 and Fraction(100 * failed, rows) >= Fraction(str(threshold))
    some = facts(alarm("a", failed, float(threshold)), rows=rows)
    assert (decided(some)[THRESHOLD][0] == "firing") is fires


def test_the_reason_and_the_summary_name_the_rule_what_it_failed_and_its_threshold():
    some = facts(alarm("a", 120, 10.0), alarm("b", 7, 5.0), alarm("c", 301, 30.0, "drop"), dropped=301)
    assert decided(some)[THRESHOLD] == (
        "firing",
        "rule c failed for 30.1 % of the rows (301 of 1,000), its threshold 30 %; rule a failed for 12 % of the rows (120 of 1,000), "
        "its threshold 10 %",
    )
    assert alerts(some)["error_drop_threshold"].summary.startswith("[prod] t rule c failed for 30.1 % of the rows (301 of 1,000)")
    both = facts(alarm("a", 120, 10.0), rule("d", 600, "drop"), dropped=600)
    assert alerts(both)["error_drop_threshold"].summary == (
        "[prod] t dropped 60 % of its rows (600 of 1,000), threshold 50 %: d (600 rows, 60 %); "
        "rule a failed for 12 % of the rows (120 of 1,000), its threshold 10 %"
    )
    assert decided(facts(alarm("a", 5, 10.0)))[THRESHOLD] == (
        "good",
        "0 % of the rows were dropped (0 of 1,000), below the threshold 50 %, and no rule reached its own",
    )


@pytest.mark.parametrize(
    ("dropped", "outcome", "severity", "limit"),
    [(99, "good", None, None), (100, "firing", "warning", "warning threshold 10 %"), (500, "firing", "error", "threshold 50 %")],
)
def test_the_alarm_wins_over_the_warning_in_one_incident(dropped, outcome, severity, limit):
    some, policy = facts(dropped=dropped), replace(POLICY, warning_threshold=10.0)
    assert decided(some, policy)[THRESHOLD][0] == outcome
    told = alerts(some, policy).get("error_drop_threshold")
    assert (told and told.severity) == severity
    if told is None:
        assert "below the warning threshold 10 %" in decided(some, policy)[THRESHOLD][1]
    else:
        assert f", {limit}" in told.summary
        assert told.summary.count("threshold") == 1
        assert told.details["warning_threshold"] == 10.0


def test_a_warning_is_never_more_severe_than_its_alarm():
    info = replace(POLICY, severity={**SEVERITY, "error_drop_threshold": "info"}, warning_threshold=1.0)  # type: ignore[dict-item]
    assert alerts(facts(dropped=20), info)["error_drop_threshold"].severity == "info"


@pytest.mark.parametrize(
    ("rules", "severity"),
    [
        ([alarm("a", 500, 10.0, priority="low")], "info"),
        ([alarm("a", 500, 10.0)], "error"),
        ([alarm("a", 500, 10.0, priority="high")], "critical"),
        ([alarm("a", 500, 10.0, priority="high"), alarm("b", 900, 10.0, priority="low")], "critical"),
        ([alarm("a", 50, 10.0, priority="high", warning_threshold=1.0)], "warning"),
        ([alarm("a", 50, 10.0, priority="low", warning_threshold=1.0)], "info"),
    ],
)
def test_the_severity_is_that_of_the_most_important_rule_that_failed(rules, severity):
    assert alerts(facts(*rules), PRIORITIES)["error_drop_threshold"].severity == severity


def test_priorities_hold_for_ignored_rules_and_for_rules_that_stop_the_run_and_for_nothing_else():
    assert alerts(facts(rule("a", 1, priority="high"), rule("b", 2, priority="low")), PRIORITIES)["ignored_rules"].severity == "critical"
    assert alerts(facts(rule("b", 2, priority="low")), PRIORITIES)["ignored_rules"].severity == "info"
    assert alerts(facts(rule("c", 2)), PRIORITIES)["ignored_rules"].severity == "warning"
    stopping = facts(rule("f", 1, "fail", priority="low"), status="failed")
    assert alerts(replace(stopping, failed_rules=stopping.stats.rules), PRIORITIES)["failure"].severity == "info"
    assert alerts(facts(rule("f", 0, "fail", priority="low"), status="errored"), PRIORITIES)["failure"].severity == "critical"
    assert alerts(facts(rule("d", 600, "drop", priority="low"), dropped=600), PRIORITIES)["error_drop_threshold"].severity == "error"


def test_a_rule_that_asks_for_it_has_an_incident_of_its_own_and_is_no_part_of_the_table_s():
    own = alarm("a/b", 120, 10.0, incident="rule", priority="high", description="why")
    some = facts(own, rule("c", 3))
    told = alerts(some, PRIORITIES)
    assert set(told) == {"error_drop_threshold/rule=a%2Fb", "ignored_rules/rule=a%2Fb", "ignored_rules"}
    assert told["error_drop_threshold/rule=a%2Fb"].summary == (
        "[prod] t rule a/b failed for 12 % of the rows (120 of 1,000), its threshold 10 %"
    )
    assert told["ignored_rules/rule=a%2Fb"].summary == "[prod] t broke 1 rule with action ignore: a/b (120 rows, 12 %)"
    assert "a/b" not in told["ignored_rules"].summary
    assert {key: (a.rule, a.severity) for key, a in told.items()} == {
        "error_drop_threshold/rule=a%2Fb": ("a/b", "critical"),
        "ignored_rules/rule=a%2Fb": ("a/b", "critical"),
        "ignored_rules": (None, "warning"),
    }
    details = told["error_drop_threshold/rule=a%2Fb"].details
    assert (details["rule"], details["error_drop_threshold"]) == ("a/b", 10.0)
    assert [entry["rule"] for entry in details["failed_rules"]] == ["a/b"]
    assert set(alerts(some, PRIORITIES, "resolved")) == {"start", "failure", "error_drop_threshold", "no_output"}


def test_decisions_are_one_for_each_trigger_and_then_one_for_each_incident_of_a_rule_s_own():
    some = facts(rule("a", 1, incident="rule"), alarm("b", 0, 1.0, "drop", incident="rule"), rule("c", 1))
    assert [(d.trigger, d.rule, d.outcome) for d in (e.decision for e in decide(some, POLICY))] == [
        ("start", None, "firing"),
        ("completion", None, "firing"),
        ("failure", None, "good"),
        ("error_drop_threshold", None, "good"),
        ("ignored_rules", None, "firing"),
        ("unusual_volume", None, "none"),
        ("unusual_errors", None, "none"),
        *((trigger, None, "none") for trigger in ("job_failure", "stage_retry", "task_failures", "executor_lost", "overrun")),
        ("no_output", None, "good"),
        ("query_failure", None, "none"),
        ("error_drop_threshold", "b", "good"),
        ("ignored_rules", "a", "firing"),
    ]
    off = replace(POLICY, on={**POLICY.on, "ignored_rules": False})
    assert decided(some, off)["ignored_rules", "a"][0] == "none"
    assert "switched off" in decided(some, off)["ignored_rules", "a"][1]


@pytest.mark.parametrize(
    ("some", "outcome"),
    [
        (facts(rule("a", None, incident="rule")), "unknown"),
        (facts(rule("a", 0, incident="rule"), rows=0), "none"),
        (facts(rule("a", 1, incident="rule"), status="failed"), "unknown"),
        (facts(rule("a", 0, incident="rule"), status="errored"), "good"),
    ],
)
def test_what_is_not_known_of_a_rule_neither_opens_nor_closes_its_own_incident(some, outcome):
    assert decided(some)["ignored_rules", "a"][0] == outcome
    key = "ignored_rules/rule=a"
    assert key not in alerts(some)
    assert key not in alerts(some, state="resolved")


def test_a_table_s_former_name_takes_its_rules_incidents_with_it():
    some = facts(rule("a", 1, incident="rule"), previous=replace(SUBJECT, table="old"))
    keys = [a.dedup_key for a in alerts_at_end(some, POLICY, decide(some, POLICY)) if a.state == "resolved" and a.rule]
    assert keys == ["spark_pd/prod/p/old/ignored_rules/rule=a"]


def test_a_long_rule_name_is_cut_in_the_dedup_key_and_stays_its_own():
    keys = {SUBJECT.dedup_key("ignored_rules", f"{'é' * 300}{n}") for n in range(3)}
    assert len(keys) == 3
    assert all(len(key) <= 255 for key in keys)
