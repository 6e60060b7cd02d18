"""The dying driver: runs get one verdict however their process ends, and what nobody in it could tell is told by somebody else.

run opened -> marker on disk, SIGTERM and threads looked after -> verdict: marker gone | process gone: the marker tells who finds it
"""

from spark_pd.dying.guard import Guard
from spark_pd.dying.markers import Markers
from spark_pd.dying.open_runs import open_runs
from spark_pd.dying.status import status_of
from spark_pd.dying.termination import REASON as TERMINATED
from spark_pd.dying.told import told_failures

__all__ = ["TERMINATED", "Guard", "Markers", "open_runs", "status_of", "told_failures"]
