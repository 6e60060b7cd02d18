"""Triggers are pure: facts of a run in, decisions and alerts out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.alerting.alerts import alerts_at_end, alerts_at_start
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.triggers import TRIGGERS, decide
from spark_pd.alerting.wording import named, percent
from spark_pd.model import RuleResult, RunStats, Subject, percentage

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
ALL = dict.fromkeys(TRIGGERS, True)
SEVERITY = dict.fromkeys(TRIGGERS, "warning") | {
    "start": "info", "completion": "info", "failure": "critical", "error_drop_threshold": "error"
}  # fmt: skip
POLICY = TriggerSettings(on=ALL, severity=SEVERITY, error_drop_threshold=10.0)  # type: ignore[arg-type]


def result(name: str, action: str, failed: int | None, rows: int = 100) -> RuleResult:
    return RuleResult(
        name=name,
        rule_type="row_dq",
        column_name=None,
        action_if_failed=action,  # type: ignore[arg-type]
        status="unknown" if failed is None else "failed" if failed else "passed",
        failed_count=failed,
        failed_percentage=percentage(failed, rows),
    )


def facts(rows: int | None = 100, dropped: int | None = 0, status: str = "passed", rules: tuple[RuleResult, ...] = ()) -> RunFacts:
    stats = RunStats(
        product_id="p", table_name="t", run_id="r", started_at=NOW, ended_at=NOW, status=status, input_count=rows,  # type: ignore[arg-type]
        error_count=dropped, dropped_count=dropped, output_count=None if rows is None or dropped is None else rows - dropped,
        exact=rows is not None, counting="operator", rules=rules,
    )  # fmt: skip
    return RunFacts(
        subject=Subject(environment="prod", product_id="p", table="t"), run_id="r", status=status, stats=stats,  # type: ignore[arg-type]
        unknown=None if rows is not None else "nobody knows", failure="ValueError: no" if status == "errored" else None,
        started_at=NOW, ended_at=NOW, application="app",
    )  # fmt: skip


def outcomes(some: RunFacts, policy: TriggerSettings = POLICY) -> dict[str, str]:
    return {d.trigger: d.outcome for d in (e.decision for e in decide(some, policy))}


@pytest.mark.parametrize(
    ("some", "expected"),
    [
        (facts(), ("firing", "good", "good", "good")),
        (facts(dropped=10), ("firing", "good", "firing", "good")),
        (facts(dropped=9), ("firing", "good", "good", "good")),
        (facts(rows=0), ("firing", "good", "none", "none")),
        (facts(rules=(result("i", "ignore", 1),)), ("firing", "good", "good", "firing")),
        (facts(rules=(result("d", "drop", 1),)), ("firing", "good", "good", "good")),
        (facts(rows=None, dropped=None, status="unknown"), ("firing", "unknown", "unknown", "unknown")),
        (facts(dropped=None, status="failed"), ("none", "firing", "unknown", "unknown")),
        (facts(rows=None, dropped=None, status="errored"), ("none", "firing", "unknown", "unknown")),
        (facts(dropped=10, status="errored"), ("none", "firing", "firing", "good")),
        (facts(dropped=10, status="cancelled"), ("none", "none", "firing", "good")),
        (replace(facts(), stats=None), ("firing", "good", "none", "none")),
        (replace(facts(status="errored"), stats=None), ("none", "firing", "unknown", "unknown")),
    ],
)
def test_what_each_trigger_concludes(some, expected):
    assert tuple(outcomes(some)[t] for t in ("completion", "failure", "error_drop_threshold", "ignored_rules")) == expected


@given(rows=st.integers(0, 10**12), share=st.fractions(0, 1), threshold=st.decimals(0, 100, places=3))
def test_the_threshold_fires_exactly_when_some_rows_were_dropped_and_their_share_reaches_it(rows, share, threshold):
    dropped = int(rows * share)
    policy = replace(POLICY, error_drop_threshold=float(threshold))
    fires = rows > 0 and dropped > 0 and Fraction(100 * dropped, rows) >= Fraction(str(threshold))
    assert (outcomes(facts(rows=rows, dropped=dropped), policy)["error_drop_threshold"] == "firing") is fires


@given(
    rows=st.none() | st.integers(0, 100),
    dropped=st.integers(0, 100),
    status=st.sampled_from(["passed", "failed", "errored", "cancelled", "unknown"]),
    on=st.fixed_dictionaries({t: st.booleans() for t in TRIGGERS}),
)
def test_nothing_is_closed_but_by_a_run_that_passed_and_nothing_switched_off_is_told(rows, dropped, status, on):
    some = facts(rows=rows, dropped=None if rows is None else min(dropped, rows), status=status, rules=(result("i", "ignore", dropped),))
    policy = replace(POLICY, on=on)
    evaluations = decide(some, policy)
    decisions = [each.decision for each in evaluations]
    alerts = alerts_at_start(some, policy) + alerts_at_end(some, policy, evaluations)
    assert [d.trigger for d in decisions] == list(TRIGGERS)
    assert all(d.reason for d in decisions)
    assert all(on[a.trigger] for a in alerts)
    closed = {a.trigger for a in alerts if a.state == "resolved"} - {"start", "completion"}
    assert not closed or status == "passed"
    assert closed <= ({"failure"} if rows == 0 else {d.trigger for d in decisions if d.outcome == "good"})
    states = [a.state for a in alerts_at_end(some, policy, evaluations)]
    assert states == sorted(states)  # firing before resolved


def test_a_summary_names_table_what_how_much_and_against_which_threshold():
    some = facts(
        rows=1000, dropped=155, rules=(result("a", "drop", 150, 1000), result("b", "drop", 9, 1000), result("c", "ignore", 1, 1000))
    )
    alert = next(a for a in alerts_at_end(some, POLICY, decide(some, POLICY)) if a.trigger == "error_drop_threshold")
    assert alert.summary == "[prod] t dropped 15.5 % of its rows (155 of 1,000), threshold 10 %: a (150 rows, 15 %), b (9 rows, 0.9 %)"
    assert alert.details["input_count"] == 1000
    assert [r["rule"] for r in alert.details["failed_rules"]] == ["a", "b", "c"]


def test_details_say_unknown_where_a_count_is_unknown():
    some = facts(rows=None, dropped=None, status="errored")
    alert = next(a for a in alerts_at_end(some, POLICY, decide(some, POLICY)) if a.trigger == "failure")
    assert alert.details["input_count"] == "unknown"
    assert alert.details["counts_unknown_because"] == "nobody knows"


def test_only_the_worst_rules_are_named_and_listed():
    rules = tuple(result(f"r{n}", "ignore", n) for n in range(1, 61))
    some = facts(rules=rules)
    alert = next(a for a in alerts_at_end(some, POLICY, decide(some, POLICY)) if a.trigger == "ignored_rules")
    assert alert.summary.endswith(
        "broke 60 rules with action ignore: r60 (60 rows, 60 %), r59 (59 rows, 59 %), r58 (58 rows, 58 %) and 57 more"
    )
    assert len(alert.details["failed_rules"]) == 51
    assert alert.details["failed_rules"][-1] == {"rule": "and 10 more"}


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(9996, 100_000, "9.99 %"), (1, 3, "33.33 %"), (1, 10**9, "less than 0.01 %"), (0, 5, "0 %"), (5, 5, "100 %"), (155, 1000, "15.5 %")],
)
def test_a_percentage_is_never_shown_as_more_than_it_is(part, whole, shown):
    assert percent(part, whole) == shown


def test_one_row_is_one_row():
    assert named([result("r", "drop", 1)]) == "r (1 row, 1 %)"
