"""Row rules as bits of a mask: bit i is set where rule i fails. NULL counts as failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_pd.checks.analysis import listed, refused, said
from spark_pd.model import Rule
from spark_pd.model.errors import RulesError

WORD = 62  # rules in one mask word; the same in operator.java


@dataclass(frozen=True, slots=True)
class RowPlan:
    """The active row rules of one run, in their order."""

    rules: tuple[Rule, ...]

    @property
    def words(self) -> tuple[tuple[Rule, ...], ...]:
        """The rules by mask word; one empty word where there is no rule."""
        return tuple(self.rules[i : i + WORD] for i in range(0, len(self.rules), WORD)) or ((),)

    def drops(self) -> tuple[int, ...]:
        """For each word the bits of the rules that drop a row."""
        return tuple(sum(1 << bit for bit, rule in enumerate(word) if rule.action_if_failed == "drop") for word in self.words)

    def masks(self) -> tuple[Column, ...]:
        """For each word a long whose bits are the failed rules of a row: those that give false or NULL, or raise an error."""
        return self._masks(_tried)

    def bare_masks(self) -> tuple[Column, ...]:
        """The same for looking at only: they raise the errors of the rules, and are deterministic where the rules are."""
        return self._masks(lambda expectation: f"({expectation}\n)")

    def _masks(self, holds: Callable[[str], str]) -> tuple[Column, ...]:
        return tuple(
            F.expr(" | ".join(f"if({holds(rule.expectation)}, 0L, {1 << bit}L)" for bit, rule in enumerate(word)) or "0L")
            for word in self.words
        )

    def of_action(self, action: str) -> RowPlan:
        """Only the rules of that action."""
        return RowPlan(tuple(rule for rule in self.rules if rule.action_if_failed == action))


def _tried(expectation: str) -> str:
    """SQL that is NULL where the expectation raises an error, as a cast under ANSI may. The line break ends a comment in it.

    try_multiply of an interval is the function of 3.5 to 4.3, classic and Connect, that catches the errors of its arguments (Spark's
    TryEval). The condition that always holds keeps the optimizer from computing what two rules share, or a constant, outside of it.
    """
    guarded = f"if(spark_partition_id() >= 0, ({expectation}\n), NULL)"
    return f"try_multiply(if({guarded}, INTERVAL '1' MONTH, INTERVAL '0' MONTH), 2) > INTERVAL '0' MONTH"


def mask_columns(df: DataFrame, plan: RowPlan, names: Sequence[str]) -> DataFrame:
    """The DataFrame with the plan's masks behind its own columns, under the given names."""
    return df.select("*", *[mask.alias(name) for mask, name in zip(plan.masks(), names, strict=True)])


def metrics(plan: RowPlan, names: Sequence[str]) -> list[Column]:
    """Aggregates over mask columns: input, failed and dropped rows, then the failed rows of each rule."""

    def rows(condition: str) -> Column:
        return F.expr(f"coalesce(sum(if({condition}, 1L, 0L)), 0L)")

    drops = plan.drops()
    columns = [
        F.count(F.lit(1)),
        rows(" OR ".join(f"`{name}` <> 0L" for name in names)),
        rows(" OR ".join(f"(`{name}` & {drop}L) <> 0L" for name, drop in zip(names, drops, strict=True))),
    ]
    columns += [rows(f"(`{name}` & {1 << bit}L) <> 0L") for name, word in zip(names, plan.words, strict=True) for bit in range(len(word))]
    return columns


def kept(plan: RowPlan, names: Sequence[str]) -> str:
    """The SQL condition of the rows that stay."""
    return " AND ".join(f"(`{name}` & {drop}L) = 0L" for name, drop in zip(names, plan.drops(), strict=True))


def row_plan(df: DataFrame, rules: Sequence[Rule]) -> RowPlan:
    """The plan of the row rules among `rules`, analysed by Spark against the DataFrame's columns; no data is read.

    Raises RulesError with every mistake: bad SQL, an unknown column, no boolean, an aggregate.
    """
    plan = RowPlan(tuple(rule for rule in rules if rule.is_active and rule.rule_type == "row_dq"))
    mistakes = refused(plan.rules, lambda some: _refused(df, some))
    if mistakes:
        what = f"is no SQL boolean over the columns {listed(df.columns)}"
        raise RulesError([f"rule {r.name!r}: its expectation {r.expectation!r} {what}: {said(error, df.schema)}" for r, error in mistakes])
    return plan


def _refused(df: DataFrame, rules: Sequence[Rule]) -> Exception | None:
    """What Spark says against the rules; None where it accepts them all."""
    try:
        # Alone, as an expression: "a) OR (b" is none. Then as a condition: no aggregate, nothing but a boolean.
        # Connect analyses only when it is asked for something, and knows a filter's schema without asking.
        _ = df.select(*[F.expr(rule.expectation) for rule in rules]).schema
        _ = df.filter(F.expr(" AND ".join(f"({rule.expectation}\n)" for rule in rules))).select(F.lit(1)).schema
    except Exception as error:
        return error
    return None
