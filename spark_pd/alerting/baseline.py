"""What is usual: median and MAD of earlier runs, and how far from it a value may lie. Pure.

A value's modified z-score is 0.6745 * (value - median) / MAD, MAD being the median of the absolute deviations from the median; 0.6745 makes
it comparable with a standard deviation for values that are normally distributed (Iglewicz and Hoaglin, How to Detect and Handle Outliers,
ASQC 1993, who call values beyond 3.5 outliers). Neither median nor MAD follows a few odd runs, so bad runs stay in the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from spark_pd.alerting.past_runs import median

CONSISTENCY = 0.6745
"""The 0.75 quantile of the standard normal distribution."""
RELATIVE_FLOOR = 0.05
"""Of the median: the least that counts as one sigma. A table that gets as many rows every day has a MAD of 0, and one more is no news."""
POINTS_FLOOR = 0.5
"""Percentage points: the same for percentages, whose median is mostly 0."""
SAME_DAYS = 4
"""Days of one weekday from which on a baseline is made of that weekday's runs alone: fewer say nothing of what is usual on it."""


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
        """The least and the most that is expected, `limit` sigmas around the median."""
        return self.median - limit * self.sigma, self.median + limit * self.sigma

    def score(self, value: float) -> float:
        """How many sigmas a value lies from the median; below it, negative."""
        return (value - self.median) / self.sigma


def baseline_of(
    past: Sequence[tuple[datetime, float]], at: datetime, *, least: int, floor: float, relative_floor: float = RELATIVE_FLOOR
) -> Baseline | None:
    """The baseline for a run that started `at`, from the times and values of earlier ones; None of fewer than `least`.

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
