"""What is usual, and the triggers that say what is not. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.alerting.alerts import alerts_at_end
from spark_pd.alerting.baseline import baseline_of
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.past_runs import History
from spark_pd.alerting.triggers import decide
from spark_pd.alerting.unusual import errors, judge_unusual, volume
from spark_pd.model import RuleResult, RunStats, Subject
from tests.history.shared import T0, days, run

VOLUME, ERRORS = "unusual_volume", "unusual_errors"
HISTORY = History(runs=days(10))
VALUES = st.lists(st.floats(0, 1e9), min_size=7, max_size=30)


def judged(trigger, history, limit=3.5, **fields):
    found, odd = judge_unusual(volume if trigger == VOLUME else errors, run(0, **fields), history, limit)
    return found.outcome, found.reason, [each.name for each in odd]


# ---- the baseline ----------------------------------------------------------------------------------------------------------------


def test_the_score_is_iglewicz_and_hoaglin_s_modified_z():
    values = [2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3]
    found = baseline_of([(T0 - timedelta(hours=n), v) for n, v in enumerate(values)], T0, least=7, floor=0, relative_floor=0)
    assert found is not None
    assert found.median == pytest.approx(2.45)
    mad = median(abs(v - 2.45) for v in values)
    assert [round(found.score(v), 6) for v in values] == [round(0.6745 * (v - 2.45) / mad, 6) for v in values]
    assert [v for v in values if abs(found.score(v)) > 3.5] == [8.2, 8.3]


@given(VALUES, st.floats(0, 100))
def test_the_median_is_python_s_and_sigma_never_below_its_floors(values, floor):
    found = baseline_of([(T0 - timedelta(minutes=n), v) for n, v in enumerate(values)], T0, least=7, floor=floor)
    assert found is not None
    assert found.median == median(values)
    assert found.sigma >= max(floor, 0.05 * found.median)
    assert found.runs == len(values)


@given(VALUES, st.floats(0.5, 10))
def test_the_score_is_beyond_the_limit_exactly_outside_the_range(values, limit):
    found = baseline_of([(T0, v) for v in values], T0, least=7, floor=1)
    assert found is not None
    low, high = found.range(limit)
    for value in (low - 1, low + 1e-3, found.median, high - 1e-3, high + 1):
        assert (abs(found.score(value)) > limit) is (value < low or value > high)


def test_there_is_no_baseline_before_enough_runs():
    assert baseline_of([(T0, 1.0)] * 6, T0, least=7, floor=1) is None
    assert baseline_of([], T0, least=0, floor=1) is None


def test_with_four_of_the_same_weekday_only_those_count():
    """Fridays have 10 rows, all other days 1,000."""
    past = [(at, 10.0 if at.weekday() == 4 else 1000.0) for at in (T0 - timedelta(days=n) for n in range(1, 31))]
    friday = baseline_of(past, T0, least=7, floor=1)
    assert friday is not None
    assert (friday.median, friday.runs, friday.weekday) == (10, 4, True)
    saturday = baseline_of(past, T0 + timedelta(days=1), least=7, floor=1)
    assert saturday is not None
    assert (saturday.median, saturday.runs, saturday.weekday) == (1000, 4, True)
    weeks = baseline_of([each for each in past if T0 - each[0] < timedelta(days=22)], T0, least=7, floor=1)
    assert weeks is not None
    assert (weeks.median, weeks.weekday) == (1000, False)


def test_many_runs_of_one_day_are_no_weekday():
    past = [(T0 - timedelta(minutes=n), 5.0) for n in range(30)]
    found = baseline_of(past, T0, least=7, floor=1)
    assert found is not None
    assert not found.weekday


# ---- the triggers ----------------------------------------------------------------------------------------------------------------


def test_a_volume_that_is_as_ever_is_good_and_one_that_is_not_fires_both_ways():
    assert judged(VOLUME, HISTORY) == ("good", "1,000 rows (expected 825 to 1,175 rows, from 10 runs)", [])
    assert judged(VOLUME, HISTORY, input_count=1175)[0] == "good"
    assert judged(VOLUME, HISTORY, input_count=1176) == (
        "firing",
        "1,176 rows (expected 825 to 1,175 rows, from 10 runs)",
        ["input_count"],
    )
    assert judged(VOLUME, HISTORY, input_count=824)[0] == "firing"


def test_an_empty_input_is_the_most_unusual_volume_unless_it_is_usual():
    assert judged(VOLUME, HISTORY, input_count=0)[:2] == ("firing", "0 rows (expected 825 to 1,175 rows, from 10 runs)")
    empty = History(runs=days(10, input_count=0))
    assert judged(VOLUME, empty, input_count=0)[:2] == ("none", "the input was empty, as is usual")
    assert judged(ERRORS, HISTORY, input_count=0)[0] == "none"


def test_more_errors_than_ever_fire_and_fewer_do_not():
    bad = History(runs=days(10, error_count=300, dropped_count=300))
    assert judged(ERRORS, bad, error_count=0)[0] == "good"
    assert judged(ERRORS, bad, error_count=400, dropped_count=300) == (
        "firing",
        "error_percentage is 40 % (expected at most 35.25 %, from 10 runs)",
        ["error_percentage"],
    )


def test_a_rule_that_fails_as_never_before_fires_by_its_name_and_the_worst_comes_first():
    past = History(runs=days(10, rules={"tens": 1.0, "id": 0.0}))
    outcome, reason, odd = judged(ERRORS, past, rules={"tens": 9.0, "id": 3.0, "new": 50.0})
    assert (outcome, odd) == ("firing", ["rule tens", "rule id"])
    assert reason == "rule tens is 9 % (expected at most 2.75 %, from 10 runs) and 1 more"


def test_where_every_run_had_the_same_a_tiny_change_is_no_news():
    assert judged(ERRORS, HISTORY, error_count=17)[0] == "good"
    assert judged(ERRORS, HISTORY, error_count=18)[0] == "firing"
    assert judged(VOLUME, History(runs=days(10, input_count=0)), input_count=3)[0] == "good"


def test_nothing_is_unusual_before_there_is_enough_history():
    for trigger in (VOLUME, ERRORS):
        assert judged(trigger, History(unknown="TimeoutError"))[:2] == ("unknown", "the history could not be read: TimeoutError")
        assert judged(trigger, History(runs=days(6)), input_count=10**9)[:2] == (
            "none",
            "6 exact runs so far, and 7 are needed (spark.pd.history.min_runs)",
        )
    inexact = History(runs=(*days(6), *days(20, exact=False), *days(20, status="failed")))
    assert judged(VOLUME, inexact, input_count=10**9)[0] == "none"


@given(st.lists(st.integers(0, 10**9), min_size=7, max_size=30), st.integers(0, 10**9), st.floats(0.5, 10))
def test_a_volume_fires_exactly_where_it_lies_outside_the_range_that_is_told(counts, here, limit):
    history = History(runs=tuple(run(n / 24, input_count=count) for n, count in enumerate(counts, 1)))
    outcome, _, odd = judged(VOLUME, history, limit, input_count=here)
    middle = median(counts)
    sigma = max(median(abs(c - middle) for c in counts) / 0.6745, 1, 0.05 * middle)
    distance = abs(here - middle) - limit * sigma
    if abs(distance) > 1e-3:
        assert (outcome == "firing") is (distance > 0)
        assert bool(odd) is (distance > 0)


# ---- on the road -----------------------------------------------------------------------------------------------------------------

SEVERITY = dict.fromkeys(("start", "completion", "failure", "error_drop_threshold", "ignored_rules", VOLUME, ERRORS), "warning")
POLICY = TriggerSettings(on=dict.fromkeys((VOLUME, ERRORS), True), severity=SEVERITY, error_drop_threshold=10.0)  # type: ignore[arg-type]


def facts(history, rows=5000, status="passed", failed=0) -> RunFacts:
    now = datetime(2026, 11, 20, 3, 0, tzinfo=timezone.utc)
    result = RuleResult(
        name="tens", rule_type="row_dq", column_name=None, action_if_failed="ignore", status="failed", failed_count=failed,
        failed_percentage=100 * failed / rows if rows else 0.0,
    )  # fmt: skip
    stats = RunStats(
        product_id=None, table_name="t", run_id="r", started_at=now, ended_at=now, status=status, input_count=rows, error_count=failed,
        dropped_count=0, output_count=rows, exact=True, counting="operator", rules=(result,),
    )  # fmt: skip
    return RunFacts(
        subject=Subject(environment=None, product_id=None, table="t"), run_id="r", status=status, stats=stats, unknown=None, failure=None,
        started_at=now, ended_at=now, application="app", history=history,
    )  # fmt: skip


def decisions(some, policy=POLICY):
    return [each.decision for each in decide(some, policy)]


def test_without_a_stats_table_there_is_nothing_to_compare_with():
    found = {d.trigger: (d.outcome, d.reason) for d in decisions(facts(None))}
    for trigger in (VOLUME, ERRORS):
        assert found[trigger] == ("none", "there is no history: spark.pd.stats.table is not set")


def test_the_incident_has_the_expected_range_and_what_was_before():
    history = History(runs=days(10))
    some = facts(history)
    decisions = decide(some, POLICY)
    (alert,) = [a for a in alerts_at_end(some, POLICY, decisions) if a.trigger == VOLUME]
    assert (alert.state, alert.severity) == ("firing", "warning")
    assert alert.summary == "t had unusual volume: 5,000 rows (expected 825 to 1,175 rows, from 10 runs)"
    assert alert.details["unusual"] == [
        {
            "of": "input_count",
            "value": 5000.0,
            "expected": "825 to 1,175 rows",
            "expected_from": 825.0,
            "expected_to": 1175.0,
            "median": 1000.0,
            "sigmas": 80.0,
            "runs": 10,
            "same_weekday_only": False,
        }
    ]
    assert alert.details["previous"]["run_id"] == "r1"


def test_every_trigger_s_incident_knows_what_was_before_where_there_is_a_history():
    policy = replace(POLICY, on={"ignored_rules": True})
    bad = facts(History(runs=days(3, firing=("ignored_rules",))), failed=50)
    (alert,) = alerts_at_end(bad, policy, decide(bad, policy))
    assert alert.details["first_bad_run"]["bad_runs_since"] == 3
    without = replace(bad, history=None)
    (alert,) = alerts_at_end(without, policy, decide(without, policy))
    assert not {"previous", "first_bad_run", "flapping", "unusual"} & set(alert.details)


def test_a_run_that_was_stopped_or_errored_cannot_tell_and_closes_nothing():
    history = History(runs=days(10))
    stopped = {d.trigger: d for d in decisions(facts(history, status="failed"))}
    assert stopped[VOLUME].outcome == "unknown"
    nothing = replace(facts(history), stats=None)
    assert {d.trigger: d.outcome for d in decisions(nothing)}[VOLUME] == "none"


def test_switched_off_it_says_what_it_would_have_been():
    off = {d.trigger: d for d in decisions(facts(History(runs=days(10))), replace(POLICY, on={}))}
    assert off[VOLUME].outcome == "none"
    assert off[VOLUME].reason.startswith(
        "switched off (spark.pd.on.unusual_volume); if it were on, the outcome would be firing: 5,000 rows"
    )
