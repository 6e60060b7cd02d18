"""Counting by Spark's own observed metrics, in the same pass as the write, bound to it by the listener.

Before Spark 4.3 an orderBy or a range repartition above an observation, or a retried stage, counts rows twice (measured on 3.5 to 4.3; see
SPARK-58183). So the metrics also say how often the start of a partition was seen, and how many partitions that were: where the two differ,
rows were counted twice and the counts are unknown.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_pd.checks.counts import NEVER_WRITTEN, NOT_ALL_READ, STILL_RUNNING, UNSTABLE, Counts, Reading, Unknown, check_id
from spark_pd.checks.row_plan import RowPlan, kept, mask_columns, metrics
from spark_pd.checks.write_evaluation import within, writes_of
from spark_pd.model import Counting
from spark_pd.spark.executions import Executions, Ledger, executions
from spark_pd.spark.session import is_connect

PARTITIONS = 32_768  # bits in the bitmap of bitmap_construct_agg
COUNTED_TWICE = "Spark observed rows twice (a sort, a range repartition or a retried stage), so the counts are not known"


class ObservationMethod:
    """Observed metrics. Raises where the listener that binds them to a write does not work."""

    counting: Counting = "observation"

    def __init__(self, spark: SparkSession) -> None:
        if is_connect(spark):
            raise RuntimeError("a Connect session does not let us reach its JVM")
        self._executions = executions(spark)

    def count(self, df: DataFrame, plan: RowPlan, *, keep_failing: bool = False) -> ObservationCounter:
        """Start to count what becomes of `df`. Reads no data."""
        return ObservationCounter(df, plan, self._executions)


class ObservationCounter:
    """One check counted by observed metrics."""

    def __init__(self, df: DataFrame, plan: RowPlan, listener: Executions) -> None:
        self._id = check_id()
        self._executions = listener
        listener.watch(self._id)
        masks = [f"__spark_pd_{self._id}_{word}" for word in range(len(plan.words))]
        place = f"__spark_pd_{self._id}_place"
        # monotonically_increasing_id is the partition's index above bit 33 and the row's below
        frame = mask_columns(df, plan, masks).withColumn(place, F.monotonically_increasing_id())
        starts = f"(`{place}` & {(1 << 33) - 1}L) = 0L"
        partition = f"shiftright(`{place}`, 33)"
        own = [
            F.expr(f"coalesce(sum(if({starts}, 1L, 0L)), 0L)"),
            F.expr(f"bitmap_count(bitmap_construct_agg({partition} % {PARTITIONS}L))"),
            F.expr(f"coalesce(max({partition}), 0L)"),
        ]
        columns = [column.alias(f"m{n}") for n, column in enumerate([*metrics(plan, masks), *own])]
        observed = frame.observe(f"spark_pd_{self._id}", *columns)
        # the optimizer folds `id = id` away; the listener knows the check by it
        self.checked = observed.filter(F.expr(kept(plan, masks)) & (F.lit(self._id) == F.lit(self._id))).drop(*masks, place)

    def read(self, *, written: bool) -> Reading:
        """The counts of what was written since."""
        return observed(self._executions.ledger(self._id))

    def failing(self) -> None:
        """None: it counts and keeps nothing."""

    def close(self) -> None:
        """Forget the check."""
        self._executions.unwatch(self._id)


def observed(ledger: Ledger) -> Reading:
    """The counts that the writes observed, or in Delta's case the executions nested in them. All must agree."""
    writes = writes_of(ledger)
    if not writes or not ledger.complete:
        return Unknown(NEVER_WRITTEN if ledger.complete else STILL_RUNNING)
    found: set[tuple[int, ...]] = set()
    for write in writes:
        if write.carried and any(e.observed is None and e.end < write.end for e in ledger.executions):
            return Unknown(NOT_ALL_READ)  # an earlier query may have filled part of the cache: this write observed the rest only
        for e in ledger.executions:
            # a nested execution may have planned the observation without running it (a lazy checkpoint): its zero is no count
            if e.observed and e.succeeded and within((e.id, e.root), write, ledger.ends) and (e.write or e.observed[0]):
                found.add(e.observed)
    if not found:
        return Unknown(NOT_ALL_READ)
    counts = set()
    for numbers in found:
        *rows, starts, partitions, last = numbers
        if starts != partitions or last >= PARTITIONS:
            return Unknown(COUNTED_TWICE, written=True)
        counts.add(Counts.of(rows))
    return counts.pop() if len(counts) == 1 else Unknown(UNSTABLE, written=True)
