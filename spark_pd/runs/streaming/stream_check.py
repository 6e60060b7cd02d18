"""One call of run.check with a streaming DataFrame: the rules are counted in each micro-batch, by metrics that Spark observes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import functions as F

from spark_pd.checks import constant_rules
from spark_pd.checks.counts import check_id
from spark_pd.checks.row_plan import RowPlan, kept, mask_columns, metrics, row_plan
from spark_pd.model import Rule, names
from spark_pd.model.errors import UsageError
from spark_pd.runs.run_plan import RunPlan
from spark_pd.runs.streaming.double_counting import observes_rows_once, partition_metrics

INSTEAD = "monitor.foreach_batch checks each micro-batch as a DataFrame of its own, before it is written: use it for"


@dataclass(slots=True, kw_only=True)
class StreamCheck:
    """A checked stream."""

    df: Any
    """The rows that stay."""
    name: str
    """The name of the observation with its counts."""
    plan: RowPlan
    rules: tuple[Rule, ...]
    """As they were given."""
    run: RunPlan
    """Of the run that checked it."""
    digest: str = field(init=False)
    """Of the rules that are counted. Counts of other rules cannot be added to these."""
    detects_double_counting: bool = True
    """Whether counts are unknown where Spark counted a row more than once, so that known counts are exact."""
    watched: bool = False
    """Whether a query of it is watched."""

    def __post_init__(self) -> None:
        counted = repr([(rule.name, rule.expectation, rule.action_if_failed) for rule in self.plan.rules])
        self.digest = hashlib.sha256(counted.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def check_stream(df: Any, rules: Sequence[Rule], run: RunPlan) -> StreamCheck:
    """Check a stream. Nothing is read: the counts come with each batch of the query that is made from it.

    Raises RulesError for rules that Spark does not accept over these columns, UsageError for those that no stream can be judged by.
    """
    _refuse(run.table, [rule for rule in rules if rule.is_active])
    plan = row_plan(df, rules)
    constant_rules.warn(df, rules)
    name = f"spark_pd_stream_{check_id():x}"
    masks = [f"__{name}_{word}" for word in range(len(plan.words))]
    first, partition = f"__{name}_first", f"__{name}_partition"
    columns, extra_metrics = partition_metrics(df, first, partition)
    counted = {f"m{n}": column for n, column in enumerate(metrics(plan, masks))} | extra_metrics
    frame = mask_columns(df, plan, masks)
    frame = frame.select("*", *[column.alias(place) for place, column in columns.items()])
    observed = frame.observe(name, *[column.alias(metric) for metric, column in counted.items()])
    checked = observed.filter(F.expr(kept(plan, masks))).drop(*masks, *columns)
    return StreamCheck(
        df=checked,
        name=name,
        plan=plan,
        rules=tuple(rules),
        run=run,
        detects_double_counting=bool(extra_metrics) or observes_rows_once(df.sparkSession),
    )


def _refuse(table: str, rules: Sequence[Rule]) -> None:
    whole = [rule.name for rule in rules if rule.rule_type != "row_dq"]
    failing = [rule.name for rule in rules if rule.rule_type == "row_dq" and rule.action_if_failed == "fail"]
    mistakes = []
    if failing:
        mistakes.append(f"{names(failing)} with action fail: a batch of a stream is written before its counts are known")
    if whole:
        mistakes.append(f"{names(whole)} of type agg_dq or query_dq: a stream has no whole that they could be judged on")
    if mistakes:
        raise UsageError(
            f"{table}: run.check was given a stream and rules that it cannot be judged by; {INSTEAD} {'; and '.join(mistakes)}"
        )
