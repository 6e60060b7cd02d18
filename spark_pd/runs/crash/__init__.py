"""The dying driver: runs get one verdict however their process ends, and what nobody in it could tell is told by somebody else.

run opened -> marker on disk, SIGTERM and threads looked after -> verdict: marker gone | process gone: the marker tells who finds it
"""

from spark_pd.runs.crash.exit_status import status_of
from spark_pd.runs.crash.guard import Guard
from spark_pd.runs.crash.markers_folder import Markers
from spark_pd.runs.crash.open_runs import open_runs
from spark_pd.runs.crash.reported_failures import reported_failures
from spark_pd.runs.crash.sigterm import REASON as TERMINATED

__all__ = ["TERMINATED", "Guard", "Markers", "open_runs", "reported_failures", "status_of"]
