"""One guarded execution for one table: check the data, write it, and tell who must know what became of it."""

from spark_pd.run.block import Run
from spark_pd.run.plan import RunPlan

__all__ = ["Run", "RunPlan"]
