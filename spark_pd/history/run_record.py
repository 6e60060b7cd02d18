"""What is written down of a run, and what was written down of those before it: its row in the stats table, the history, the state.

All of it asks Spark, so all of it may fail or hang. Nothing here raises, or waits longer than it says.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from spark_pd.alerting.past_runs import History
from spark_pd.history.past_runs_reader import past_runs
from spark_pd.history.state_table import RunState, StateTable
from spark_pd.history.stats_columns import COLUMNS
from spark_pd.history.stats_row import Ended, row_of
from spark_pd.model import Subject
from spark_pd.model.incident_state import StateStore
from spark_pd.secrets.redaction import describe
from spark_pd.spark.background import Call
from spark_pd.spark.tables import STATE_SUFFIX, Table, TableColumn, beside

logger = logging.getLogger("spark_pd.history")

READ_SECONDS = 20.0
"""That a run's end waits for the history, which is read while the run does its work."""
APPEND_SECONDS = 60.0
"""That a run's end waits for its row."""
STATE = (
    TableColumn("place", "string", "A digest of where alerts go."),
    TableColumn("subject", "string", "The dedup keys without the trigger."),
    TableColumn("run_id", "string", "The run that wrote the row."),
    TableColumn("event", "string", "began or ended."),
    TableColumn("at", "timestamp", "When it was written."),
    TableColumn("memories", "string", "What the run remembers of each incident."),
    TableColumn("told", "string", "What is known of the way of each incident's alerts."),
    TableColumn("month", "int", "Of `at`, such as 202611."),
)


@dataclass(frozen=True, slots=True)
class Records:
    """The tables of one monitor. Making it asks Spark for nothing."""

    stats: Table
    state: StateTable | None
    """None where nothing is sent, and so nothing is remembered."""
    local: StateStore | None
    """The state in the outbox, where there is one."""
    most: int
    least: int

    @classmethod
    def of(
        cls, spark: object, name: str, *, format: str | None, place: str | None, local: StateStore | None, most: int, least: int
    ) -> Records:
        """The stats table of that name, and with a `place` (where alerts go) the state's beside it."""
        state = Table(spark, beside(name, STATE_SUFFIX), format=format, columns=STATE, partition_by="month")
        return cls(
            Table(spark, name, format=format, columns=COLUMNS),
            None if place is None else StateTable.of(state, place),
            local,
            most,
            least,
        )

    def of_run(self, subject: Subject, run_id: str) -> RunRecord:
        """The record of one run."""
        return RunRecord(self, subject.prefix, run_id)


class RunRecord:
    """The record of one run."""

    def __init__(self, records: Records, subject: str, run_id: str) -> None:
        self._records = records
        self._subject = subject
        self._past: Call[History] | None = None
        self._over = False
        self.state = None if records.state is None else RunState(records.state, subject, run_id, local=records.local)

    def begin(self) -> None:
        """Look up the state and the history, in the background."""
        if self.state is not None:
            self.state.begin()
        stats, most, least = self._records.stats, self._records.most, self._records.least

        def look() -> History:
            """Twice as many runs as a baseline takes: some will not be exact."""
            return History(runs=past_runs(stats, self._subject, most=2 * most), most=most, least=least)

        self._past = Call(look, name="history")

    def history(self) -> History:
        """The subject's earlier runs, as they were when the run began."""
        if self._past is None or self._over:
            return History(unknown="Spark was not asked")
        try:
            return self._past.result(READ_SECONDS)
        except Exception as error:
            reason = type(error).__name__
            logger.warning(
                "%s: the history could not be read, so nothing is unusual: %s", self._records.stats.name, describe(error, "scrubbed")
            )
            return History(unknown=reason)

    def end(self, ended: Ended) -> None:
        """Write the run's row, and what is remembered of its incidents. Once."""
        if self._over:
            return
        self._over = True
        until, state = time.monotonic() + APPEND_SECONDS, self.state
        row = Call(lambda: self._records.stats.append(row_of(ended)), name="stats")
        if state is not None:
            self._wait(lambda: state.finish(ended.deliveries))
        self._wait(lambda: row.result(until - time.monotonic()))

    def give_up(self, why: str) -> None:
        """Ask Spark for nothing any more. The run gets no row."""
        if not self._over:
            self._over = True
            if self.state is not None:
                self.state.give_up()
            logger.warning("%s: this run gets no row: %s", self._records.stats.name, why)

    def _wait(self, wait: Callable[[], object]) -> None:
        try:
            wait()
        except TimeoutError:
            logger.warning("%s: the run's row is not written after %g s, and nobody waits for it", self._records.stats.name, APPEND_SECONDS)
        except Exception as error:
            logger.warning(
                "%s: the run's row could not be written: %s",
                self._records.stats.name,
                describe(error, "scrubbed"),
                exc_info=logger.isEnabledFor(logging.DEBUG),
            )
