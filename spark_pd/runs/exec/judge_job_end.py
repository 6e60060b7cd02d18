"""What to report of a job's end, given what its runs had reported. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from spark_pd.model import Alert, AlertState, Severity, Subject
from spark_pd.runs.crash.journal import JournalContents
from spark_pd.runs.crash.marker import failure_alert
from spark_pd.runs.exec.child_process import Ending


@dataclass(frozen=True, slots=True)
class JobReport:
    """What is reported of a job's end, and why."""

    runs: Literal["report", "forget"]
    """Whether the runs that it left open are reported."""
    application: AlertState | None
    """What is reported of the application itself, if anything."""
    reason: str

    def alert(
        self,
        subject: Subject,
        *,
        severity: Severity,
        ending: Ending,
        started_at: datetime,
        at: datetime,
        host: str,
        pid: int,
        attempt: str | None = None,
    ) -> Alert | None:
        """The application's alert; the subject's table is its name. attempt: which attempt of its job it was, in words."""
        if self.application is None:
            return None
        tried = f" ({attempt})" if attempt else ""
        return failure_alert(
            subject,
            self.application,
            severity=severity,
            application=subject.table,
            what=f"failed{tried}: {self.reason}" if self.application == "firing" else self.reason,
            details={
                "reason": self.reason,
                "attempt": attempt,
                "exit_code": ending.code if not ending.signal else None,
                "signal": str(ending) if ending.signal else None,
                "started_at": started_at,
                "ended_at": at,
                "host": host,
                "pid": pid,
            },
            at=at,
        )


def judge(ending: Ending, journal: JournalContents, *, left_open: int) -> JobReport:
    """What to report. `left_open`: the runs whose process died before they had their verdict, and which were not reported yet."""
    how = f"the job {ending}"
    if ending.interrupted:
        return JobReport("forget", None, f"{how}: it was cancelled, which is no failure")
    if left_open:
        return JobReport("report", None, f"{how} while {_runs(left_open)} open")
    if ending.good:
        if journal.unmarked:
            return JobReport("report", "firing", f"{how} while {_runs(journal.unmarked)} open")
        return JobReport("report", "resolved", how)
    if journal.failed:
        return JobReport("report", None, f"{how}, and a run of it reported its own failure")
    return JobReport("report", "firing", how)


def _runs(count: int) -> str:
    return "a run was" if count == 1 else f"{count} runs were"
