"""One call of run.check: the checked DataFrame, and what is found of it when the run ends."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyspark.sql import DataFrame

from spark_pd.checks import constant_rules
from spark_pd.checks.aggregates_and_queries import NOTHING
from spark_pd.checks.before_write import judge_before_write, rule_results
from spark_pd.checks.counting import Counter, CountingMethod
from spark_pd.checks.counts import NEVER_WRITTEN, Counts, Reading, Unknown
from spark_pd.checks.failing_rows import FailingRows, read_again
from spark_pd.checks.observed_aggregates import observe_aggregates
from spark_pd.checks.validation import plans
from spark_pd.model import Counting, Rule, RuleResult
from spark_pd.model.errors import UsageError

_log = logging.getLogger("spark_pd.checks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The counts as RunStats shows them; None is unknown, and `unknown` says why."""

    input_count: int | None = None
    error_count: int | None = None
    dropped_count: int | None = None
    output_count: int | None = None
    rules: tuple[RuleResult, ...]
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class Samples:
    """How many failing rows of each rule are shown, and which columns' values; others are hidden."""

    most: int = 0
    columns: tuple[str, ...] = ()


NO_SAMPLES = Samples()


class Checked:
    """A checked DataFrame `df`, with the rules in `failed` that stop the run."""

    df: DataFrame
    """The rows that stay."""

    def __init__(
        self, df: Any, rules: Sequence[Rule], method: CountingMethod, *, keep_failing: bool = False, samples: Samples = NO_SAMPLES
    ) -> None:
        if not _is_dataframe(df):
            raise UsageError(f"run.check takes a Spark DataFrame, not {type(df).__module__}.{type(df).__name__}")
        self._plan, whole = plans(df, rules)
        constant_rules.warn(df, rules)
        self._df = df
        self._samples = samples
        self._kept: FailingRows | None = None
        self._sampled: Mapping[str, Any] = {}
        self._order = {rule.name: n for n, rule in enumerate(rules)}
        self.counting: Counting = method.counting
        self._observed, before = (None, whole) if method.counting == "two_pass" else observe_aggregates(df, self._plan, whole)
        self._before = judge_before_write(df, self._plan, before, NOTHING if self._observed is None else self._observed.whole)
        self._reading: Reading = Unknown(NEVER_WRITTEN)
        self._counter: Counter | None = None
        self.failed = self._before.failed
        if self._before.counts is not None:
            self._read(self._before.counts)
        self.failed = self._in_order(self.failed)
        self.df = df
        if not self.failed:
            source = df if self._observed is None else self._observed.source()
            self._counter = method.count(source, self._plan, keep_failing=keep_failing)
            self.df = self._counter.checked if self._observed is None else self._observed.target(self._counter.checked)

    def found(self, *, written: bool) -> Found:
        """What is known of the counts now. Never raises: what cannot be read is unknown."""
        if self._counter is None:
            return self._found(self._reading, stopped=True)
        try:
            reading = self._counter.read(written=written)
        except Exception as error:
            _log.debug("the counts could not be read", exc_info=True)
            reading = Unknown(
                f"the counts could not be read from Spark ({type(error).__name__}); was the session stopped inside the block?"
            )
        self._read(reading)
        return self._found(reading, stopped=False)

    def _read(self, reading: Reading) -> None:
        """Keep the counts, and take the samples of what they count."""
        self._reading = reading
        if self._samples.most:
            rows = self.failing()
            if isinstance(rows, FailingRows):
                try:
                    self._sampled = rows.samples(self._samples.most, self._samples.columns)
                except Exception as error:
                    _log.warning("no samples of failing rows could be taken: %s", type(error).__name__)

    def failing(self) -> FailingRows | Unknown | None:
        """The rows that fail a row rule, among those that were counted; None where there are none, Unknown where nothing was written."""
        reading = self._reading
        if isinstance(reading, Unknown) and not (reading.written or self.failed):
            return reading
        counted = reading.failed if isinstance(reading, Counts) else None
        if counted == 0 or not self._plan.rules:
            return None
        if self._kept is None and self._counter is not None and counted is not None:
            try:
                self._kept = self._counter.failing()
            except Exception as error:
                _log.debug("the side output could not be read: %s", type(error).__name__)
        return self._kept or read_again(self._df, self._plan, counted)

    def _found(self, reading: Reading, *, stopped: bool) -> Found:
        whole, doubt = (self._before.whole, None) if stopped else self._whole(reading)
        results = self._in_order((*rule_results(self._plan.rules, reading), *whole))
        if isinstance(reading, Unknown):
            return Found(rules=results, unknown=reading.reason)
        if stopped:
            return Found(input_count=reading.rows, error_count=reading.failed, rules=results)
        return Found(
            input_count=reading.rows,
            error_count=reading.failed,
            dropped_count=reading.dropped,
            output_count=reading.rows - reading.dropped,
            rules=results,
            unknown=doubt,
        )

    def _whole(self, reading: Reading) -> tuple[tuple[RuleResult, ...], str | None]:
        """The results of the rules over the whole data, given what was written, and why some are not known."""
        whole, doubt = self._before.believed(reading)
        if self._observed is None:
            return whole, doubt
        more, doubtful = self._observed.believed(reading)
        return (*whole, *more), doubt or doubtful

    def _in_order(self, results: Sequence[RuleResult]) -> tuple[RuleResult, ...]:
        """In the order in which the rules were given, with their samples."""
        ordered = sorted(results, key=lambda result: self._order[result.name])
        return tuple(replace(r, samples=self._sampled[r.name]) if r.name in self._sampled else r for r in ordered)

    def unknown(self, reason: str) -> Found:
        """No counts, for that reason, and Spark is not asked."""
        return self._found(Unknown(reason), stopped=False)

    def close(self) -> None:
        """Free what the counting holds in the driver. The checked DataFrame stays usable."""
        for each in (self._counter, self._observed):
            try:
                if each is not None:
                    each.close()
            except Exception as error:
                _log.debug("a check could not be closed: %s", type(error).__name__)


def _is_dataframe(df: Any) -> bool:
    """Classic or Connect; PySpark 3.5 gives the two no common class, and importing Connect's needs grpc."""
    return isinstance(df, DataFrame) or any(c.__module__ == "pyspark.sql.connect.dataframe" for c in type(df).__mro__)
