"""Streams: the counts of each micro-batch of a query, and how the query ended.

a query's progress -> batch -> window -> facts -> decisions, alerts -> verdicts -> notifier
"""

from spark_pd.runs.streaming.foreach_batch import ForeachBatch
from spark_pd.runs.streaming.query_watch import Watch
from spark_pd.runs.streaming.streams import Streams

__all__ = ["ForeachBatch", "Streams", "Watch"]
