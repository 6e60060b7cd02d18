"""A subject's earlier runs, and what follows from them: the previous run, the current streak of bad runs, flapping, the trend. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from spark_pd.model import ANNOUNCEMENTS

FLAPS = 4
"""A table flaps from this many changes between good and bad within `WINDOW` runs: twice good again and twice bad again."""
WINDOW = 10
TREND_RUNS = 5
"""The least number of values for a trend: fewer are on a line by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """One run, as the stats table has it. Counts in rows; unknown is None."""

    run_id: str
    started_at: datetime
    status: str
    exact: bool = False
    input_count: int | None = None
    error_count: int | None = None
    dropped_count: int | None = None
    rules: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """The failed percentage of each rule whose count is known."""
    firing: tuple[str, ...] = ()
    """The triggers that fired."""

    @property
    def bad(self) -> bool | None:
        """Whether it failed, or a trigger fired. None where that is unknown, or it was cancelled."""
        if self.status in ("failed", "errored") or any(trigger not in ANNOUNCEMENTS for trigger in self.firing):
            return True
        return None if self.status in ("unknown", "cancelled") else False

    @property
    def error_percentage(self) -> float | None:
        """error_count of input_count, in percent, unrounded. None for an empty input."""
        return _share(self.error_count, self.input_count)

    @property
    def drop_percentage(self) -> float | None:
        """dropped_count of input_count, in percent, unrounded."""
        return _share(self.dropped_count, self.input_count)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A subject's runs before this one, newest first; `unknown` says why they are not known."""

    runs: tuple[PastRun, ...] = ()
    unknown: str | None = None
    most: int = 30
    """The most exact runs in a baseline (spark.pd.history.runs)."""
    least: int = 7
    """The least exact runs for a baseline (spark.pd.history.min_runs)."""

    @property
    def exact(self) -> tuple[PastRun, ...]:
        """The last exact runs that passed: those whose counts describe a whole write."""
        whole = [run for run in self.runs if run.exact and run.status == "passed" and run.input_count is not None]
        return tuple(whole[: self.most])

    def details(self) -> dict[str, Any]:
        """What an alert's details say of earlier runs. Empty where there were none."""
        if not self.runs:
            return {}
        run = self.runs[0]
        previous = {
            "run_id": run.run_id,
            "started_at": run.started_at,
            "status": run.status,
            "input_count": run.input_count,
            "error_percentage": _rounded(run.error_percentage),
            "error_drop_percentage": _rounded(run.drop_percentage),
        }
        found: dict[str, Any] = {"previous": {name: value for name, value in previous.items() if value is not None}}
        streak = bad_streak(self.runs)
        if streak:
            first = streak[-1]
            found["first_bad_run"] = {"run_id": first.run_id, "started_at": first.started_at, "bad_runs_since": len(streak)}
        changes = flips(self.runs[:WINDOW])
        if changes >= FLAPS:
            found["flapping"] = f"{changes} changes between good and bad in the last {min(WINDOW, len(self.runs))} runs"
        return found


def bad_streak(runs: Sequence[PastRun]) -> tuple[PastRun, ...]:
    """The bad runs since the last good one, newest first. Runs that are neither good nor bad are left out."""
    streak = []
    for run in runs:
        if run.bad is False:
            break
        if run.bad:
            streak.append(run)
    return tuple(streak)


def flips(runs: Sequence[PastRun]) -> int:
    """How often a bad run follows a good one, or a good one a bad one. Runs that are neither are left out."""
    known = [run.bad for run in runs if run.bad is not None]
    return sum(one != other for one, other in pairwise(known))


def trend(values: Sequence[float]) -> float | None:
    """How much a value changes from run to run, given newest first: the median of the slopes between all pairs (Theil and Sen).

    One outlier does not change it much. None for fewer than `TREND_RUNS` values.
    """
    if len(values) < TREND_RUNS:
        return None
    slopes = sorted((values[i] - values[j]) / (j - i) for i in range(len(values)) for j in range(i + 1, len(values)))
    return median(slopes)


def median(ordered: Sequence[float]) -> float:
    """The median of sorted values."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _share(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else 100 * part / whole


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
