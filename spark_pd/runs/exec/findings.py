"""What a job's end means, given what its runs had told. Pure, but for no clock and no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Literal

from spark_pd.model import Alert, AlertState, Severity, Subject
from spark_pd.runs.crash.journal import Told
from spark_pd.runs.crash.marker import failure
from spark_pd.runs.exec.child_process import Ending
from spark_pd.runs.exec.spark_submit import submission_of

_WITH_VALUE = ("-m", "-c", "-W", "-X", "-Q")  # python's options that take a value
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh")


@dataclass(frozen=True, slots=True)
class Findings:
    """What is to be told of a job's end, and why."""

    runs: Literal["tell", "forget"]
    """What becomes of the runs that it left open."""
    application: AlertState | None
    """What is told of the application itself, if anything."""
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
        """The application's alert; the subject's table is its name. attempt: which try of its job it was, in words."""
        if self.application is None:
            return None
        tried = f" ({attempt})" if attempt else ""
        return failure(
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


def judge(ending: Ending, told: Told, *, left_open: int) -> Findings:
    """What to tell. `left_open`: the runs whose process died before they had their verdict, and of which nobody told yet."""
    how = f"the job {ending}"
    if ending.interrupted:
        return Findings("forget", None, f"{how}: it was cancelled, which is no failure")
    if left_open:
        return Findings("tell", None, f"{how} while {_runs(left_open)} open")
    if ending.good:
        if told.unmarked:
            return Findings("tell", "firing", f"{how} while {_runs(told.unmarked)} open")
        return Findings("tell", "resolved", how)
    if told.failed:
        return Findings("tell", None, f"{how}, and a run of it told its own failure")
    return Findings("tell", "firing", how)


def application_name(command: Sequence[str]) -> str:
    """The application's name by its command: what spark-submit calls it, else the script's name, else the program's."""
    program = PurePath(command[0]).name
    rest = list(command[1:])
    if run := _run_of_ours(command):
        return run
    if submission := submission_of(command):
        return submission.name or program
    if program.startswith("python") or program in _SHELLS:
        return _script(rest) or program
    return program


def _run_of_ours(command: Sequence[str]) -> str | None:
    """The name that `spark-pd run` gives the application, however that is called; None where it is not."""
    words = list(command)
    for place, word in enumerate(words[:-1]):
        ours = word == "spark_pd" or PurePath(word).name == "spark-pd" or PurePath(word).parts[-2:] == ("spark_pd", "__main__.py")
        if ours and words[place + 1] == "run":
            return _named_or_script(words[place + 2 :])
    return None


def _named_or_script(arguments: list[str]) -> str | None:
    while arguments:
        one = arguments.pop(0)
        if one.startswith("--name="):
            return one.partition("=")[2]
        if one == "--name" and arguments:
            return arguments[0]
        if not one.startswith("-"):
            return PurePath(one).name
        if "=" not in one and arguments:
            arguments.pop(0)
    return None


def _script(arguments: list[str]) -> str | None:
    while arguments:
        one = arguments.pop(0)
        if one == "-m" and arguments:
            return arguments[0]
        if one in ("-c", "-"):
            return None
        if one in _WITH_VALUE and arguments:
            arguments.pop(0)
        elif not one.startswith("-"):
            return PurePath(one).name
    return None


def _runs(count: int) -> str:
    return "a run was" if count == 1 else f"{count} runs were"
