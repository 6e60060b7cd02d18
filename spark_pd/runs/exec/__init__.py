"""`spark-pd exec`: a small parent process that sees how a job ended, and reports what the job itself could not.

command -> child -> how it ended -> what its runs wrote into the journal -> alerts -> the parent ends in the same way
"""

from spark_pd.runs.exec.application_name import application_name
from spark_pd.runs.exec.child_process import Ending, run_child
from spark_pd.runs.exec.judge_job_end import JobReport, judge

__all__ = ["Ending", "JobReport", "application_name", "judge", "run_child"]
