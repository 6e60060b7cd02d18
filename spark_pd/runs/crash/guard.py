"""What a monitor's runs ask for: to be looked after while they are open, and to hear of the dead ones before them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from spark_pd.delivery.outbox.cleanup import said
from spark_pd.model import Address, Alert, Severity, Subject
from spark_pd.runs.crash import journal
from spark_pd.runs.crash.marker import Marker, died
from spark_pd.runs.crash.markers_folder import Markers
from spark_pd.runs.crash.open_runs import OpenRun, Watched, open_runs
from spark_pd.runs.crash.process_identity import this_process
from spark_pd.runs.crash.reported_failures import reported_failures

logger = logging.getLogger("spark_pd.dying")

GONE = "its process died before the run had its verdict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Looks after runs while they are open. `Guard()` does nothing: where nothing is sent, nothing is watched or written."""

    watching: bool = False
    markers: Markers | None = None
    """None where no marker is written: there is no outbox, or failures open no incidents."""
    heartbeat: float = 30.0
    """Seconds between two signs of life of a marker; 0 for none."""
    on_signal: bool = True
    severity: Severity = "critical"
    attempt: str | None = None
    """Which try of its job this process is, in words."""
    application: str = ""
    application_id: str | None = None
    address: Callable[[], Address] | None = None

    def opened(self, run: Watched, subject: Subject, started_at: datetime, tell: Callable[[tuple[Alert, ...]], object]) -> None:
        """Look after a run from here on. `tell` is called first with what is to be told of dead runs of the same subject. Never raises."""
        if not self.watching:
            return
        try:
            self._report_dead_runs(subject, tell)
            marker = self._mark(run, subject, started_at)
            journal.opened(run.run_id, marker)
            open_runs.add(
                OpenRun(run=run, thread=threading.current_thread(), marker=marker, heartbeat=self.heartbeat, on_signal=self.on_signal)
            )
        except Exception as error:
            logger.warning("the run of %s is not looked after, should its process die: %s", run.table, type(error).__name__)

    def told(self, run: Watched, status: str) -> None:
        """The run has its verdict, and its alerts are in the outbox: should the process be killed now, nobody is to tell of it again."""
        if self.watching:
            open_runs.told(run.run_id, status)

    def failed(self, error: BaseException) -> None:
        """A run told that this exception left its block."""
        if self.watching:
            reported_failures.add(error)

    def closed(self, run: Watched) -> None:
        """The run's alerts were delivered, or their time is over."""
        if self.watching:
            open_runs.drop(run.run_id)

    def held(self) -> AbstractContextManager[None]:
        """While this is entered, SIGTERM waits."""
        return open_runs.termination.held()

    def terminated(self, error: BaseException | None) -> bool:
        """Whether that exception is what somebody's handler of SIGTERM raised."""
        return open_runs.termination.raised(error)

    def _report_dead_runs(self, subject: Subject, tell: Callable[[tuple[Alert, ...]], object]) -> None:
        for claim in self.markers.dead(subject) if self.markers is not None else ():
            logger.warning("%s: an earlier run, %s, is dead: %s", subject.table, claim.marker.run_id, GONE)
            tell((died(claim.marker, GONE, at=datetime.now(timezone.utc)),))
            claim.done()

    def _mark(self, run: Watched, subject: Subject, started_at: datetime) -> Path | None:
        if self.markers is None:
            return None
        marker = Marker(
            run_id=run.run_id,
            subject=subject,
            severity=self.severity,
            attempt=self.attempt,
            application=self.application,
            application_id=self.application_id,
            started_at=started_at,
            heartbeat=self.heartbeat,
            process=this_process(),
            address=self.address() if self.address is not None else Address(channel=""),
        )
        try:
            return self.markers.put(marker)
        except OSError as error:
            logger.warning("%s: should this process be killed, nobody will know: no marker could be written: %s", run.table, said(error))
            return None
