"""A schedule: by when a table's run is expected, and how long it may take. Its slots are the times by which runs are due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from spark_pd.model.recurring_window import clock_of

# Looked back over, one after the other, until there are enough slots: most schedules are daily, and some come once in four years.
_SPANS = tuple(timedelta(hours=hours) for hours in (6, 60, 24 * 12, 24 * 100, 24 * 1000, 24 * 3200))


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When runs of a table are expected. What is None is as the settings say."""

    table: str
    """As it was given."""
    when: str
    """In words, such as `every day by 06:00 Europe/Berlin`."""
    cron: str
    """The same as a cron expression of five fields."""
    zone: str
    """The time zone by whose clock that is."""
    at_most: timedelta | None = None
    """How long a run may take. None: as long as it likes."""
    grace: timedelta | None = None
    """How long after a slot a run is not late yet."""
    product_id: str | None = None
    scope: str | None = None
    job: str | None = None

    def __str__(self) -> str:
        limits = (("at most", self.at_most), ("grace", self.grace))
        return ", ".join([f"{self.table} {self.when}", *(f"{name} {shown(length)}" for name, length in limits if length is not None)])

    def local(self, at: datetime) -> datetime:
        """That time by the schedule's clock."""
        return at.astimezone(clock_of(self.zone))

    def slots_until(self, until: datetime, most: int) -> tuple[datetime, ...]:
        """The last slots up to and with that aware time, in order, in UTC. Fewer than `most` where there were no more for years.

        A time that the clock skips in spring is due at the moment of the change; one that it shows twice in autumn at the first of the
        two. Every hour is every hour that passes (cronsim follows Debian's cron).
        """
        utc = until.astimezone(timezone.utc)
        found: list[datetime] = []
        for span in _SPANS:
            # Between the two times that a clock shows in autumn, cron's next one may be in the past.
            found = sorted({slot for slot in self._from(utc - span, utc) if slot <= utc})
            if len(found) >= most:
                break
        return tuple(found[-most:])

    def next_slot(self, after: datetime) -> datetime:
        """The first slot after that aware time, in UTC."""
        utc = after.astimezone(timezone.utc)
        return next(slot for slot in self._slots(utc) if slot > utc)

    def _from(self, start: datetime, until: datetime) -> Iterator[datetime]:
        for slot in self._slots(start):
            # An hour more, since slots are out of order where clocks change.
            if slot > until + timedelta(hours=3):
                return
            yield slot

    def _slots(self, start: datetime) -> Iterator[datetime]:
        from cronsim import CronSim

        for slot in CronSim(self.cron, start.astimezone(clock_of(self.zone))):
            yield slot.astimezone(timezone.utc)


def shown(length: timedelta) -> str:
    """A duration in words: `1 hour 30 minutes`."""
    minutes = int(length.total_seconds()) // 60
    parts = ((minutes // 1440, "day"), (minutes // 60 % 24, "hour"), (minutes % 60, "minute"))
    return " ".join(f"{number} {noun}{'' if number == 1 else 's'}" for number, noun in parts if number) or "0 minutes"
