"""Mute windows: `0 22 * * 5 for 8h in Europe/Berlin` is every Friday from 22:00, for eight hours, by Berlin's clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

EXPECTED = "mute windows such as `0 22 * * 5 for 8h in Europe/Berlin`, several separated by `;`"
LONGEST = timedelta(days=31)  # whoever wants silence for longer switches the trigger off

_WINDOW = re.compile(r"(?P<cron>\S.*?)\s+for\s+(?P<length>\S+)(\s+in\s+(?P<zone>\S+))?", re.IGNORECASE | re.DOTALL)
_LENGTH = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class MuteWindow:
    """From each time that `cron` names, by the clock of `zone`, for `length`. The length is time that passes, whatever the clock does."""

    cron: str
    length: timedelta
    zone: str
    _clock: tzinfo

    def __str__(self) -> str:
        return f"{self.cron} for {_shown(self.length)} in {self.zone}"

    def covers(self, now: datetime) -> bool:
        """Whether the aware time `now` is in the window: from its start on, and not any more at its end.

        A start that the clock skips in spring is the moment of the change; one that it shows twice in autumn is the first of the two
        (cronsim follows Debian's cron), unless hour or minute are given with a star.
        """
        from cronsim import CronSim

        utc = now.astimezone(timezone.utc)
        earliest = utc - self.length
        for start in CronSim(self.cron, earliest.astimezone(self._clock)):
            at = start.astimezone(timezone.utc)
            if at > utc:
                return False
            # Between the two times that a clock shows in autumn, cron's next start may be in the past.
            if at > earliest:
                return True
        return False


def parse_windows(text: str) -> tuple[MuteWindow, ...]:
    """The windows that a text names. Raises ValueError, which says of the first that is none what is wrong with it."""
    return tuple(parse_window(part.strip()) for part in text.split(";") if part.strip())


def parse_window(text: str) -> MuteWindow:
    """One window. Raises ValueError, which says what is wrong with it."""
    from cronsim import CronSim, CronSimError

    match = _WINDOW.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} has another form")
    length = _length(match["length"])
    cron, zone = " ".join(match["cron"].split()), match["zone"] or "UTC"
    if len(cron.split()) != 5:
        raise ValueError(f"{cron!r} is no cron expression of five fields")
    clock = clock_of(zone)
    try:
        next(CronSim(cron, datetime(2024, 1, 1, tzinfo=timezone.utc)))
    except CronSimError as error:
        raise ValueError(f"{cron!r} is no cron expression: {error}") from None
    except StopIteration:
        raise ValueError(f"{cron!r} never comes") from None
    return MuteWindow(cron, length, zone, clock)


def _length(text: str) -> timedelta:
    match = _LENGTH.fullmatch(text)
    days, hours, minutes = (int(part or 0) for part in match.groups()) if match is not None else (0, 0, 0)
    length = timedelta(days=days, hours=hours, minutes=minutes)
    if not timedelta(0) < length <= LONGEST:
        raise ValueError(f"{text!r} is no duration such as 8h, 90m or 1d12h, of {LONGEST.days} days at most")
    return length


def clock_of(zone: str) -> tzinfo:
    """The clock of a time zone. Raises ValueError where there is no such zone."""
    if zone.upper() == "UTC":
        return timezone.utc
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(zone)
    except (LookupError, ValueError, OSError):  # not there, no name, a folder of names
        raise ValueError(f"{zone!r} is no time zone such as Europe/Berlin or UTC") from None


def _shown(length: timedelta) -> str:
    minutes = int(length.total_seconds()) // 60
    parts = ((minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "m"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)
