"""The run that is the application itself: its name stands where the table would, and what runs in it told is not told again."""

from __future__ import annotations

import os
from dataclasses import replace
from types import TracebackType
from typing import Any

from spark_pd.alerting.facts import RunFacts
from spark_pd.model import RunStatus
from spark_pd.runs.crash import open_runs, reported_failures
from spark_pd.runs.run import Run

TOLD = "a run of the application told it as its own failure"
LEFT_TO_RUNS = "the runs that were open tell it"
SUBMIT_GONE = "its spark-submit is gone"
WRITTEN_BY_RUNS = "runs of the application tell what they wrote"


class ApplicationRun(Run):
    """A run without a table, around a whole script."""

    _told: str | None = None
    _opened = _parent = 0

    def __enter__(self) -> Run:
        run = super().__enter__()
        self._opened = open_runs.count
        self._parent = os.getppid()
        return run

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None and reported_failures.include(error):
            self._told = TOLD
        super().__exit__(kind, error, trace)

    def conclude(self, status: RunStatus, why: str) -> bool:
        """Give it its verdict from outside. Where other runs are open, they get theirs at the same time, and tell the same."""
        if open_runs.has_others(self.run_id):
            self._told = LEFT_TO_RUNS
        return super().conclude(status, why)

    def _facts(self, *found: Any) -> RunFacts:
        facts = replace(super()._facts(*found), reported_elsewhere=self._told)
        # What the script sees of a JVM that was killed is a refused connection.
        if facts.failure is not None and "PYSPARK_GATEWAY_PORT" in os.environ and os.getppid() != self._parent:
            facts = replace(facts, failure=f"{SUBMIT_GONE}: {facts.failure}")
        # What its runs wrote is theirs; what is left to it alone may well be rows that it read.
        return replace(facts, streamed=True, unchecked=WRITTEN_BY_RUNS) if open_runs.count > self._opened else facts
