"""Earlier runs: the previous one, the present streak, flapping, the trend. Pure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spark_pd.alerting.past_runs import History, bad_streak, flips, trend
from tests.history.shared import T0, days, run

RUNS = st.lists(
    st.builds(
        lambda status, firing: (status, firing),
        st.sampled_from(["passed", "failed", "errored", "cancelled", "unknown"]),
        st.sampled_from([(), ("ignored_rules",), ("start",), ("completion", "start")]),
    ),
    max_size=12,
).map(lambda found: tuple(run(n, status=status, firing=firing) for n, (status, firing) in enumerate(found, 1)))


def test_a_run_is_bad_where_it_failed_or_a_trigger_fired_that_tells_of_something_bad():
    assert [run(1, status=s).bad for s in ("passed", "failed", "errored", "cancelled", "unknown")] == [False, True, True, None, None]
    assert [run(1, firing=f).bad for f in (("start",), ("completion",), ("unusual_volume",))] == [False, False, True]
    assert run(1, status="unknown", firing=("failure",)).bad


def test_the_streak_passes_over_what_could_not_tell_and_ends_with_the_last_good_run():
    runs = (run(1, status="errored"), run(2, status="unknown"), run(3, firing=("ignored_rules",)), run(4), run(5, status="failed"))
    assert [each.run_id for each in bad_streak(runs)] == ["r1", "r3"]
    assert bad_streak(runs[3:]) == ()


@given(RUNS)
def test_a_streak_is_of_bad_runs_and_nothing_good_is_among_them(runs):
    streak = bad_streak(runs)
    assert all(each.bad for each in streak)
    if streak:
        assert not any(each.bad is False for each in runs[: runs.index(streak[-1]) + 1])
    else:
        assert next((each.bad for each in runs if each.bad is not None), False) is False


@given(RUNS)
def test_there_are_fewer_changes_than_runs_that_could_tell_and_none_among_equals(runs):
    told = [each.bad for each in runs if each.bad is not None]
    assert flips(runs) <= max(0, len(told) - 1)
    assert (flips(runs) == 0) is (len(set(told)) < 2)


def test_an_incident_says_what_was_before():
    assert History().details() == {}
    runs = (run(1, status="errored", error_count=None, input_count=None), run(2, firing=("ignored_rules",)), run(3))
    assert History(runs=runs).details() == {
        "previous": {"run_id": "r1", "started_at": runs[0].started_at, "status": "errored"},
        "first_bad_run": {"run_id": "r2", "started_at": runs[1].started_at, "bad_runs_since": 2},
    }
    good = History(runs=days(3, error_count=12, dropped_count=5)).details()
    assert good == {
        "previous": {
            "run_id": "r1",
            "started_at": good["previous"]["started_at"],
            "status": "passed",
            "input_count": 1000,
            "error_percentage": 1.2,
            "error_drop_percentage": 0.5,
        }
    }


def test_a_table_that_flaps_says_so():
    runs = tuple(run(n, status="errored" if n % 2 else "passed") for n in range(1, 12))
    assert History(runs=runs).details()["flapping"] == "9 changes between good and bad in the last 10 runs"
    assert "flapping" not in History(runs=runs[:4]).details()


def test_a_trend_is_that_of_most_runs_and_no_odd_one_bends_it():
    assert trend([50, 40, 30, 20]) is None
    assert trend([50, 40, 30, 20, 10]) == 10
    assert trend([5000, 40, 30, 20, 10, 0, -10]) == 10


@given(st.lists(st.integers(-1000, 1000), min_size=5, max_size=20), st.integers(-100, 100))
def test_a_trend_grows_with_what_is_added_from_run_to_run(values, step):
    steeper = [value - step * n for n, value in enumerate(values)]
    assert abs(trend(steeper) - trend(values) - step) < 1e-6


@given(st.integers(3, 40), st.integers(1, 40))
def test_the_baseline_is_of_the_last_exact_runs(most, count):
    runs = tuple(run(n, exact=n % 3 != 0, status="failed" if n % 5 == 0 else "passed") for n in range(1, count + 1))
    exact = History(runs=runs, most=most).exact
    assert len(exact) <= most
    assert all(each.exact and each.status == "passed" for each in exact)
    assert list(exact) == sorted(exact, key=lambda each: T0 - each.started_at)
