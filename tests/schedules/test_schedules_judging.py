"""What is said of a schedule, from what is known of its runs. Pure: times are of Friday 2026-11-20 and Saturday after it, in UTC."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_pd.runs.schedules.late_judge import BegunRun, EndedRun, Known, earliest, judge
from spark_pd.runs.schedules.schedule_grammar import parse_schedule

DAILY, _ = parse_schedule("sales.orders every day by 06:00, at most 40 minutes")
assert DAILY is not None
LONG_AGO = datetime(2026, 1, 1, tzinfo=timezone.utc)
NO_GRACE = timedelta(0)


def at(text: str) -> datetime:
    """`20 05:50` is on Friday."""
    return datetime.fromisoformat(f"2026-11-{text}+00:00")


def ended(when: str, *, minutes: float = 10, status: str = "passed", told: bool = False) -> EndedRun:
    return EndedRun(run_id=when, started_at=at(when) - timedelta(minutes=minutes), ended_at=at(when), status=status, reported=told)


def known(*runs: EndedRun, begun: tuple[BegunRun, ...] = (), first: datetime | None = LONG_AGO, since: datetime | None = None) -> Known:
    return Known(ended=runs, begun=begun, first_at=first, since=since)


def found(now: str, of: Known, grace: timedelta = NO_GRACE) -> tuple[str, str]:
    finding = judge(DAILY, of, at(now), grace)
    return finding.what, finding.outcome


CAME = ended("20 05:50")
YESTERDAY = ended("19 05:50")


def begun(when: str) -> BegunRun:
    return BegunRun(run_id="r", began_at=at(when))


CASES = {
    "it came in time": ("20 06:00", known(CAME), ("on time", "good")),
    "it came just in time": ("20 06:00", known(ended("20 06:00")), ("on time", "good")),
    "it came, and the counts are unknown": ("20 06:00", known(ended("20 05:50", status="unknown")), ("on time", "good")),
    "before the time yesterday's run counts": ("20 05:59", known(YESTERDAY), ("on time", "good")),
    "it did not come": ("20 06:00", known(YESTERDAY), ("missing", "firing")),
    "it did not come for days": ("20 06:00", known(), ("missing", "firing")),
    "it is under way": ("20 06:05", known(YESTERDAY, begun=(begun("20 05:40"),)), ("late", "firing")),
    "it came late": ("20 09:00", known(YESTERDAY, ended("20 06:01")), ("came late", "good")),
    "it was cancelled": ("20 06:00", known(YESTERDAY, ended("20 05:50", status="cancelled")), ("missing", "firing")),
    "it errored and told": ("20 06:00", known(YESTERDAY, ended("20 05:50", status="errored", told=True)), ("failed", "none")),
    "a rule stopped it, late": ("20 08:00", known(YESTERDAY, ended("20 07:00", status="failed", told=True)), ("failed", "none")),
    "it errored and nobody was told": ("20 06:00", known(YESTERDAY, ended("20 05:50", status="errored")), ("missing", "firing")),
    "it errored, and again passed": ("20 06:00", known(ended("20 05:30", status="errored", told=True), CAME), ("on time", "good")),
    "no run is known": ("20 06:00", known(first=None), ("not known", "unknown")),
    "its first run is of today": ("20 07:00", known(ended("20 06:30", status="errored"), first=at("20 06:20")), ("not known", "unknown")),
    "its first run came late": ("20 07:00", known(ended("20 06:30"), first=at("20 06:20")), ("came late", "good")),
    "the slot was before the watch": ("20 07:00", known(YESTERDAY, since=at("20 06:30")), ("not known", "unknown")),
    "the slot after the watch began": ("20 07:00", known(YESTERDAY, since=at("20 05:59")), ("missing", "firing")),
    "it took too long": ("20 06:00", known(ended("20 05:50", minutes=41)), ("too long", "firing")),
    "it took as long as it may": ("20 06:00", known(ended("20 05:50", minutes=40)), ("on time", "good")),
    "it takes too long": ("20 05:45", known(YESTERDAY, begun=(begun("20 05:04"),)), ("too long", "firing")),
    "it takes no longer than it may": ("20 05:45", known(YESTERDAY, begun=(begun("20 05:05"),)), ("on time", "good")),
    "it takes too long and is late": ("20 06:10", known(YESTERDAY, begun=(begun("20 05:04"),)), ("late", "firing")),
    "a dead run was overtaken": ("20 06:00", known(CAME, begun=(begun("20 04:00"),)), ("on time", "good")),
    "the next run was quick enough": ("20 06:00", known(ended("20 04:00", minutes=90), CAME), ("on time", "good")),
    "too long before the watch": ("20 06:00", known(ended("20 05:50", minutes=41), since=at("20 05:55")), ("on time", "good")),
    # one run is not taken for two slots
    "yesterday's came late, and today's did not": ("20 06:00", known(ended("18 05:50"), ended("19 09:00")), ("missing", "firing")),
    "yesterday's did not come, and today's did": ("20 06:00", known(ended("18 05:50"), CAME), ("on time", "good")),
    "yesterday's came, and one more behind it": ("20 06:00", known(YESTERDAY, ended("19 09:00")), ("on time", "good")),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_said(case) -> None:
    now, of, expected = CASES[case]
    assert found(now, of) == expected


def test_grace_is_time_after_the_slot() -> None:
    grace = timedelta(minutes=15)
    assert found("20 06:14", known(YESTERDAY), grace) == ("on time", "good")
    assert found("20 06:15", known(YESTERDAY), grace) == ("missing", "firing")
    assert found("20 06:15", known(YESTERDAY, ended("20 06:15")), grace) == ("on time", "good")
    finding = judge(DAILY, known(YESTERDAY), at("20 06:20"), grace)
    assert finding.reason == ("due by Fri 2026-11-20 06:00 UTC with 15 minutes of grace; the last one ended at Thu 2026-11-19 05:50 UTC")


def test_a_reason_says_the_schedules_own_clock() -> None:
    berlin, _ = parse_schedule("t every day by 06:00 Europe/Berlin, at most 40 minutes")
    assert berlin is not None
    assert judge(berlin, known(YESTERDAY, begun=(begun("20 04:10"),)), at("20 05:05"), NO_GRACE).reason == (
        "a run began at Fri 2026-11-20 05:10 Europe/Berlin and has not ended, at most 40 minutes; "
        "due by Fri 2026-11-20 06:00 Europe/Berlin; a run began at Fri 2026-11-20 05:10 Europe/Berlin and has not ended"
    )
    long = known(ended("20 04:55", minutes=40.01))
    assert judge(berlin, long, at("20 05:00"), NO_GRACE).reason == (
        "the run that ended at Fri 2026-11-20 05:55 Europe/Berlin took 41 minutes, at most 40 minutes"
    )


RUNS = st.lists(
    st.builds(
        lambda hours, took, status, told: EndedRun(
            run_id="r",
            started_at=at("15 00:00") + timedelta(hours=hours, minutes=-took),
            ended_at=at("15 00:00") + timedelta(hours=hours),
            status=status,
            reported=told,
        ),
        st.integers(0, 24 * 6),
        st.integers(0, 90),
        st.sampled_from(["passed", "failed", "errored", "cancelled", "unknown"]),
        st.booleans(),
    ),
    max_size=12,
).map(lambda runs: tuple(sorted(runs, key=lambda run: run.ended_at)))


@settings(deadline=None)
@given(runs=RUNS, hours=st.integers(1, 24 * 5))
def test_what_a_later_look_says_is_never_about_an_earlier_time(runs, hours) -> None:
    """Else the state would take it for an older run's verdict, and it would change nothing."""
    last = None
    for hour in range(hours, 24 * 6, 3):
        now = at("15 00:00") + timedelta(hours=hour)
        past = known(*(run for run in runs if run.ended_at <= now))
        finding = judge(DAILY, past, now, NO_GRACE)
        assert finding.at <= now
        if finding.outcome in ("firing", "good"):
            assert last is None or finding.at >= last
            last = finding.at


@settings(deadline=None)
@given(runs=RUNS, hours=st.integers(1, 24 * 6))
def test_runs_before_the_slots_that_are_looked_back_at_change_nothing(runs, hours) -> None:
    now = at("15 00:00") + timedelta(hours=hours)
    since = earliest(DAILY, now, NO_GRACE)
    past = [run for run in runs if run.ended_at <= now]
    whole, cut = (judge(DAILY, known(*some), now, NO_GRACE) for some in (past, [run for run in past if run.ended_at >= since]))
    # Only of a run before them can it be said that it took too long.
    before = whole.what == "too long" and whole.run is not None and whole.run.ended_at < since
    assert before or (whole.what, whole.outcome, whole.at) == (cut.what, cut.outcome, cut.at)
