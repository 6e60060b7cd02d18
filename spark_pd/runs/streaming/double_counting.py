"""Detects that Spark counted rows of a batch more than once.

Before 4.3, Spark observes rows as often as it computes them: twice where a stage is run again (a lost executor), a partitioner takes
samples of its input, or foreachBatch's function starts two actions. So two more metrics count how often a partition was begun, and how many
different partitions there were. Where the two differ, the counts are unknown.

A column from partition_starts.java marks the first row of a partition. It does not exist over Connect: before Spark 4.3, counts are not
exact there.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from spark_pd.checks.counts import Counts, Reading, Unknown
from spark_pd.spark import java
from spark_pd.spark.session import is_connect

logger = logging.getLogger("spark_pd.streaming")

BEGUN, DIFFERENT = "begun", "different"
"""Names of the two metrics: partitions that were begun, and different ones."""
PARTITIONS = 32_768  # bits in the bitmap of bitmap_construct_agg

COUNTED_TWICE = (
    "Spark computed rows of the batch more than once (a stage was run again, a range partitioner took samples, or foreachBatch's function "
    "started several actions), so the counts are not known"
)
NO_STARTS = "Spark did not show where the batch's partitions begin, so it is not known whether its rows were counted once"


def partition_metrics(df: Any, first: str, partition: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two columns of those names for a frame, and the metrics over them. Neither where the session cannot make them."""
    from pyspark.sql import functions as F

    begins = _partition_begins(df)
    if begins is None:
        return {}, {}
    begun = F.expr(f"coalesce(sum(if(`{first}`, 1L, 0L)), 0L)")
    different = F.expr(f"bitmap_count(bitmap_construct_agg(`{partition}` % {PARTITIONS}L))")
    return {first: begins, partition: F.spark_partition_id()}, {BEGUN: begun, DIFFERENT: different}


def _partition_begins(df: Any) -> Any:
    """A column that is true in the first row of each partition; None where it is not available."""
    from pyspark.sql import functions as F

    spark = df.sparkSession
    if is_connect(spark):
        return None
    try:
        made = java.construct(
            spark, java.load_class(spark, "spark_pd.runs.streaming", "partition_starts.java", "spark_pd.PartitionStarts")
        ).column()
        return type(F.lit(1))(made)
    except Exception as error:
        logger.warning("batches whose rows Spark computes more than once are not recognized in this session: %s", type(error).__name__)
        return None


def observes_rows_once(spark: Any) -> bool:
    """Whether this Spark observes a row once although it computes it several times: from 4.3 on (SPARK-58183)."""
    major, _, rest = str(spark.version).partition(".")
    minor = rest.partition(".")[0]
    return major.isdecimal() and minor.isdecimal() and (int(major), int(minor)) >= (4, 3)


def reading_of(counts: Counts, metrics: Mapping[str, Any]) -> Reading:
    """The counts of a batch, or why they are unknown. Without the two metrics the counts are taken as they are."""
    begun, different = metrics.get(BEGUN), metrics.get(DIFFERENT)
    if begun == different:
        return counts
    return Unknown(COUNTED_TWICE if different is None or begun is None or begun > different else NO_STARTS)
