"""What is usual: the median and the MAD of earlier runs, and the range around them that is expected. Pure.

A value's modified z-score is 0.6745 * (value - median) / MAD, MAD being the median of the absolute deviations from the median; 0.6745 makes
it comparable with a standard deviation for values that are normally distributed (Iglewicz and Hoaglin, How to Detect and Handle Outliers,
ASQC 1993, who call values beyond 3.5 outliers). A few outliers hardly change the median and the MAD, so bad runs stay in the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from spark_pd.alerting.past_runs import median

CONSISTENCY = 0.6745
"""The 0.75 quantile of the standard normal distribution."""
RELATIVE_FLOOR = 0.05
"""The least sigma, as a share of the median. A table with the same number of rows every day has a MAD of 0; one more row is not unusual."""
POINTS_FLOOR = 0.5
"""The least sigma of percentages, in percentage points: their median is mostly 0."""
SAME_DAYS = 4
"""From this many days of one weekday on, the baseline is made of the runs of that weekday only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What is usual for one value, from `runs` earlier ones."""

    median: float
    sigma: float
    """MAD / 0.6745, or the floor where that is larger."""
    runs: int
    weekday: bool = False
    """Whether only runs of the same weekday are in it."""

    def range(self, limit: float) -> tuple[float, float]:
        """The lowest and the highest expected value: `limit` sigmas around the median."""
        return self.median - limit * self.sigma, self.median + limit * self.sigma

    def score(self, value: float) -> float:
        """How many sigmas a value is from the median; negative below it."""
        return (value - self.median) / self.sigma


def baseline_of(
    past: Sequence[tuple[datetime, float]], at: datetime, *, least: int, floor: float, relative_floor: float = RELATIVE_FLOOR
) -> Baseline | None:
    """The baseline for a run that started `at`, from the times and values of earlier ones; None for fewer than `least`.

    floor, relative_floor: the least sigma, in the value's unit and as a share of the median. Where the runs of the same weekday (UTC) are
    of at least `SAME_DAYS` days, only they count.
    """
    if len(past) < max(1, least):
        return None
    same = [(then, value) for then, value in past if then.weekday() == at.weekday()]
    weekday = len({then.date() for then, _ in same}) >= SAME_DAYS
    values = sorted(value for _, value in (same if weekday else past))
    middle = median(values)
    mad = median(sorted(abs(value - middle) for value in values))
    return Baseline(median=middle, sigma=max(mad / CONSISTENCY, floor, relative_floor * abs(middle)), runs=len(values), weekday=weekday)
