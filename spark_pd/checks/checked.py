"""One call of run.check: the checked DataFrame, and what is found of it when the run ends."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame

from spark_pd.checks.counting import Counter, CountingMethod
from spark_pd.checks.counts import Counts, Reading, Unknown
from spark_pd.checks.row_plan import RowPlan, row_plan
from spark_pd.checks.two_pass import deterministic, tally
from spark_pd.errors import UsageError
from spark_pd.model import Counting, Rule, RuleResult, percentage

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
        self._plan = row_plan(df, rules)
        self.counting: Counting = method.counting
        self.failed, self._settled = self._settle(df)
        self._counter: Counter | None = None if self.failed else method.count(df, self._plan)
        self.df = df if self._counter is None else self._counter.checked

    def _settle(self, df: DataFrame) -> tuple[tuple[RuleResult, ...], Reading | None]:
        """The failing `fail` rules, and the counts where there are some. One pass over the input, and a second where rules failed."""
        stopping = self._plan.of_action("fail")
        if not stopping.rules:
            return (), None
        if not deterministic(df, stopping):
            _log.warning(
                "rules with action fail are settled by a pass over the input, and this input is not deterministic: "
                "the rows that are written may be others. Write it to a table first, or checkpoint it, and check that"
            )
        found = tally(df, stopping)
        if not any(found.rules):
            return (), None
        failed = tuple(r for r in rule_results(stopping.rules, found) if r.failed_count)
        everything = tally(df, self._plan)
        again = [n for n, rule in zip(everything.rules, self._plan.rules, strict=True) if rule.action_if_failed == "fail"]
        same = everything.rows == found.rows and tuple(again) == found.rules
        return failed, everything if same else Unknown("the input gave different rows when it was read twice")

    def found(self, *, written: bool) -> Found:
        """What is known of the counts now. Never raises: what cannot be read is unknown."""
        if self._settled is not None:
            return _found(self._plan, self._settled, stopped=True)
        assert self._counter is not None
        try:
            reading = self._counter.read(written=written)
        except Exception as error:
            _log.debug("the counts could not be read", exc_info=True)
            reading = Unknown(
                f"the counts could not be read from Spark ({type(error).__name__}); was the session stopped inside the block?"
            )
        return _found(self._plan, reading, stopped=False)

    def unknown(self, reason: str) -> Found:
        """No counts, for that reason, and Spark is not asked."""
        return _found(self._plan, Unknown(reason), stopped=False)

    def close(self) -> None:
        """Free what the counting holds in the driver. The checked DataFrame stays usable."""
        if self._counter is not None:
            try:
                self._counter.close()
            except Exception as error:
                _log.debug("a check could not be closed: %s", type(error).__name__)


def _is_dataframe(df: Any) -> bool:
    """Classic or Connect; PySpark 3.5 gives the two no common class, and importing Connect's needs grpc."""
    return isinstance(df, DataFrame) or any(c.__module__ == "pyspark.sql.connect.dataframe" for c in type(df).__mro__)


def _found(plan: RowPlan, reading: Reading, *, stopped: bool) -> Found:
    results = rule_results(plan.rules, reading)
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
    )


def rule_results(rules: Sequence[Rule], reading: Reading) -> tuple[RuleResult, ...]:
    """A result for each rule, in the counts' order; `unknown` where the counts are."""
    if isinstance(reading, Counts):
        return tuple(_result(rule, failed, reading.rows) for rule, failed in zip(rules, reading.rules, strict=True))
    return tuple(_result(rule, None, None) for rule in rules)


def _result(rule: Rule, failed: int | None, rows: int | None) -> RuleResult:
    return RuleResult(
        name=rule.name,
        rule_type=rule.rule_type,
        column_name=rule.column_name,
        action_if_failed=rule.action_if_failed,
        status="unknown" if failed is None else "failed" if failed else "passed",
        failed_count=failed,
        failed_percentage=percentage(failed, rows),
    )
