"""From a run's facts and alerts to what it says about each incident."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from spark_pd.alerting.alerts import alerts_at_end, alerts_at_start
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.policy import verdicts_at_end, verdicts_at_start
from spark_pd.alerting.triggers import TRIGGERS, decide
from spark_pd.model import Rule, RuleResult, RunStats, Subject
from spark_pd.rules.loading import source_of

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
ORDER = NOW + timedelta(microseconds=1)
SEVERITY = dict.fromkeys(TRIGGERS, "warning") | {
    "start": "info", "completion": "info", "failure": "critical", "error_drop_threshold": "error"
}  # fmt: skip
POLICY = TriggerSettings(on=dict.fromkeys(TRIGGERS, True), severity=SEVERITY, error_drop_threshold=10.0)  # type: ignore[arg-type]
SUBJECT = Subject(environment=None, product_id="p", table="t")


def facts(status="passed", failed=(("d", "drop"), ("i", "ignore")), known=True, **fields) -> RunFacts:
    actions = {"d": "drop", "i": "ignore", "f": "fail", "ok": "drop"}
    broken = dict(failed)
    results = tuple(
        RuleResult(
            name=name, rule_type="row_dq", column_name=None, action_if_failed=action,
            status="unknown" if not known else "failed" if name in broken else "passed",
            failed_count=None if not known else 20 if name in broken else 0,
            failed_percentage=None if not known else 20.0 if name in broken else 0.0,
        )
        for name, action in actions.items()
    )  # fmt: skip
    stats = RunStats(
        product_id="p", table_name="t", run_id="r", started_at=NOW, ended_at=NOW, status=status,
        input_count=100 if known else None,
        error_count=20 if known else None, dropped_count=(20 if "d" in broken else 0) if known else None,
        output_count=80 if known else None,
        exact=known, counting="operator", rules=results,
    )  # fmt: skip
    usual = {
        "subject": SUBJECT, "run_id": "r", "status": status, "stats": stats, "unknown": None if known else "nobody knows", "failure": None,
        "started_at": NOW, "ended_at": NOW, "application": "app", "rules_source": "code",
        "rules": tuple(Rule(name=name, expectation="true", is_active=name != "ok") for name in actions),
        "failed_rules": tuple(r for r in results if r.name == "f" and r.status == "failed"),
    }  # fmt: skip
    return RunFacts(**{**usual, **fields})


def said(some: RunFacts, policy: TriggerSettings = POLICY):
    decisions = decide(some, policy)
    return {v.trigger: v for v in verdicts_at_end(some, policy, decisions, alerts_at_end(some, policy, decisions), ORDER)}


def test_each_trigger_blames_its_own_rules() -> None:
    verdicts = said(facts())
    assert {name: (v.outcome, v.failing) for name, v in verdicts.items()} == {
        "start": ("good", ()),
        "completion": ("firing", ()),
        "failure": ("good", ()),
        "error_drop_threshold": ("firing", ("d",)),
        "ignored_rules": ("firing", ("i",)),
        "no_output": ("good", ()),
    }
    for verdict in verdicts.values():
        assert (verdict.subject, verdict.started_at, verdict.rules_source) == (SUBJECT, ORDER, "code")
        assert verdict.evaluated == {"d", "i", "f", "ok"}
        assert verdict.rules == {"d", "i", "f"}
        assert verdict.alert is not None
        assert verdict.dedup_key == verdict.alert.dedup_key
    assert said(facts(status="failed", failed=(("f", "fail"),)))["failure"].failing == ("f",)


def test_a_rule_over_the_whole_data_that_is_for_neither_source_nor_target_is_as_good_as_removed() -> None:
    nowhere = {"enable_for_source_dq_validation": False, "enable_for_target_dq_validation": False}
    rules = (
        Rule(name="a", expectation="sum(x) > 0", rule_type="agg_dq", **nowhere),
        Rule(name="b", expectation="sum(x) > 0", rule_type="agg_dq", **{**nowhere, "enable_for_target_dq_validation": True}),
        Rule(name="c", expectation="x > 0", **nowhere),
    )
    assert said(facts(rules=rules))["failure"].rules == {"b", "c"}


def test_unknown_counts_say_unknown_and_page_where_asked_to() -> None:
    unknown = facts(status="unknown", known=False)
    verdicts = said(unknown)
    assert {name: v.outcome for name, v in verdicts.items() if v.alert is None} == dict.fromkeys(
        ("failure", "error_drop_threshold", "ignored_rules", "no_output"), "unknown"
    )
    assert verdicts["failure"].evaluated == frozenset()
    paging = said(unknown, replace(POLICY, page_on_unknown=True))["failure"]
    assert (paging.outcome, paging.alert is not None and paging.alert.state) == ("unknown", "firing")
    assert said(facts(status="errored", known=False))["failure"].outcome == "firing"


@pytest.mark.parametrize("status", ["passed", "errored", "cancelled", "unknown", "failed"])
def test_a_switched_off_trigger_closes_by_a_run_that_passed_only(status: str) -> None:
    off = replace(POLICY, on={**POLICY.on, "ignored_rules": False})
    found = said(facts(status=status), off).get("ignored_rules")
    assert (found is not None) is (status == "passed")
    if found is not None:
        assert found.switched_off
        assert found.alert is not None
        assert (found.alert.state, found.alert.details["reason"]) == ("resolved", "switched off (spark.pd.on.ignored_rules)")


def test_a_renamed_table_s_former_name_is_told_apart() -> None:
    some = facts(previous=replace(SUBJECT, table="old"))
    decisions = decide(some, POLICY)
    verdicts = verdicts_at_end(some, POLICY, decisions, alerts_at_end(some, POLICY, decisions), ORDER)
    assert {(v.trigger, v.subject.table) for v in verdicts if v.renamed} == {
        (name, "old") for name in ("failure", "error_drop_threshold", "ignored_rules", "no_output")
    }
    assert all(v.outcome == "good" and v.dedup_key == v.alert.dedup_key for v in verdicts if v.renamed and v.alert)


def test_a_start_opens_its_own_incident_and_closes_the_last_completion() -> None:
    some = facts()
    assert [(v.trigger, v.outcome, v.started_at) for v in verdicts_at_start(some, alerts_at_start(some, POLICY), ORDER)] == [
        ("start", "firing", ORDER),
        ("completion", "good", ORDER),
    ]


def test_a_rule_with_its_own_threshold_is_to_blame_and_not_whoever_drops_rows() -> None:
    rules = (
        Rule(name="d", expectation="true", action_if_failed="drop"),
        Rule(name="i", expectation="true", enable_error_drop_alert=True, error_drop_threshold=20.0),
    )
    some = facts(rules=rules)
    assert said(some, replace(POLICY, error_drop_threshold=90.0))["error_drop_threshold"].failing == ("i",)
    assert said(some)["error_drop_threshold"].failing == ("d", "i")


def test_a_rule_s_own_incident_has_a_verdict_of_its_own() -> None:
    rules = (Rule(name="i", expectation="true", incident="rule"), Rule(name="d", expectation="true", action_if_failed="drop"))

    def own(some: RunFacts, policy: TriggerSettings = POLICY):
        decisions = decide(some, policy)
        verdicts = verdicts_at_end(some, policy, decisions, alerts_at_end(some, policy, decisions), ORDER)
        return {v.rule: v for v in verdicts if v.trigger == "ignored_rules"}

    found = own(facts(rules=rules))
    assert {name: (v.outcome, v.failing, v.passed) for name, v in found.items()} == {
        None: ("good", (), True),
        "i": ("firing", ("i",), True),
    }
    assert found["i"].dedup_key == found["i"].alert.dedup_key == SUBJECT.dedup_key("ignored_rules", "i")
    assert {name: v.outcome for name, v in own(facts(rules=rules, known=False, status="unknown")).items()} == dict.fromkeys(
        (None, "i"), "unknown"
    )
    off = own(facts(rules=rules), replace(POLICY, on={**POLICY.on, "ignored_rules": False}))
    assert {name: v.switched_off for name, v in off.items()} == {None: True, "i": True}


class Frame:
    columns = ()

    def collect(self):
        return []


def test_where_rules_come_from(tmp_path) -> None:
    assert [source_of(source) for source in (None, [], [{"rule": "a"}], Frame(), "sales.`Rules`", "rules.YAML", tmp_path / "r.csv")] == [
        "nowhere", "code", "code", "code", "table sales.rules", "file rules.YAML", f"file {tmp_path / 'r.csv'}",
    ]  # fmt: skip
