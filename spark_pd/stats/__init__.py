"""The stats table: one row for each run, spark-expectations' columns first and ours after them."""

from spark_pd.stats.columns import COLUMNS
from spark_pd.stats.row import Ended, row_of

__all__ = ["COLUMNS", "Ended", "row_of"]
