"""Rules over the whole data: aggregates (agg_dq) and queries (query_dq), judged before anything is written.

An aggregate is judged on the source (the rows that are checked) and on the target (the rows that no `drop` rule drops), as its flags say;
a query once, on whatever it names. The rows are counted in the same pass, so that the run's end can tell whether other rows were written.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType

from spark_pd.checks.analysis import listed, not_evaluable, quiet, refused, said
from spark_pd.checks.counts import Counts
from spark_pd.checks.observed_value import observed_part
from spark_pd.checks.row_plan import RowPlan, kept, mask_columns, metrics
from spark_pd.model import Rule, RuleResult, Side
from spark_pd.model.errors import RulesError
from spark_pd.rules.placeholders import FRAMES, filled

_log = logging.getLogger("spark_pd.checks")

Read: TypeAlias = Callable[[str], DataFrame]


@dataclass(frozen=True, slots=True)
class WholeRule:
    """A rule and the part of its expectation that is the value found; None where it has another form."""

    rule: Rule
    value: str | None

    def columns(self, n: int) -> list[Column]:
        """Whether it holds, as `r<n>`, and the value that was found, as `v<n>`."""
        return [F.expr(text).alias(f"{name}{n}") for name, text in (("r", self.rule.expectation), ("v", self.value)) if text]

    def result(self, passed: object, observed: object, side: Side | None) -> RuleResult:
        """What it came to; NULL counts as failed."""
        return RuleResult.of(self.rule, "passed" if passed is True else "failed", observed=observed, judged_on=side)

    def unknown(self, error: Exception, side: Side | None) -> RuleResult:
        """No result, since Spark raised that error."""
        reason = not_evaluable(error)
        _log.warning("rule %s: %s", self.rule.name, reason)
        return RuleResult.of(self.rule, "unknown", reason=reason, judged_on=side)


@dataclass(frozen=True, slots=True)
class WholePlan:
    """The active aggregate and query rules of one run, analysed by Spark."""

    aggregates: tuple[WholeRule, ...]
    queries: tuple[WholeRule, ...]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All its rules."""
        return tuple(whole.rule for whole in (*self.aggregates, *self.queries))

    def judge(self, df: DataFrame, rows: RowPlan) -> tuple[tuple[RuleResult, ...], Counts]:
        """A result for each rule, and the counts of the row rules in the same pass.

        A pass over the input, one more for the aggregates of the target where rows are dropped, and what the queries read.
        """
        masks = [f"__spark_pd_{uuid.uuid4().hex}_{word}" for word in range(len(rows.words))]
        masked = mask_columns(df, rows, masks)
        target = masked.filter(F.expr(kept(rows, masks))).drop(*masks)
        dropping = any(rows.drops())
        first, second = self.placed(dropping)
        counted = [column.alias(f"m{n}") for n, column in enumerate(metrics(rows, masks))]
        row, results = _evaluated(masked, first, counted)
        counts = Counts.of([int(row[f"m{n}"]) for n in range(len(counted))])
        if second:
            results += _evaluated(target, second, [])[1]
        if self.queries:
            with _views({"source": df, "target": target}) as read:
                results += [_answer(whole, read) for whole in self.queries]
        return tuple(worst([r for r in results if r.name == rule.name]) for rule in self.rules), counts

    def placed(self, dropping: bool) -> tuple[list[tuple[WholeRule, Side]], list[tuple[WholeRule, Side]]]:
        """What is judged on all rows, and what on those that stay. Where no rule drops rows, the two are one."""
        source: list[tuple[WholeRule, Side]] = []
        target: list[tuple[WholeRule, Side]] = []
        for whole in self.aggregates:
            on_source, on_target = whole.rule.enable_for_source_dq_validation, whole.rule.enable_for_target_dq_validation
            if on_source and (dropping or not on_target):
                source.append((whole, "source"))
            if on_target:
                (target if dropping else source).append((whole, "target"))
        return source, target


NOTHING = WholePlan((), ())


def whole_plan(df: DataFrame, rules: Sequence[Rule]) -> WholePlan:
    """The plan of the agg_dq and query_dq rules among `rules`, analysed by Spark; no data is read.

    A rule that is switched off for source and target is not judged. Raises RulesError with every mistake.
    """
    active = [r for r in rules if r.is_active and (r.enable_for_source_dq_validation or r.enable_for_target_dq_validation)]
    aggregates = [rule for rule in active if rule.rule_type == "agg_dq"]
    queries = [rule for rule in active if rule.rule_type == "query_dq"]
    with _views({"source": df, "target": df}) as read:

        def judged(some: Sequence[Rule]) -> Exception | None:
            return _refused(lambda: read(f"SELECT {', '.join(_closed(rule.expectation) for rule in some)}"), booleans=True)

        def aggregated(some: Sequence[Rule]) -> Exception | None:
            return _refused(lambda: df.agg(*[F.expr(rule.expectation) for rule in some]), booleans=True)

        frames = " and ".join(f"{{{frame}}}" for frame in FRAMES)
        mistakes = [
            f"rule {rule.name!r}: its expectation {rule.expectation!r} {what}: {said(error, df.schema)}"
            for some, why, what in (
                (aggregates, aggregated, f"is no SQL boolean of aggregates over the columns {listed(df.columns)}"),
                (queries, judged, f"is no SQL boolean over tables and views, or {frames}"),
            )
            for rule, error in refused(some, why)
        ]
        if mistakes:
            raise RulesError(mistakes)
        return WholePlan(
            tuple(WholeRule(rule, _value(rule, lambda text: df.agg(F.expr(text)))) for rule in aggregates),
            tuple(WholeRule(rule, _value(rule, lambda text: read(f"SELECT {_closed(text)}"))) for rule in queries),
        )


def _refused(analysed: Callable[[], DataFrame], *, booleans: bool) -> Exception | None:
    """Why Spark does not take it; None where it does."""
    try:
        with quiet():
            schema = analysed().schema
    except Exception as error:
        return error
    other = [field for field in schema.fields if not isinstance(field.dataType, BooleanType)] if booleans else []
    return TypeError(f"it gives {other[0].dataType.simpleString()}, no boolean") if other else None


def _value(rule: Rule, analysed: Callable[[str], DataFrame]) -> str | None:
    """The part of the expectation that is the value found, if Spark takes it alone."""
    text = observed_part(rule.expectation)
    if text is None or _refused(lambda: analysed(text), booleans=False) is not None:
        return None
    return text


def _columns(placed: Sequence[tuple[WholeRule, Side]]) -> list[Column]:
    return [column for n, (whole, _) in enumerate(placed) for column in whole.columns(n)]


def _results(placed: Sequence[tuple[WholeRule, Side]], row: Any) -> list[RuleResult]:
    return [whole.result(row[f"r{n}"], row[f"v{n}" if whole.value else f"r{n}"], side) for n, (whole, side) in enumerate(placed)]


def _evaluated(frame: DataFrame, placed: Sequence[tuple[WholeRule, Side]], counted: Sequence[Column]) -> tuple[Any, list[RuleResult]]:
    """The counts of a frame, and the results of its aggregates; one that raises an error, as a cast under ANSI may, is unknown.

    Raises what Spark raises where the rows cannot be read or counted without the aggregates either.
    """
    try:
        with quiet():
            row = frame.agg(*counted, *_columns(placed)).collect()[0]
        return row, _results(placed, row)
    except Exception:
        row = frame.agg(*(counted or [F.count(F.lit(1))])).collect()[0]
    results = []
    for whole, side in placed:
        try:
            with quiet():
                results += _results([(whole, side)], frame.agg(*whole.columns(0)).collect()[0])
        except Exception as error:
            results.append(whole.unknown(error, side))
    return row, results


def _answer(whole: WholeRule, read: Read) -> RuleResult:
    """The result of a query; one that raises an error is unknown."""
    try:
        with quiet():
            row = read(_query(whole.rule, whole.value)).collect()[0]
        return whole.result(row["r"], row["v"], None)
    except Exception as error:
        return whole.unknown(error, None)


def worst(results: Sequence[RuleResult]) -> RuleResult:
    """What failed goes first, then what is unknown, then what is written."""
    order = ("failed", "unknown", "passed")
    return min(results, key=lambda result: (order.index(result.status), result.judged_on == "source"))


# ---- queries -------------------------------------------------------------------------------------------------------------------


@contextmanager
def _views(frames: Mapping[str, DataFrame]) -> Iterator[Read]:
    """Reads queries that name the frames in braces: by views of ours, which are gone with the block."""
    spark = next(iter(frames.values())).sparkSession
    made: dict[str, str] = {}

    def read(query: str) -> DataFrame:
        """The query's rows; a frame gets its view with the first query that names it."""
        for name, frame in frames.items():
            if name not in made and f"{{{name}}}" in query:
                view = f"spark_pd_{name}_{uuid.uuid4().hex}"
                frame.createTempView(view)
                made[name] = view
        return spark.sql(filled(query, made))

    try:
        yield read
    finally:
        for view in made.values():
            spark.catalog.dropTempView(view)


def _query(rule: Rule, value: str | None) -> str:
    return f"SELECT {_closed(rule.expectation)} AS r, {_closed(value or rule.expectation)} AS v"


def _closed(text: str) -> str:
    """In parentheses, with a line break that ends a comment."""
    return f"({text}\n)"
