"""Whether each row of a batch was counted once.

Before 4.3, Spark observes rows as often as it computes them: twice where a stage is run again (a lost executor), a partitioner takes
samples of its input, or foreachBatch's function starts two actions. So the metrics also say how many partitions were begun, and how many
different ones that were; where the two differ, the counts are unknown.

The first row of a partition is told by a column that starts.java makes, so there are no such metrics over Connect: before Spark 4.3, counts
are not vouched for there.
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


def witnesses(df: Any, first: str, partition: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two columns of those names for a frame, and the metrics over them. Neither where the session cannot tell."""
    from pyspark.sql import functions as F

    begins = _begins(df)
    if begins is None:
        return {}, {}
    begun = F.expr(f"coalesce(sum(if(`{first}`, 1L, 0L)), 0L)")
    different = F.expr(f"bitmap_count(bitmap_construct_agg(`{partition}` % {PARTITIONS}L))")
    return {first: begins, partition: F.spark_partition_id()}, {BEGUN: begun, DIFFERENT: different}


def _begins(df: Any) -> Any:
    """A column that is true in the first row of each partition; None where it cannot be had."""
    from pyspark.sql import functions as F

    spark = df.sparkSession
    if is_connect(spark):
        return None
    try:
        made = java.construct(spark, java.load_class(spark, "spark_pd.runs.streaming", "starts.java", "spark_pd.Starts")).column()
        return type(F.lit(1))(made)
    except Exception as error:
        logger.warning(
            "batches whose rows Spark computes more than once cannot be told from others in this session: %s", type(error).__name__
        )
        return None


def counts_once(spark: Any) -> bool:
    """Whether this Spark observes a row once, however often it computes it: from 4.3 on (SPARK-58183)."""
    major, _, rest = str(spark.version).partition(".")
    minor = rest.partition(".")[0]
    return major.isdecimal() and minor.isdecimal() and (int(major), int(minor)) >= (4, 3)


def reading_of(counts: Counts, metrics: Mapping[str, Any]) -> Reading:
    """What the metrics of a batch say, whose counts are these. Without the two metrics they are believed."""
    begun, different = metrics.get(BEGUN), metrics.get(DIFFERENT)
    if begun == different:
        return counts
    return Unknown(COUNTED_TWICE if different is None or begun is None or begun > different else NO_STARTS)
