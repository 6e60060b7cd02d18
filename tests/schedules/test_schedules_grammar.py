"""The text of schedules: what it means, and what is said of a text that means none."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_pd.model.errors import SettingsError
from spark_pd.runs.schedules.schedule import Schedule, shown
from spark_pd.runs.schedules.schedule_grammar import DAYS, parse_schedule
from spark_pd.runs.schedules.schedules_file import schedules_of

MEANT = {
    "sales.orders every day by 06:00 Europe/Berlin, at most 40 minutes": (
        "0 6 * * *", "Europe/Berlin", timedelta(minutes=40), None, "sales.orders every day by 06:00 Europe/Berlin, at most 40 minutes",
    ),
    "t every weekday by 6:05": ("5 6 * * 1-5", "UTC", None, None, "t every weekday by 06:05 UTC"),
    "t every friday and Monday by 23:59 in Asia/Kolkata, grace 1d12h": (
        "59 23 * * 1,5", "Asia/Kolkata", None, timedelta(hours=36), "t every monday and friday by 23:59 Asia/Kolkata, grace 1 day 12 hours",
    ),
    "  t   HOURLY ": ("0 * * * *", "UTC", None, None, "t hourly by :00 UTC"),
    "t hourly by :15 America/New_York": ("15 * * * *", "America/New_York", None, None, "t hourly by :15 America/New_York"),
    "`a b`.`c` cron 0 6,18 * * 1-5 utc, grace 90m, at most 2 hours 30 minutes": (
        "0 6,18 * * 1-5", "UTC", timedelta(minutes=150), timedelta(minutes=90),
        "`a b`.`c` cron 0 6,18 * * 1-5 UTC, at most 2 hours 30 minutes, grace 1 hour 30 minutes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", MEANT)
def test_a_text_means_one_schedule(text) -> None:
    schedule, mistakes = parse_schedule(text)
    assert mistakes == ()
    assert schedule is not None
    assert (schedule.cron, schedule.zone, schedule.at_most, schedule.grace, str(schedule)) == MEANT[text]


WRONG = {
    "": ["it has no table and no time; expected a schedule such as sales.orders every day by 06:00 Europe/Berlin, at most 40 minutes"],
    "sales.orders": ["it has no table and no time"],
    "t sometimes": ["'sometimes' says no time; expected every day by 06:00"],
    "t every day": ["'every day' says no time"],
    "t every mondey by 06:00": ["'mondey' is no day; expected day, weekday, or days such as monday and friday; did you mean monday?"],
    "t every day by 24:00": ["'24:00' is no time of day; expected one such as 06:00, from 00:00 to 23:59"],
    "t every day by 06:00 Europe/Berlim": ["'Europe/Berlim' is no time zone such as Europe/Berlin or UTC"],
    "t hourly by 15": ["'15' is no minute of an hour; expected one such as :15"],
    "t cron 0 25 * * *": ["'0 25 * * *' is no cron expression"],
    "t cron 0 0 30 2 *": ["'0 0 30 2 *' is no cron expression"],
    "t cron 0 6 * *": ["says no time"],
    "t every day by 06:00, at most soon": ["'soon' is no duration; expected one such as 40 minutes"],
    "t every day by 06:00, at most 0 minutes": ["'0 minutes' is no duration"],
    "t every day by 06:00, at most 32 days": ["of 31 days at most"],
    "t every day by 06:00, at least 3 rows": ["'at least 3 rows' behind a comma says nothing"],
    "t every day by 06:00,": ["'' behind a comma says nothing"],
    "t every day by 06:00, grace 1m, grace 2m": ["'grace' is there twice"],
    "t every day by 6 Nowhere/Land, at most never": ["'6' is no time of day", "'Nowhere/Land' is no time zone", "'never' is no duration"],
}


@pytest.mark.parametrize("text", WRONG)
def test_everything_that_is_wrong_with_a_text_is_named(text) -> None:
    schedule, mistakes = parse_schedule(text)
    assert schedule is None
    assert len(mistakes) == len(WRONG[text])
    assert all(expected in mistake for expected, mistake in zip(WRONG[text], mistakes, strict=True)), mistakes


ZONES = st.sampled_from([*sorted(name for name in available_timezones() if "/" in name), "UTC"])
LENGTHS = st.none() | st.integers(1, 31 * 1440).map(lambda minutes: timedelta(minutes=minutes))
DAY_SETS = st.sets(st.sampled_from(DAYS), min_size=1).map(lambda days: " and ".join(sorted(days, key=DAYS.index)))


@settings(deadline=None)
@given(
    table=st.from_regex(r"[a-z_]{1,8}(\.[a-z_]{1,8}){0,2}", fullmatch=True),
    when=st.one_of(
        st.tuples(st.sampled_from(["day", "weekday"]) | DAY_SETS, st.times()).map(lambda t: f"every {t[0]} by {t[1]:%H:%M}"),
        st.integers(0, 59).map(lambda minute: f"hourly by :{minute:02}"),
        st.tuples(st.integers(0, 59), st.integers(0, 23)).map(lambda t: f"cron {t[0]} {t[1]} * * *"),
    ),
    zone=ZONES,
    at_most=LENGTHS,
    grace=LENGTHS,
)
def test_a_schedule_reads_as_it_is_written(table, when, zone, at_most, grace) -> None:
    limits = "".join(f", {name} {shown(length)}" for name, length in (("at most", at_most), ("grace", grace)) if length)
    text = f"{table} {when} {zone}{limits}"
    schedule, mistakes = parse_schedule(text)
    assert (str(schedule), mistakes) == (text, ())
    assert schedule is not None
    assert (schedule.at_most, schedule.grace) == (at_most, grace)


@settings(deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="every day by 06:00,hourlycn*/ \t`", max_size=60))
def test_no_text_raises_and_each_is_a_schedule_or_says_why_not(text) -> None:
    schedule, mistakes = parse_schedule(text)
    assert isinstance(schedule, Schedule) != bool(mistakes)


def test_a_file_has_texts_and_entries_with_more_in_them(tmp_path) -> None:
    file = tmp_path / "schedules.yaml"
    file.write_text(
        "schedules:\n"
        "  - sales.orders every day by 06:00 Europe/Berlin\n"
        "  - {table: sales.orders, when: 'hourly, at most 20 minutes', scope: emea, product_id: sales, job: nightly}\n"
    )
    first, second = schedules_of((), file)
    assert str(first) == "sales.orders every day by 06:00 Europe/Berlin"
    assert (str(second), second.scope, second.product_id, second.job) == (
        "sales.orders hourly by :00 UTC, at most 20 minutes", "emea", "sales", "nightly",
    )  # fmt: skip


def test_all_mistakes_of_file_and_command_line_come_together_and_say_where_they_are(tmp_path) -> None:
    file = tmp_path / "schedules.yaml"
    file.write_text("- t hourly\n- {table: u}\n- 7\n- {table: v, when: hourly, wehn: daily}\n- {table: w, when: 'every dya by 06:00'}\n")
    with pytest.raises(SettingsError) as raised:
        schedules_of(["T hourly by :15", "x"], file)
    assert raised.value.mistakes == (
        "schedule 2 of the command line ('x'): it has no table and no time; expected a schedule such as sales.orders every day by 06:00 "
        "Europe/Berlin, at most 40 minutes",
        f"schedule 1 of {file} ('t hourly'): schedule 1 of the command line is about the same runs; expected one schedule for each table, "
        "scope and job: for several times a day use cron, such as cron 0 6,18 * * *",
        f"schedule 2 of {file} ('u'): when: Missing data for required field.",
        f"schedule 3 of {file} (7): it is no text such as 'sales.orders every day by 06:00 Europe/Berlin, at most 40 minutes', and no "
        "mapping with table and when",
        f"schedule 4 of {file} ('v'): wehn: Unknown field.",
        f"schedule 5 of {file} ('w'): 'dya' is no day; expected day, weekday, or days such as monday and friday; did you mean day?",
    )


@pytest.mark.parametrize(
    ("content", "said"), [("a: [", "is not valid YAML (line"), ("{}", "holds no list of schedules"), ("schedules: []", "holds no list")]
)
def test_a_file_that_holds_no_schedules_says_so(tmp_path, content, said) -> None:
    (tmp_path / "s.yaml").write_text(content)
    with pytest.raises(SettingsError, match=r"s\.yaml") as raised:
        schedules_of((), tmp_path / "s.yaml")
    assert said in str(raised.value)


def test_no_schedule_at_all_is_a_mistake() -> None:
    with pytest.raises(SettingsError, match="there is no schedule; give one, such as"):
        schedules_of((), None)
