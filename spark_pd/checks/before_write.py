"""What is judged before anything is written: `fail` rules, and the rules over the whole data."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame

from spark_pd.checks.aggregates_and_queries import NOTHING, WholePlan
from spark_pd.checks.counts import Counts, Reading, Unknown
from spark_pd.checks.row_plan import RowPlan
from spark_pd.checks.two_pass import deterministic, tally
from spark_pd.model import Rule, RuleResult, RuleStatus, percentage

_log = logging.getLogger("spark_pd.checks")

READ_TWICE = "the input gave different rows when it was read twice"
OTHER_ROWS = "the rules of type agg_dq and query_dq were judged before the write, and other rows were written"
RANDOM = "the rules of type agg_dq and query_dq were judged before the write, of an input that is not deterministic"


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeWrite:
    """What was found before the write."""

    failed: tuple[RuleResult, ...] = ()
    """The rules that stop the run."""
    counts: Reading | None = None
    """The counts of the row rules, where rules stop the run."""
    whole: tuple[RuleResult, ...] = ()
    """The results of the rules over the whole data."""
    seen: Reading | None = None
    """The rows that those were judged on; None where there are no such rules."""

    def believed(self, reading: Reading) -> tuple[tuple[RuleResult, ...], str | None]:
        """The results of the rules over the whole data, given what was written, and why they are not known."""
        if self.seen is None or not isinstance(reading, Counts):
            return tuple(map(unknown, self.whole)), None
        if isinstance(self.seen, Counts) and self.seen == reading:
            return self.whole, None
        return tuple(map(unknown, self.whole)), self.seen.reason if isinstance(self.seen, Unknown) else OTHER_ROWS


def judge_before_write(df: DataFrame, rows: RowPlan, whole: WholePlan, observed: WholePlan = NOTHING) -> BeforeWrite:
    """Judge what has to be judged before the write. Reads nothing where there are no such rules.

    `fail` rules alone are a pass over the input, and a second over all rules where one failed. Rules over the whole data count the rows
    in their own pass. `observed` are those that are observed with the write: where rules stop the run there is none, so a pass judges them.
    """
    stopping = rows.of_action("fail")
    if not stopping.rules and not whole.rules:
        return BeforeWrite()
    certain = deterministic(df, rows if whole.rules else stopping)
    if not certain:
        _log.warning(
            "rules with action fail and rules of type agg_dq and query_dq are judged by a pass over the input, and this input is not "
            "deterministic: the rows that are written may be others. Write it to a table first, or checkpoint it, and check that"
        )
    if not whole.rules:
        return _judge_stopping_rules(df, rows, stopping, observed)
    results, counts = whole.judge(df, rows)
    failed = tuple(r for r in rule_results(rows.rules, counts) if r.action_if_failed == "fail" and r.failed_count)
    failed += tuple(r for r in results if r.action_if_failed == "fail" and r.status == "failed")
    if failed and observed.rules:
        more, again = observed.judge(df, rows)
        results += more if again == counts else tuple(map(unknown, more))
    return BeforeWrite(failed=failed, counts=counts if failed else None, whole=results, seen=counts if certain else Unknown(RANDOM))


def _judge_stopping_rules(df: DataFrame, rows: RowPlan, stopping: RowPlan, observed: WholePlan) -> BeforeWrite:
    found = tally(df, stopping)
    if not any(found.rules):
        return BeforeWrite()
    failed = tuple(r for r in rule_results(stopping.rules, found) if r.failed_count)
    results, everything = observed.judge(df, rows)
    again = [n for n, rule in zip(everything.rules, rows.rules, strict=True) if rule.action_if_failed == "fail"]
    if everything.rows == found.rows and tuple(again) == found.rules:
        return BeforeWrite(failed=failed, counts=everything, whole=results)
    return BeforeWrite(failed=failed, counts=Unknown(READ_TWICE), whole=tuple(map(unknown, results)))


def rule_results(rules: Sequence[Rule], reading: Reading) -> tuple[RuleResult, ...]:
    """A result for each row rule, in the counts' order; `unknown` where the counts are."""
    if isinstance(reading, Counts):
        errors = reading.errors or (None,) * len(rules)
        return tuple(_result(rule, failed, reading.rows, e) for rule, failed, e in zip(rules, reading.rules, errors, strict=True))
    return tuple(_result(rule, None, None, None) for rule in rules)


def unknown(result: RuleResult) -> RuleResult:
    """The result of a rule of which nothing is known."""
    return replace(result, status="unknown", observed=None, judged_on=None)


def _result(rule: Rule, failed: int | None, rows: int | None, errors: int | None) -> RuleResult:
    status: RuleStatus = "unknown" if failed is None else "failed" if failed else "passed"
    return RuleResult.of(
        rule, status, failed_count=failed, failed_percentage=percentage(failed, rows), evaluation_errors=0 if failed == 0 else errors
    )
