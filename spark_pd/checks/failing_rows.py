"""The rows that fail a row rule, with the rules that they fail: what the error table and an incident's samples are made of."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_pd.checks.row_plan import WORD, RowPlan, mask_columns
from spark_pd.model import Rule

RESULTS, RUN_ID, RUN_DATETIME = "meta_row_dq_results", "meta_dq_run_id", "meta_dq_run_datetime"
RESULT_FIELDS = ("rule", "rule_type", "action_if_failed", "tag", "description", "priority")
_RESULTS_TYPE = f"array<struct<{','.join(f'{name}:string' for name in RESULT_FIELDS)}>>"

HIDDEN = "***"
"""What a sample shows in the place of a value that may not leave the cluster."""
ALL_COLUMNS = "*"
_VALUE_LIMIT = 200  # characters of a sample's text: it is there to recognise a row by


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingRows:
    """Rows that fail at least one row rule, lazily: `frame` has the input's columns, and behind them the masks of the failed rules."""

    frame: DataFrame
    plan: RowPlan
    masks: tuple[str, ...]
    counted: int | None
    """How many the counting says there are; None where it does not know."""
    from_side_output: bool = False
    """They were kept as they were counted. Else the input is read again for them, and what it gives now may be other rows."""

    def for_table(self, run_id: str, at: datetime) -> DataFrame:
        """The error table's rows: the input's columns, the failed rules of each row, the run's id and its start.

        Columns of the input under those three names, as a former error table has, give way to them.
        """
        ours = (RESULTS, RUN_ID, RUN_DATETIME)
        former = [name for name in self.frame.columns if name.lower() in ours]
        micros = (at - datetime.fromtimestamp(0, timezone.utc)) // timedelta(microseconds=1)
        return (
            self.frame.drop(*former)
            .select(
                "*",
                _results(self.plan, self.masks).alias(RESULTS),
                F.lit(run_id).alias(RUN_ID),
                F.timestamp_micros(F.lit(micros)).alias(RUN_DATETIME),
            )
            .drop(*self.masks)
        )

    def samples(self, most: int, columns: Sequence[str]) -> dict[str, tuple[Mapping[str, Any], ...]]:
        """Up to `most` rows of each failed rule, by its name. Values of columns that are not among `columns` are hidden."""
        place = f"__spark_pd_{uuid.uuid4().hex}"
        names = [name for name in self.frame.columns if name not in self.masks]
        shown = [name for name in names if ALL_COLUMNS in columns or name in columns]
        rows = (
            self.frame.select(*[_named(name) for name in shown], F.explode(_failed(self.plan, self.masks)).alias(place))
            .withColumn(f"{place}_n", F.expr(f"row_number() OVER (PARTITION BY `{place}` ORDER BY `{place}`)"))
            .filter(F.col(f"{place}_n") <= most)
            .collect()
        )
        found: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            *values, rule, _ = row
            known = dict(zip(shown, map(_short, values), strict=True))
            found.setdefault(self.plan.rules[rule].name, []).append({name: known.get(name, HIDDEN) for name in names})
        return {rule: tuple(samples) for rule, samples in found.items()}


def read_again(df: DataFrame, plan: RowPlan, counted: int | None) -> FailingRows:
    """The failing rows of `df` by another read of it, when they are used."""
    masks = tuple(f"__spark_pd_{uuid.uuid4().hex}_{word}" for word in range(len(plan.words)))
    frame = mask_columns(df, plan, masks).filter(F.expr(" OR ".join(f"`{mask}` <> 0L" for mask in masks)))
    return FailingRows(frame=frame, plan=plan, masks=masks, counted=counted)


def _failed(plan: RowPlan, masks: Sequence[str]) -> Column:
    """The places of a row's failed rules in the plan."""
    places = [
        F.expr(f"transform(filter(sequence(0, {len(word) - 1}), i -> (`{mask}` & shiftleft(1L, i)) <> 0L), i -> i + {WORD * n})")
        for n, (mask, word) in enumerate(zip(masks, plan.words, strict=True))
    ]
    return F.concat(*places)


def _results(plan: RowPlan, masks: Sequence[str]) -> Column:
    """A row's failed rules, as the error table has them."""
    # As one literal: a thousand rules as columns are twenty thousand calls. Spark reads it once, when it plans.
    rules = F.from_json(F.lit(json.dumps([_result(rule) for rule in plan.rules])), _RESULTS_TYPE)
    return F.transform(_failed(plan, masks), lambda place: F.get(rules, place))


def _result(rule: Rule) -> dict[str, str | None]:
    texts = (rule.name, rule.rule_type, rule.action_if_failed, rule.tag, rule.description, rule.priority)
    return dict(zip(RESULT_FIELDS, texts, strict=True))


def _named(name: str) -> Column:
    return F.col(f"`{name.replace('`', '``')}`")


def _short(value: Any) -> Any:
    """A value without what is too long of it; a nested one as a mapping or list."""
    if isinstance(value, str) and len(value) > _VALUE_LIMIT:
        return f"{value[:_VALUE_LIMIT]}..."
    if hasattr(value, "asDict"):
        value = value.asDict()
    if isinstance(value, Mapping):
        return {name: _short(item) for name, item in value.items()}
    return [_short(item) for item in value] if isinstance(value, (list, tuple)) else value
