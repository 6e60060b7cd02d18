"""`spark-pd exec`: a small parent that sees how a job ended, whatever it was, and tells what the job itself could not.

command -> child -> how it ended -> what it had told of its runs -> alerts -> the parent ends in the same way
"""

from spark_pd.runs.exec.child_process import Ending, run_child
from spark_pd.runs.exec.findings import Findings, application_name, judge

__all__ = ["Ending", "Findings", "application_name", "judge", "run_child"]
