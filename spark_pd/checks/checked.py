"""One call of run.check: the checked DataFrame, and what is found of it when the run ends."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame

from spark_pd.checks import constants
from spark_pd.checks.counting import Counter, CountingMethod
from spark_pd.checks.counts import Reading, Unknown
from spark_pd.checks.riding import ride
from spark_pd.checks.settling import rule_results, settle
from spark_pd.checks.validation import plans
from spark_pd.checks.whole import NOTHING
from spark_pd.errors import UsageError
from spark_pd.model import Counting, Rule, RuleResult

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


class Checked:
    """A checked DataFrame `df`, with the rules in `failed` that stop the run."""

    df: DataFrame
    """The rows that stay."""

    def __init__(self, df: Any, rules: Sequence[Rule], method: CountingMethod) -> None:
        if not _is_dataframe(df):
            raise UsageError(f"run.check takes a Spark DataFrame, not {type(df).__module__}.{type(df).__name__}")
        if df.isStreaming:
            raise UsageError(
                "run.check takes a batch DataFrame; of a stream, check each micro-batch in a run of its own inside foreachBatch"
            )
        self._plan, whole = plans(df, rules)
        constants.warn(df, rules)
        self._order = {rule.name: n for n, rule in enumerate(rules)}
        self.counting: Counting = method.counting
        self._ride = None if method.counting == "two_pass" else ride(df, self._plan, whole)
        self._settled = settle(df, self._plan, whole if self._ride is None else NOTHING)
        self.failed = self._in_order(self._settled.failed)
        self._counter: Counter | None = None
        self.df = df
        if not self.failed:
            self._counter = method.count(df if self._ride is None else self._ride.source(), self._plan)
            self.df = self._counter.checked if self._ride is None else self._ride.target(self._counter.checked)

    def found(self, *, written: bool) -> Found:
        """What is known of the counts now. Never raises: what cannot be read is unknown."""
        if self._counter is None:
            assert self._settled.counts is not None
            return self._found(self._settled.counts, stopped=True)
        try:
            reading = self._counter.read(written=written)
        except Exception as error:
            _log.debug("the counts could not be read", exc_info=True)
            reading = Unknown(
                f"the counts could not be read from Spark ({type(error).__name__}); was the session stopped inside the block?"
            )
        return self._found(reading, stopped=False)

    def _found(self, reading: Reading, *, stopped: bool) -> Found:
        whole, doubt = (self._settled.whole, None) if stopped else (self._ride or self._settled).believed(reading)
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

    def _in_order(self, results: Sequence[RuleResult]) -> tuple[RuleResult, ...]:
        """In the order in which the rules were given."""
        return tuple(sorted(results, key=lambda result: self._order[result.name]))

    def unknown(self, reason: str) -> Found:
        """No counts, for that reason, and Spark is not asked."""
        return self._found(Unknown(reason), stopped=False)

    def close(self) -> None:
        """Free what the counting holds in the driver. The checked DataFrame stays usable."""
        for each in (self._counter, self._ride):
            try:
                if each is not None:
                    each.close()
            except Exception as error:
                _log.debug("a check could not be closed: %s", type(error).__name__)


def _is_dataframe(df: Any) -> bool:
    """Classic or Connect; PySpark 3.5 gives the two no common class, and importing Connect's needs grpc."""
    return isinstance(df, DataFrame) or any(c.__module__ == "pyspark.sql.connect.dataframe" for c in type(df).__mro__)
