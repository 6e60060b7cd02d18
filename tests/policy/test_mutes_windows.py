"""Mute windows, by the clock of their zone: also on the two days a year on which that clock jumps."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.model.recurring_window import parse_windows

UTC = timezone.utc


def muted(text: str, at: str) -> bool:
    """Whether one of the windows covers a time, given as ISO 8601 with its offset."""
    return any(window.covers(datetime.fromisoformat(at)) for window in parse_windows(text))


FRIDAY_NIGHT = "0 22 * * 5 for 8h in Europe/Berlin"


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        # 2026-11-20 is a Friday; Berlin is at +01:00
        (FRIDAY_NIGHT, "2026-11-20T21:59:59+01:00", False),
        (FRIDAY_NIGHT, "2026-11-20T22:00:00+01:00", True),
        (FRIDAY_NIGHT, "2026-11-20T22:00:00.000001+01:00", True),
        (FRIDAY_NIGHT, "2026-11-21T05:59:59.999999+01:00", True),
        (FRIDAY_NIGHT, "2026-11-21T06:00:00+01:00", False),
        (FRIDAY_NIGHT, "2026-11-20T21:30:00+00:00", True),
        (FRIDAY_NIGHT, "2026-11-21T22:30:00+01:00", False),
        # in summer Berlin is at +02:00
        (FRIDAY_NIGHT, "2026-07-03T20:00:00+00:00", True),
        (FRIDAY_NIGHT, "2026-07-03T19:59:00+00:00", False),
        ("0 22 * * 5 for 8h", "2026-11-20T22:00:00+00:00", True),
        ("0 22 * * 5 for 8h in utc", "2026-11-20T21:59:00+00:00", False),
        ("0 0 1 1 * for 1h; */10 * * * * for 5m", "2026-11-20T12:14:00+00:00", True),
        ("0 0 1 1 * for 1h; */10 * * * * for 5m", "2026-11-20T12:15:00+00:00", False),
        ("0 6 * * 6,0 for 1d12h", "2026-11-23T17:59:00+00:00", True),
        ("0 6 * * 6,0 for 1d12h", "2026-11-23T18:00:00+00:00", False),
        ("* * * * * for 1m", "2031-02-03T04:05:06+07:00", True),
        # Berlin, 2026-03-29: at 02:00 the clock jumps to 03:00. A window across it is as long as ever.
        ("0 1 * * * for 3h in Europe/Berlin", "2026-03-29T04:59:00+02:00", True),
        ("0 1 * * * for 3h in Europe/Berlin", "2026-03-29T05:00:00+02:00", False),
        # a start that the clock skips is the moment of the jump
        ("30 2 * * * for 1h in Europe/Berlin", "2026-03-29T01:59:59+01:00", False),
        ("30 2 * * * for 1h in Europe/Berlin", "2026-03-29T03:00:00+02:00", True),
        ("30 2 * * * for 1h in Europe/Berlin", "2026-03-29T03:59:00+02:00", True),
        ("30 2 * * * for 1h in Europe/Berlin", "2026-03-29T04:00:00+02:00", False),
        # Berlin, 2026-10-25: at 03:00 +02:00 the clock goes back to 02:00 +01:00. A start that it shows twice is the first of the two.
        ("30 2 * * * for 1h in Europe/Berlin", "2026-10-25T02:30:00+02:00", True),
        ("30 2 * * * for 1h in Europe/Berlin", "2026-10-25T02:29:00+01:00", True),
        ("30 2 * * * for 1h in Europe/Berlin", "2026-10-25T02:30:00+01:00", False),
        ("30 2 * * * for 1h in Europe/Berlin", "2026-10-25T02:45:00+01:00", False),
        ("30 2 * * * for 1h in Europe/Berlin", "2026-10-26T02:45:00+01:00", True),
        ("0 22 * * 6 for 8h in Europe/Berlin", "2026-10-25T04:59:00+01:00", True),
        ("0 22 * * 6 for 8h in Europe/Berlin", "2026-10-25T05:00:00+01:00", False),
        # New York changes on other days
        ("0 22 * * 6 for 8h in America/New_York", "2026-11-01T04:59:00-05:00", True),
        ("0 22 * * 6 for 8h in America/New_York", "2026-11-01T05:00:00-05:00", False),
    ],
)
def test_what_a_window_covers(text: str, at: str, expected: bool) -> None:
    assert muted(text, at) is expected


@given(
    at=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    minutes=st.integers(1, 3 * 1440),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_a_daily_window_covers_what_lies_between_a_start_and_its_end(at, minute, hour, minutes, zone):
    from zoneinfo import ZoneInfo

    length = timedelta(minutes=minutes)
    (window,) = parse_windows(f"{minute} {hour} * * * for {minutes}m in {zone}")
    clock = ZoneInfo(zone)
    here = at.astimezone(clock)
    days = [here.date() - timedelta(days=n) for n in range(-1, 6)]
    starts = [datetime(day.year, day.month, day.day, hour, minute, tzinfo=clock) for day in days]
    if any(start.astimezone(UTC).astimezone(clock) != start for start in starts):
        return  # skipped by the clock: the table has these
    assert window.covers(at) is any(start.astimezone(UTC) <= at < start.astimezone(UTC) + length for start in starts)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("always", "'always' has another form"),
        ("0 22 * * 5", "has another form"),
        ("for 8h", "has another form"),
        ("0 22 * * for 8h", "no cron expression of five fields"),
        ("0 0 22 * * 5 for 8h", "no cron expression of five fields"),
        ("60 * * * * for 8h", "'60 * * * *' is no cron expression: Bad minute"),
        ("0 0 31 2 * for 8h", "is no cron expression"),
        ("0 22 * * 5 for", "has another form"),
        ("0 22 * * 5 for 8", "'8' is no duration such as 8h"),
        ("0 22 * * 5 for 0h", "is no duration"),
        ("0 22 * * 5 for 32d", "31 days at most"),
        ("0 22 * * 5 for 8h in Atlantis/Centre", "is no time zone"),
        ("0 22 * * 5 for 8h in ../../etc/passwd", "is no time zone"),
        ("0 22 * * 5 for 8h in Europe", "is no time zone"),
        ("0 22 * * 5 for 8h on Friday", "has another form"),
    ],
)
def test_a_window_that_is_none_says_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_windows(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize("text", [FRIDAY_NIGHT, "*/5 1,2 * JAN MON for 1d2h3m in UTC"])
def test_a_window_s_text_is_a_window(text: str) -> None:
    (window,) = parse_windows(text)
    assert parse_windows(str(window)) == (window,)
