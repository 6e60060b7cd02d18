"""Counting by passes of its own over the input. It works on every Spark, and it reads the input three times.

It counts when run.check is called and again after the write: what lies between two equal counts was written. Where they differ, the source
changed on the way, and what was written is unknown.
"""

from __future__ import annotations

import logging
import re
import threading
import weakref
from typing import Any, Protocol

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_pd.checks.counts import CHANGED, NEVER_WRITTEN, UNSTABLE, Counts, Reading, Unknown, check_id
from spark_pd.checks.row_plan import RowPlan, kept, mask_columns, metrics
from spark_pd.checks.write_evaluation import writes_of
from spark_pd.model import Counting
from spark_pd.spark.connect import ConnectWrites, fields
from spark_pd.spark.executions import Executions, executions
from spark_pd.spark.session import is_connect

_log = logging.getLogger("spark_pd.checks")
_lock = threading.Lock()
_connect: weakref.WeakKeyDictionary[Any, ConnectWrites] = weakref.WeakKeyDictionary()


class _Writes(Protocol):
    def watch(self, check: int) -> None: ...
    def unwatch(self, check: int) -> None: ...
    def written(self, check: int) -> bool: ...


class _ClassicWrites:
    """The listener's word on whether a check was written."""

    def __init__(self, listener: Executions) -> None:
        self._listener = listener
        self.watch = listener.watch
        self.unwatch = listener.unwatch

    def written(self, check: int) -> bool:
        return bool(writes_of(self._listener.ledger(check)))


def _writes(spark: SparkSession) -> _Writes | None:
    """Who sees the writes of this session; None where nobody does: then only run.write is known to write."""
    try:
        if is_connect(spark):
            client: Any = spark.client
            with _lock:
                if client not in _connect:
                    _connect[client] = ConnectWrites(client)
                return _connect[client]
        return _ClassicWrites(executions(spark))
    except Exception as error:
        _log.warning(
            "spark_pd cannot see what this session writes (%s): only run.write and decorated functions are counted", type(error).__name__
        )
        return None


class TwoPassMethod:
    """Passes of its own. Works everywhere."""

    counting: Counting = "two_pass"

    def __init__(self, spark: SparkSession) -> None:
        self._writes = _writes(spark)

    def count(self, df: DataFrame, plan: RowPlan, *, keep_failing: bool = False) -> TwoPassCounter:
        """Count `df` now, and start to look for its writes."""
        return TwoPassCounter(df, plan, self._writes)


class TwoPassCounter:
    """One check counted by passes of its own: before the write, and after it."""

    def __init__(self, df: DataFrame, plan: RowPlan, writes: _Writes | None) -> None:
        self._id = check_id()
        self._df, self._plan = df, plan
        self._writes = writes
        self._counts: Reading = tally(df, plan) if deterministic(df, plan) else Unknown(UNSTABLE, written=True)
        if writes is not None:
            writes.watch(self._id)
        masks = [f"__spark_pd_{self._id}_{word}" for word in range(len(plan.words))]
        rows = F.expr(kept(plan, masks)) & (F.lit(self._id) == F.lit(self._id))
        self.checked = mask_columns(df, plan, masks).filter(rows).drop(*masks)

    def read(self, *, written: bool) -> Reading:
        """The counts, if what was checked was written since and its input is still the same."""
        if not written and not (self._writes is not None and self._writes.written(self._id)):
            return Unknown(NEVER_WRITTEN)
        if isinstance(self._counts, Unknown) or tally(self._df, self._plan) == self._counts:
            return self._counts
        return Unknown(CHANGED, written=True)

    def failing(self) -> None:
        """None: it counts and keeps nothing."""

    def close(self) -> None:
        """Forget the check."""
        if self._writes is not None:
            self._writes.unwatch(self._id)


def tally(df: DataFrame, plan: RowPlan) -> Counts:
    """The counts of the plan's rules by one aggregation over `df`: a Spark job of its own."""
    masks = [f"__spark_pd_mask_{word}" for word in range(len(plan.words))]
    row = df.select(*[mask.alias(name) for mask, name in zip(plan.masks(), masks, strict=True)]).agg(
        *[column.alias(f"m{n}") for n, column in enumerate(metrics(plan, masks))]
    )
    return Counts.of([int(n) for n in row.collect()[0]])


def deterministic(df: DataFrame, plan: RowPlan) -> bool:
    """Whether the rows and the rules give the same each time, as far as Spark tells: rand() and the like do not."""
    frame: Any = df.select("*", *plan.bare_masks())
    if not is_connect(df.sparkSession):
        return bool(frame._jdf.queryExecution().analyzed().deterministic())
    # Connect's plan is not analysed: it has functions by name, and SQL as text. To name one is enough to be unknown.
    message = frame._plan.to_proto(frame._session.client)
    words = {word for name in ("expression", "query", "sql") for text in fields(message, name) for word in re.findall(r"\w+", str(text))}
    return not NOT_DETERMINISTIC.intersection(word.lower() for word in {*fields(message, "function_name"), *words})


NOT_DETERMINISTIC = frozenset(
    {"rand", "random", "randn", "randstr", "uniform", "uuid", "shuffle", "monotonically_increasing_id", "reflect", "java_method"}
)
