"""Guards a monitor's runs while they are open, and reports earlier runs of the same subject whose process died."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from spark_pd.delivery.outbox.cleanup import said
from spark_pd.model import Address, Alert, Severity, Subject
from spark_pd.runs.crash import journal
from spark_pd.runs.crash.marker import Marker, death_alert
from spark_pd.runs.crash.markers_folder import Markers
from spark_pd.runs.crash.open_runs import GuardedRun, OpenRun, open_runs
from spark_pd.runs.crash.process_identity import this_process
from spark_pd.runs.crash.report_dead_runs import PROCESS_DIED
from spark_pd.runs.crash.reported_failures import reported_failures

logger = logging.getLogger("spark_pd.crash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """`Guard()` does nothing: where nothing is sent, nothing is guarded or written."""

    watching: bool = False
    markers: Markers | None = None
    """None where no marker is written: there is no outbox, or failures open no incidents."""
    heartbeat: float = 30.0
    """Seconds between two updates of a marker's time; 0 for none."""
    on_signal: bool = True
    severity: Severity = "critical"
    attempt: str | None = None
    """Which attempt of its job this process is, in words."""
    application: str = ""
    application_id: str | None = None
    addresses: Callable[[Subject], Sequence[Address]] = lambda subject: ()
    """Where the alert of a dead run goes."""

    def opened(self, run: GuardedRun, subject: Subject, started_at: datetime, report: Callable[[tuple[Alert, ...]], object]) -> None:
        """Guard a run from here on. First `report` is called with the alerts of dead runs of the same subject. Never raises."""
        if not self.watching:
            return
        try:
            self._report_dead_runs(subject, report)
            marker = self._mark(run, subject, started_at)
            journal.opened(run.run_id, marker)
            open_runs.add(
                OpenRun(run=run, thread=threading.current_thread(), marker=marker, heartbeat=self.heartbeat, on_signal=self.on_signal)
            )
        except Exception as error:
            logger.warning(
                "the run of %s is not guarded, so a crash of its process would not be reported: %s", run.table, type(error).__name__
            )

    def reported(self, run: GuardedRun, status: str) -> None:
        """The run has its verdict, and its alerts are in the outbox: if the process is killed now, nobody reports the run again."""
        if self.watching:
            open_runs.reported(run.run_id, status)

    def failed(self, error: BaseException) -> None:
        """A run reported that this exception left its block."""
        if self.watching:
            reported_failures.add(error)

    def closed(self, run: GuardedRun) -> None:
        """The run's alerts were delivered, or their deadline has passed."""
        if self.watching:
            open_runs.drop(run.run_id)

    def _report_dead_runs(self, subject: Subject, report: Callable[[tuple[Alert, ...]], object]) -> None:
        for claim in self.markers.dead(subject) if self.markers is not None else ():
            logger.warning("%s: an earlier run, %s, is dead: %s", subject.table, claim.marker.run_id, PROCESS_DIED)
            report((death_alert(claim.marker, PROCESS_DIED, at=datetime.now(timezone.utc)),))
            claim.done()

    def _mark(self, run: GuardedRun, subject: Subject, started_at: datetime) -> Path | None:
        if self.markers is None:
            return None
        addresses = tuple(self.addresses(subject)) or (Address(channel=""),)
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
            address=addresses[0],
            others=addresses[1:],
        )
        try:
            return self.markers.put(marker)
        except OSError as error:
            logger.warning("%s: no marker could be written, so a crash of this process would not be reported: %s", run.table, said(error))
            return None
