"""Crashes: every run gets one verdict however its process ends. What the process can no longer report, another process reports.

run opened -> marker on disk, SIGTERM and threads handled -> verdict: marker removed | process dead: whoever finds the marker reports it
"""

from spark_pd.runs.crash.guard import Guard
from spark_pd.runs.crash.markers_folder import Markers
from spark_pd.runs.crash.open_runs import open_runs
from spark_pd.runs.crash.reported_failures import reported_failures
from spark_pd.runs.crash.sigterm import REASON as TERMINATED

__all__ = ["TERMINATED", "Guard", "Markers", "open_runs", "reported_failures"]
