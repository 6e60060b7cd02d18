"""The triggers `unusual_volume` and `unusual_errors`, which compare a run with the earlier runs of its subject. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from spark_pd.alerting.baseline import POINTS_FLOOR, Baseline, baseline_of
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.past_runs import History, PastRun
from spark_pd.alerting.trigger import Conclusion, Trigger, missing
from spark_pd.alerting.wording import plural

ROWS_FLOOR = 1.0
OUTLIER = 3.5  # sigmas; see baseline.py
IN_DETAILS = 50
INPUT = "input_count"
Values: TypeAlias = Callable[[PastRun], dict[str, float | None]]
"""The values of a run that a trigger compares, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusual:
    """A value of the run, compared with its baseline."""

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
        """Whether it is outside the expected range. The percentages are of errors, so low ones are never outside."""
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
        """What an alert's details say of it."""
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


def judge_unusual(values: Values, this: PastRun, history: History, limit: float) -> tuple[Conclusion, tuple[Unusual, ...]]:
    """What the history says of a run whose counts are known, and the values outside their range, the furthest first.

    limit: sigmas. The outcome is `none` where there are too few earlier runs, and `unknown` where they could not be read.
    """
    if history.unknown is not None:
        return Conclusion("unknown", f"the history could not be read: {history.unknown}"), ()
    past = history.exact
    if len(past) < history.least:
        so_far = plural(len(past), "exact run")
        return Conclusion("none", f"{so_far} so far, and {history.least} are needed (spark.pd.history.min_runs)"), ()
    before = [(run.started_at, values(run)) for run in past]
    compared = []
    for name, value in values(this).items():
        floor = ROWS_FLOOR if name == INPUT else POINTS_FLOOR
        known = [(at, float(found)) for at, each in before if (found := each.get(name)) is not None]
        baseline = baseline_of(known, this.started_at, least=history.least, floor=floor)
        if value is not None and baseline is not None:
            compared.append(Unusual(name=name, value=float(value), baseline=baseline, limit=limit, percent=name != INPUT))
    odd = tuple(sorted((each for each in compared if each.outside), key=lambda each: -abs(each.score)))
    if odd:
        return Conclusion("firing", _sentence(odd[0]) + (f" and {len(odd) - 1} more" if len(odd) > 1 else "")), odd
    if not this.input_count:
        return Conclusion("none", "the input was empty, as is usual"), ()
    return Conclusion("good", _sentence(compared[0]) if compared else "there is no earlier value to compare it with"), ()


def volume(run: PastRun) -> dict[str, float | None]:
    """The value that unusual_volume compares."""
    return {INPUT: run.input_count}


def errors(run: PastRun) -> dict[str, float | None]:
    """The values that unusual_errors compares: the run's percentages, and that of each of its rules."""
    rules = {f"rule {name}": share for name, share in run.rules.items()}
    return {"error_percentage": run.error_percentage, "error_drop_percentage": run.drop_percentage, **rules}


def _sentence(one: Unusual) -> str:
    weekday = " of the same weekday" if one.baseline.weekday else ""
    found = f"{one.found} (expected {one.expected}, from {one.baseline.runs} runs{weekday})"
    return f"{one.name} is {found}" if one.percent else found


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _judge(values: Values, noun: str) -> Callable[[RunFacts, TriggerSettings, Trigger], Conclusion]:
    def judge(facts: RunFacts, settings: TriggerSettings, trigger: Trigger) -> Conclusion:
        """What the history says of the run."""
        cannot, stats, history = missing(facts, "counts"), facts.stats, facts.history
        assert history is not None
        # An empty input is judged too: it may be an unusual volume.
        if stats is None or (cannot is not None and stats.input_count != 0):
            return cannot or Conclusion("none", facts.unchecked)
        this = PastRun(
            run_id=facts.run_id,
            started_at=facts.started_at,
            status=facts.status,
            input_count=stats.input_count,
            error_count=stats.error_count,
            dropped_count=stats.dropped_count,
            rules={r.name: r.failed_percentage for r in stats.rules if r.failed_percentage is not None},
        )
        found, odd = judge_unusual(values, this, history, trigger.limit_in(settings) or 0.0)
        details = {"unusual": [each.details() for each in odd[:IN_DETAILS]] or None}
        return replace(found, headline=f"had unusual {noun}: {found.reason}", details=details)

    return judge


UNUSUAL_VOLUME = Trigger(name="unusual_volume", judge=_judge(volume, "volume"), needs=("history",), limit=OUTLIER)
UNUSUAL_ERRORS = Trigger(name="unusual_errors", judge=_judge(errors, "errors"), needs=("history",), limit=OUTLIER)
