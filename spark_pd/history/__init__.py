"""The history: what the stats table says of a subject's earlier runs, and what is usual for it."""

from spark_pd.history.baseline import Baseline, baseline_of
from spark_pd.history.past import History, PastRun

__all__ = ["Baseline", "History", "PastRun", "baseline_of"]
