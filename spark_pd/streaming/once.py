"""Whether each row of a batch was counted once. Pure.

Spark observes rows as often as it computes them: twice where a stage is run again (a lost executor) or a partitioner takes samples of
its input, before Spark 4.3, and wherever foreachBatch's function starts two actions. So the metrics also say how many partitions were
begun, and how many different ones that were; where the two differ, the counts are unknown.

Batch runs know the first row of a partition by monotonically_increasing_id, which streams refuse. Here two generators of random numbers
tell it, which have one seed and begin anew with each partition: the one is asked once for each row, the other twice, so that they agree
in the first row, and, but for a chance of 2^-53 a row, in no other.
"""

from __future__ import annotations

from collections.abc import Sequence

from spark_pd.checks.counts import Counts, Reading, Unknown

FIRST = "rand(7) = transform(array(0, 0), each -> rand(7))[0]"
"""SQL: whether a row is the first of its partition."""
PARTITION = "spark_partition_id()"
PARTITIONS = 32_768  # bits in the bitmap of bitmap_construct_agg

COUNTED_TWICE = (
    "Spark computed rows of the batch more than once (a stage was run again, a range partitioner took samples, or foreachBatch's function "
    "started several actions), so the counts are not known"
)
NO_STARTS = "Spark did not show where the batch's partitions begin, so it is not known whether its rows were counted once"


def witnesses(first: str, partition: str) -> tuple[str, str]:
    """SQL aggregates over columns of those names: partitions that were begun, and different ones."""
    begun = f"coalesce(sum(if(`{first}`, 1L, 0L)), 0L)"
    return begun, f"bitmap_count(bitmap_construct_agg(`{partition}` % {PARTITIONS}L))"


def reading_of(numbers: Sequence[int]) -> Reading:
    """What the metrics of a batch say: its counts, as `row_plan.metrics` has them, and behind them the two witnesses."""
    *counts, begun, different = numbers
    if begun == different:
        return Counts.of(counts)
    return Unknown(COUNTED_TWICE if begun > different else NO_STARTS)
