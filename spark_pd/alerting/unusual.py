"""The triggers `unusual_volume` and `unusual_errors`: does this run lie outside of what is usual for its subject? Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spark_pd.alerting.baseline import POINTS_FLOOR, Baseline, baseline_of
from spark_pd.alerting.past_runs import History, PastRun
from spark_pd.model import Outcome

NO_HISTORY = "there is no history: spark.pd.stats.table is not set"
ROWS_FLOOR = 1.0
VOLUME, ERRORS = "unusual_volume", "unusual_errors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusual:
    """One value that was held against its baseline."""

    name: str
    value: float
    baseline: Baseline
    limit: float
    percent: bool

    @property
    def score(self) -> float:
        """Sigmas from the median."""
        return self.baseline.score(self.value)

    @property
    def outside(self) -> bool:
        """Whether it lies outside the expected range. Of percentages, which are all of errors, fewer than ever are good news."""
        low, high = self.baseline.range(self.limit)
        return self.value > high or (not self.percent and self.value < low)

    @property
    def expected(self) -> str:
        """The expected range in words: `900 to 1,100 rows`, `at most 2.5 %`."""
        low, high = self.baseline.range(self.limit)
        if self.percent:
            return f"at most {_number(high)} %"
        return f"{max(0, low):,.0f} to {high:,.0f} rows"

    @property
    def found(self) -> str:
        """The value in words."""
        return f"{_number(self.value)} %" if self.percent else f"{self.value:,.0f} rows"

    def details(self) -> dict[str, Any]:
        """What an incident says of it."""
        low, high = self.baseline.range(self.limit)
        return {
            "of": self.name,
            "value": round(self.value, 4),
            "expected": self.expected,
            "expected_from": 0.0 if self.percent else round(max(0.0, low), 4),
            "expected_to": round(high, 4),
            "median": round(self.baseline.median, 4),
            "sigmas": round(self.score, 2),
            "runs": self.baseline.runs,
            "same_weekday_only": self.baseline.weekday,
        }


def judge_unusual(trigger: str, this: PastRun, history: History | None, limit: float) -> tuple[Outcome, str, tuple[Unusual, ...]]:
    """What the trigger concludes of a run whose counts are known, why, and the values outside their range, the furthest first.

    limit: sigmas. Where there are too few earlier runs it is `none`, and `unknown` where they could not be read.
    """
    if history is None:
        return "none", NO_HISTORY, ()
    if history.unknown is not None:
        return "unknown", f"the history could not be read: {history.unknown}", ()
    past = history.exact
    if len(past) < history.least:
        return "none", f"{_runs(len(past))} so far, and it takes {history.least} (spark.pd.history.min_runs)", ()
    held = tuple(_held(trigger, this, history, limit))
    odd = tuple(sorted((each for each in held if each.outside), key=lambda each: -abs(each.score)))
    if odd:
        return "firing", f"{_told(odd[0])}{_more(len(odd) - 1)}", odd
    if not this.input_count:
        return "none", "the input was empty, as is usual", ()
    return "good", _told(held[0]) if held else "there is nothing to compare it with", ()


def _held(trigger: str, this: PastRun, history: History, limit: float) -> list[Unusual]:
    """The run's values that have a baseline."""
    if trigger == VOLUME:
        volume = _against("input_count", this, history, limit, lambda run: run.input_count, percent=False)
        return [volume] if volume else []
    values: dict[str, Callable[[PastRun], float | None]] = {
        "error_percentage": lambda run: run.error_percentage,
        "error_drop_percentage": lambda run: run.drop_percentage,
    }
    for name in this.rules:
        values[f"rule {name}"] = _of_rule(name)
    held = (_against(name, this, history, limit, value, percent=True) for name, value in values.items())
    return [each for each in held if each is not None]


def _of_rule(name: str) -> Callable[[PastRun], float | None]:
    return lambda run: run.rules.get(name)


def _against(
    name: str, this: PastRun, history: History, limit: float, value: Callable[[PastRun], float | None], *, percent: bool
) -> Unusual | None:
    here = value(this)
    if here is None:
        return None
    past = [(run.started_at, float(found)) for run in history.exact if (found := value(run)) is not None]
    baseline = baseline_of(past, this.started_at, least=history.least, floor=POINTS_FLOOR if percent else ROWS_FLOOR)
    return None if baseline is None else Unusual(name=name, value=float(here), baseline=baseline, limit=limit, percent=percent)


def _told(one: Unusual) -> str:
    of = "rows" if one.name == "input_count" else one.name
    usual = f"expected {one.expected}, from {one.baseline.runs} runs{' of the same weekday' if one.baseline.weekday else ''}"
    return f"{one.found} ({usual})" if of == "rows" else f"{of} is {one.found} ({usual})"


def _more(count: int) -> str:
    return f" and {count} more" if count else ""


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _runs(count: int) -> str:
    return f"{count} exact run{'' if count == 1 else 's'}"
