"""The slots of schedules, where clocks change as well."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spark_pd.runs.schedules.schedule import Schedule
from spark_pd.runs.schedules.schedule_grammar import parse_schedule

UTC = timezone.utc


def schedule(text: str) -> Schedule:
    found, mistakes = parse_schedule(f"t {text}")
    assert found is not None, mistakes
    return found


def told(slots: tuple[datetime, ...]) -> list[str]:
    return [f"{slot:%m-%d %H:%M}" for slot in slots]


CASES = {
    "a day is a day of the zone": ("every day by 06:00 Europe/Berlin", "2026-01-03 05:00", 2, ["01-02 05:00", "01-03 05:00"]),
    "not due yet": ("every day by 06:00 Europe/Berlin", "2026-01-03 04:59", 1, ["01-02 05:00"]),
    "summer": ("every day by 06:00 Europe/Berlin", "2026-03-30 00:00", 2, ["03-28 05:00", "03-29 04:00"]),
    "the hour that does not exist": ("every day by 02:30 Europe/Berlin", "2026-03-29 12:00", 2, ["03-28 01:30", "03-29 01:00"]),
    "the hour that comes twice": ("every day by 02:30 Europe/Berlin", "2026-10-26 12:00", 3, ["10-24 00:30", "10-25 00:30", "10-26 01:30"]),
    "between the two": ("every day by 02:30 Europe/Berlin", "2026-10-25 01:15", 2, ["10-24 00:30", "10-25 00:30"]),
    "hourly in spring": ("hourly Europe/Berlin", "2026-03-29 02:00", 3, ["03-29 00:00", "03-29 01:00", "03-29 02:00"]),
    "hourly in autumn": ("hourly by :15 Europe/Berlin", "2026-10-25 02:15", 3, ["10-25 00:15", "10-25 01:15", "10-25 02:15"]),
    "a half hour of summer time": ("every day by 02:00 Australia/Lord_Howe", "2026-10-04 12:00", 2, ["10-02 15:30", "10-03 15:30"]),
    "no midnight": ("every day by 00:00 Asia/Beirut", "2026-03-29 12:00", 2, ["03-27 22:00", "03-28 22:00"]),
    "a skipped day": ("every day by 12:00 Pacific/Apia", "2011-12-31 12:00", 3, ["12-29 22:00", "12-30 10:00", "12-30 22:00"]),
    "weekdays": ("every weekday by 06:00", "2026-11-23 05:00", 2, ["11-19 06:00", "11-20 06:00"]),
    "two days": ("every monday and friday by 06:00", "2026-11-23 06:00", 2, ["11-20 06:00", "11-23 06:00"]),
    "once in four years": ("cron 0 6 29 2 *", "2026-11-23 06:00", 2, ["02-29 06:00", "02-29 06:00"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_slots_up_to_a_time(case) -> None:
    text, until, most, expected = CASES[case]
    assert told(schedule(text).slots_until(datetime.fromisoformat(f"{until}+00:00"), most)) == expected


def test_the_next_slot_is_behind_the_last_one() -> None:
    daily = schedule("every day by 02:30 Europe/Berlin")
    assert told((daily.next_slot(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),)) == ["10-26 01:30"]
    assert told((daily.next_slot(datetime(2026, 10, 25, 0, 29, 59, tzinfo=UTC)),)) == ["10-25 00:30"]


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata", "America/Havana"]
    ),
    at=st.times(),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),
)
@example(zone="Europe/Berlin", at=datetime(2026, 1, 1, 2, 30).time(), start=datetime(2026, 10, 25, 0, 45, tzinfo=UTC))
def test_every_day_has_one_slot_and_the_clock_shows_its_time_where_it_can(zone, at, start) -> None:
    daily = schedule(f"every day by {at:%H:%M} {zone}")
    slots = daily.slots_until(start, 10)
    clock = ZoneInfo(zone)
    days = [slot.astimezone(clock).date() for slot in slots]
    assert len(slots) == 10
    assert days == [days[0] + timedelta(days=n) for n in range(10)]
    for slot in slots:
        local = slot.astimezone(clock)
        there = local.replace(hour=at.hour, minute=at.minute, fold=0)
        exists = there.astimezone(UTC).astimezone(clock).replace(fold=0) == there
        assert not exists or slot == there.astimezone(UTC)
    assert slots[-1] <= start < daily.next_slot(start)
    assert daily.next_slot(start) - slots[-1] <= timedelta(hours=26)


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
    minute=st.integers(0, 59),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),
)
def test_hourly_is_every_hour_that_passes(zone, minute, start) -> None:
    slots = schedule(f"hourly by :{minute:02} {zone}").slots_until(start, 30)
    assert [b - a for a, b in pairwise(slots)] == [timedelta(hours=1)] * 29
    assert slots[-1] <= start < slots[-1] + timedelta(hours=1)
