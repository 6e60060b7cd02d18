"""The text of a schedule: `sales.orders every day by 06:00 Europe/Berlin, at most 40 minutes`.

TABLE every day|weekday|DAY and DAY ... by HH:MM [ZONE]
TABLE hourly [by :MM] [ZONE]
TABLE cron MINUTE HOUR DAY MONTH WEEKDAY [ZONE]
each with: , at most DURATION   , grace DURATION
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from difflib import get_close_matches

from spark_pd.model.recurring_window import clock_of
from spark_pd.runs.schedules.schedule import Schedule

EXAMPLE = "sales.orders every day by 06:00 Europe/Berlin, at most 40 minutes"
FORMS = "every day by 06:00, every weekday by 06:00, every monday and friday by 06:00, hourly, hourly by :15, or cron 0 6 * * *"
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LONGEST = timedelta(days=31)

_TABLE = re.compile(r"((?:`[^`]*`|[^\s`])+)\s+(.*)", re.DOTALL)
_ZONE = r"(?: (?:in )?(?P<zone>\S+))?"
_EVERY = re.compile(rf"every (?P<days>\S+(?: and \S+)*) by (?P<time>\S+){_ZONE}", re.IGNORECASE)
_HOURLY = re.compile(rf"hourly(?: by (?P<minute>\S+))?{_ZONE}", re.IGNORECASE)
_CRON = re.compile(rf"cron (?P<cron>\S+(?: \S+){{4}}){_ZONE}", re.IGNORECASE)
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_MINUTE = re.compile(r":([0-5]\d)", re.ASCII)
_LENGTH = re.compile(
    r"(?:(\d{1,6}) ?(?:days?|d))? ?(?:(\d{1,6}) ?(?:hours?|h))? ?(?:(\d{1,6}) ?(?:minutes?|mins?|m))?", re.ASCII | re.IGNORECASE
)


class _Mistakes(list[str]):
    """What is wrong with one text."""


def parse_schedule(text: str) -> tuple[Schedule | None, tuple[str, ...]]:
    """The schedule that a text means; or None, and everything that is wrong with it. Never raises."""
    match = _TABLE.fullmatch(" ".join(text.split()))
    if match is None:
        return None, (f"it has no table and no time; expected a schedule such as {EXAMPLE}",)
    return parse_when(match[1], match[2])


def parse_when(table: str, text: str) -> tuple[Schedule | None, tuple[str, ...]]:
    """The schedule of a table whose name is known, by the rest of its text."""
    mistakes = _Mistakes()
    recurrence, *limits = (" ".join(part.split()) for part in re.split(r",\s", f"{text} "))
    found = _recurrence(recurrence, mistakes)
    lengths = _limits(limits, mistakes)
    if not table.replace("`", "").strip():
        mistakes.append("the table's name is empty")
    if mistakes or found is None:
        return None, tuple(mistakes)
    when, cron, zone = found
    return Schedule(table=table, when=when, cron=cron, zone=zone, at_most=lengths.get("at most"), grace=lengths.get("grace")), ()


def _recurrence(text: str, mistakes: _Mistakes) -> tuple[str, str, str] | None:
    """In words, as cron, and the zone."""
    if match := _EVERY.fullmatch(text):
        days, time = _days(match["days"], mistakes), _time(match["time"], mistakes)
        zone = _zone(match["zone"], mistakes)
        if days is None or time is None:
            return None
        return f"every {days[0]} by {time[0]:02}:{time[1]:02} {zone}", f"{time[1]} {time[0]} * * {days[1]}", zone
    if match := _HOURLY.fullmatch(text):
        minute = _MINUTE.fullmatch(match["minute"] or ":00")
        zone = _zone(match["zone"], mistakes)
        if minute is None:
            mistakes.append(f"{match['minute']!r} is no minute of an hour; expected one such as :15, from :00 to :59")
            return None
        return f"hourly by :{minute[1]} {zone}", f"{int(minute[1])} * * * *", zone
    if match := _CRON.fullmatch(text):
        cron, zone = match["cron"], _zone(match["zone"], mistakes)
        return (f"cron {cron} {zone}", cron, zone) if _is_cron(cron, mistakes) else None
    mistakes.append(f"{text!r} says no time; expected {FORMS}, each with a time zone behind it or none for UTC")
    return None


def _days(text: str, mistakes: _Mistakes) -> tuple[str, str] | None:
    """The days in words, and as cron has them."""
    words = [word.lower() for word in re.split(r" and ", text, flags=re.IGNORECASE)]
    if words == ["day"]:
        return "day", "*"
    if words == ["weekday"]:
        return "weekday", "1-5"
    unknown = [word for word in words if word not in DAYS]
    for word in unknown:
        near = get_close_matches(word, (*DAYS, "day", "weekday"), n=1)
        advice = f"; did you mean {near[0]}?" if near else ""
        mistakes.append(f"{word!r} is no day; expected day, weekday, or days such as monday and friday{advice}")
    if unknown:
        return None
    numbers = sorted({DAYS.index(word) + 1 for word in words})
    return " and ".join(DAYS[number - 1] for number in numbers), ",".join(map(str, numbers))


def _time(text: str, mistakes: _Mistakes) -> tuple[int, int] | None:
    match = _TIME.fullmatch(text)
    if match is None:
        mistakes.append(f"{text!r} is no time of day; expected one such as 06:00, from 00:00 to 23:59")
        return None
    return int(match[1]), int(match[2])


def _zone(text: str | None, mistakes: _Mistakes) -> str:
    if text is None or text.upper() == "UTC":
        return "UTC"
    try:
        clock_of(text)
    except ValueError as error:
        mistakes.append(str(error))
    return text


def _is_cron(text: str, mistakes: _Mistakes) -> bool:
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(text, datetime(2024, 1, 1, tzinfo=timezone.utc)))
    except CronSimError as error:
        mistakes.append(f"{text!r} is no cron expression: {error}; expected five fields such as 0 6 * * 1-5")
    except StopIteration:
        mistakes.append(f"{text!r} never comes; expected a cron expression such as 0 6 * * 1-5")
    else:
        return True
    return False


def _limits(parts: Sequence[str], mistakes: _Mistakes) -> dict[str, timedelta]:
    """What is behind the commas, by its name."""
    found: dict[str, timedelta] = {}
    for part in parts:
        name = next((name for name in ("at most", "grace") if part.lower().startswith(f"{name} ")), None)
        if name is None:
            mistakes.append(f"{part!r} behind a comma says nothing; expected `at most 40 minutes` or `grace 10 minutes`")
            continue
        if name in found:
            mistakes.append(f"{name!r} is there twice; expected it once")
        length = _length(part[len(name) :].strip())
        if length is None:
            mistakes.append(
                f"{part[len(name) :].strip()!r} is no duration; expected one such as 40 minutes, 2 hours 30 minutes or 1d12h, "
                f"of {LONGEST.days} days at most"
            )
            continue
        found[name] = length
    return found


def _length(text: str) -> timedelta | None:
    match = _LENGTH.fullmatch(text)
    days, hours, minutes = (int(part or 0) for part in match.groups()) if match is not None else (0, 0, 0)
    length = timedelta(days=days, hours=hours, minutes=minutes)
    return length if timedelta(0) < length <= LONGEST else None
