"""The run of the application itself: its name takes the place of the table, and what runs inside it report is not reported again."""

from __future__ import annotations

import os
from dataclasses import replace
from types import TracebackType
from typing import Any

from spark_pd.alerting.facts import RunFacts
from spark_pd.model import RunStatus
from spark_pd.runs.crash import open_runs, reported_failures
from spark_pd.runs.run import Run

REPORTED_BY_RUN = "a run of the application reported it as its own failure"
REPORTED_BY_OPEN_RUNS = "the runs that were open report it"
SUBMIT_GONE = "its spark-submit is gone"
WRITTEN_BY_RUNS = "runs of the application report what they wrote"


class ApplicationRun(Run):
    """A run without a table, around a whole script."""

    _reported_by: str | None = None
    _opened = _parent = 0

    def __enter__(self) -> Run:
        run = super().__enter__()
        self._opened = open_runs.count
        self._parent = os.getppid()
        return run

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None and reported_failures.include(error):
            self._reported_by = REPORTED_BY_RUN
        super().__exit__(kind, error, trace)

    def conclude(self, status: RunStatus, why: str) -> bool:
        """Give it its verdict from outside. Where other runs are open, they get theirs at the same time, and report the same failure."""
        if open_runs.has_others(self.run_id):
            self._reported_by = REPORTED_BY_OPEN_RUNS
        return super().conclude(status, why)

    def _facts(self, *found: Any) -> RunFacts:
        facts = replace(super()._facts(*found), reported_elsewhere=self._reported_by)
        # A script whose JVM was killed only gets a refused connection.
        if facts.failure is not None and "PYSPARK_GATEWAY_PORT" in os.environ and os.getppid() != self._parent:
            facts = replace(facts, failure=f"{SUBMIT_GONE}: {facts.failure}")
        # What its runs wrote is judged by them. The rest of the script may only have read rows.
        return replace(facts, judged_elsewhere=True, unchecked=WRITTEN_BY_RUNS) if open_runs.count > self._opened else facts
