"""A subject's earlier runs, frozen, and what follows from them: the previous one, the present streak, flapping, the trend. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from spark_pd.model import ANNOUNCEMENTS

FLAPS = 4
"""Changes between good and bad within `WINDOW` runs from which on a table flaps: it was good again twice, and bad again twice."""
WINDOW = 10
TREND_RUNS = 5
"""Values that a trend takes at least: fewer lie on some line by chance."""


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
        """Whether it failed, or a trigger fired. None where it could not tell, or was cancelled."""
        if self.status in ("failed", "errored") or any(trigger not in ANNOUNCEMENTS for trigger in self.firing):
            return True
        return None if self.status in ("unknown", "cancelled") else False

    @property
    def error_percentage(self) -> float | None:
        """error_count of input_count, in percent, unrounded. None of an empty input: there is nothing to compare."""
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
    """Exact runs that a baseline is made of (spark.pd.history.runs)."""
    least: int = 7
    """Exact runs that it takes for one (spark.pd.history.min_runs)."""

    @property
    def exact(self) -> tuple[PastRun, ...]:
        """The last exact runs that were not stopped or cut short: those whose counts describe a whole write."""
        whole = [run for run in self.runs if run.exact and run.status == "passed" and run.input_count is not None]
        return tuple(whole[: self.most])

    def details(self) -> dict[str, Any]:
        """What an incident says of earlier runs. Empty where there were none."""
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
    """The bad runs that nothing good has come after, newest first. Runs that could not tell neither end it nor are in it."""
    streak = []
    for run in runs:
        if run.bad is False:
            break
        if run.bad:
            streak.append(run)
    return tuple(streak)


def flips(runs: Sequence[PastRun]) -> int:
    """How often a bad run follows a good one, or a good one a bad one. Runs that could not tell are passed over."""
    told = [run.bad for run in runs if run.bad is not None]
    return sum(one != other for one, other in pairwise(told))


def trend(values: Sequence[float]) -> float | None:
    """By how much a value changes from run to run, given newest first: the median of all slopes between two of them (Theil and Sen).

    One odd run does not bend it. None of fewer than `TREND_RUNS` values.
    """
    if len(values) < TREND_RUNS:
        return None
    slopes = sorted((values[i] - values[j]) / (j - i) for i in range(len(values)) for j in range(i + 1, len(values)))
    return median(slopes)


def median(ordered: Sequence[float]) -> float:
    """The middle of values in order; of the two in the middle their mean."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _share(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else 100 * part / whole


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
