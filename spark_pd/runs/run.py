"""Run: the block in which a table is checked and written, and the one verdict that it gets however the block ends.

enter -> check -> write -> judge -> decide -> notify -> record
"""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from spark_pd.alerting.facts import RunFacts
from spark_pd.alerting.lifecycle_triggers import OVERRUN
from spark_pd.checks.error_table.location import Place
from spark_pd.checks.error_table.result import ErrorTable
from spark_pd.history.stats_row import Ended
from spark_pd.model import Alert, Decision, Delivery, Rule, RuleResult, RunStats, RunStatus
from spark_pd.model.errors import RuleFailed, UsageError
from spark_pd.model.lifecycle import Lifecycle, unseen
from spark_pd.runs.crash import TERMINATED, Guard, open_runs
from spark_pd.runs.events import RunEvents
from spark_pd.runs.overrun_clock import Overrun
from spark_pd.runs.reporting import Reporter, RunNotifier
from spark_pd.runs.run_html import run_html, verdict_of
from spark_pd.runs.run_plan import RunPlan
from spark_pd.runs.run_result import judged, stats_of, status_of, stopped_by
from spark_pd.runs.write_target import WriteOptions, write_target
from spark_pd.secrets.redaction import describe
from spark_pd.spark.run_lifecycle import Listening

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_pd.checks.checked import Checked, Found
    from spark_pd.history.run_record import Records, RunRecord
    from spark_pd.runs.streaming.stream_check import StreamCheck

_log = logging.getLogger("spark_pd.run")


class Run:
    """A context manager. `stats`, `decisions`, `alerts` and `deliveries` are complete once the block has ended."""

    def __init__(
        self,
        plan: RunPlan,
        *,
        checker: Any,
        notifier: RunNotifier,
        guard: Guard | None = None,
        records: Records | None = None,
        listening: Listening | None = None,
    ) -> None:
        self.run_id = str(uuid.uuid4())
        self._plan = plan
        self._events = RunEvents(plan.context.events, plan.subject, self.run_id)
        self._checker = checker
        self._record: RunRecord | None = None if records is None else records.of_run(plan.subject, self.run_id)
        self._ended: Ended | None = None
        self._guard = guard or Guard()
        self._lifecycle = (listening or Listening(why_not="there is no Spark listener")).of_run(self.run_id)
        self._process = os.getpid()
        self._unjudged = threading.Lock()  # acquired once and never released, by the thread that gives the verdict
        self._state: Literal["new", "open", "judged", "ended"] = "new"
        self._checked: Checked | None = None
        self._stream: StreamCheck | None = None
        self._rules: tuple[Rule, ...] = ()
        self._written = False
        self.target: Place | None = None
        """Where the checked rows are written, as far as that is known; None where the user's own code writes them."""
        self._started_at = self._ended_at = _now()
        self._reporter = Reporter(plan, notifier, None if self._record is None else self._record.state, self._started_at)
        triggers = plan.context.triggers
        self._overrun = Overrun(OVERRUN.limit_in(triggers) if OVERRUN.is_on(triggers) else None, self._report_overrun)
        self._reported_overrun: str | None = None
        self.stats: RunStats | None = None
        self.error_table: ErrorTable | None = None
        """What became of the error table; None where it is switched off, or nothing was checked."""
        self.lifecycle: Lifecycle | None = None
        """What Spark did for the run; None where there is no listener, or it did not answer."""

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What each trigger concluded, and why; empty before the run has its verdict."""
        return self._reporter.decisions

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The run's alerts, sent or withheld, in order."""
        return self._reporter.alerts

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """What became of each alert; empty before that is known, which takes as long as the deadline at most."""
        return self._reporter.deliveries

    @property
    def table(self) -> str:
        """The table's name as it was given."""
        return self._plan.table

    @property
    def reported_failure(self) -> bool:
        """Whether the run's failure was reported: its alert was sent or is queued, or an earlier run's incident is still open."""
        return self._reporter.reported_failure

    def __repr__(self) -> str:
        return f"Run({self._plan.table!r}, run_id={self.run_id!r}, {self._state}, {verdict_of(self)[0]})"

    def _repr_html_(self) -> str:
        return run_html(self, self._plan.context.settings.on)

    def __enter__(self) -> Run:
        if self._state != "new":
            raise UsageError(f"the run of {self.table} was entered before; make a new one with monitor.run for each block")
        self._state = "open"
        self._started_at = _now()
        self._lifecycle.begin()
        if self._record is not None:
            self._record.begin()
        self._reporter.begin(self._started_at)
        self._process = os.getpid()
        with open_runs.sigterm.delayed():
            self._guard.opened(self, self._plan.subject, self._started_at, self._reporter.dead_runs)
        try:
            self._rules = self._checker.load(self._plan.rules)
        except BaseException as error:
            # Python does not call __exit__ where __enter__ raises, and a job that cannot read its rules has failed like any other.
            self.__exit__(type(error), error, error.__traceback__)
            raise
        with open_runs.sigterm.delayed():
            self._reporter.start(self._facts("passed", None, None, ()))
            self._events.started(self._started_at, self._rules)
            self._overrun.begin((_now() - self._started_at).total_seconds())
        return self

    def check(self, df: DataFrame) -> DataFrame:
        """The rows of `df` that no `drop` rule drops, lazily; their counts are taken from what is written of it.

        `fail` rules are evaluated here, by a pass over the input: where one fails, the incident goes out and RuleFailed is raised before
        anything is written. Raises RulesError for rules that Spark does not accept over these columns, UsageError for a second check.

        Of a streaming DataFrame the rows are counted in each micro-batch, and `monitor.watch` of its query judges them. Raises UsageError
        for rules that no stream can be judged by: those with action `fail`, and those over the whole data.
        """
        self._must_be_open("check")
        if self._checked is not None or self._stream is not None:
            raise UsageError(f"the run of {self.table} has checked a DataFrame already; make one run for each table that is written")
        if getattr(df, "isStreaming", False) is True:
            self._stream = self._checker.check_stream(df, self._rules)
            stream: DataFrame = self._stream.df
            return stream
        self._checked = checked = self._checker.check(df, self._rules)
        if checked.failed:
            failure = RuleFailed(stopped_by(self.table, checked.failed), checked.failed)
            with open_runs.sigterm.delayed():
                if self._unjudged.acquire(blocking=False):
                    self._judge("failed", failure)
                self.wait_for_deliveries()
                self._guard.closed(self)
            self._write_error_table()
            self._record_end()
            raise failure
        result: DataFrame = checked.df
        return result

    def _must_be_open(self, what: str) -> None:
        if self._state != "open":
            raise UsageError(f"run.{what} is for inside the block: with monitor.run({self.table!r}, ...) as run: run.{what}(...)")

    # ---- write -----------------------------------------------------------------------------------------------------------------

    def write(
        self,
        df: DataFrame,
        table: str | Path | None = None,
        *,
        mode: str = "append",
        format: str | None = None,
        partition_by: str | Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Write what `check` returned, or what you made of it, to the run's table or another: a name is a table's, a path a folder's."""
        self.write_with(df, WriteOptions(mode=mode, format=format, partition_by=partition_by, options=options), table)

    def write_with(self, df: DataFrame, how: WriteOptions, table: str | Path | None = None) -> None:
        """As `write`, with its options as one value."""
        self._must_be_open("write")
        place = write_target(df, self._plan.table if table is None else table, how)
        self._written = True
        self.target = self.target or place

    # ---- the end of the block --------------------------------------------------------------------------------------------------

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._state == "ended" or self._process != os.getpid():
            return  # a forked child's copy is not the run
        stopped = self._state == "judged"
        with open_runs.sigterm.delayed():
            late = self._end(error)
        try:
            if not stopped and not isinstance(error, KeyboardInterrupt) and not open_runs.sigterm.raised(error):
                self._write_error_table()
        finally:
            self._lifecycle.end()
            if self._checked is not None:
                self._checked.close()
        self._record_end()
        if error is None and late is not None:
            raise late
        if error is None and self._plan.context.settings.strict:
            self._reporter.raise_undelivered()

    def _end(self, error: BaseException | None) -> RuleFailed | None:
        try:
            late: RuleFailed | None = None
            if self._unjudged.acquire(blocking=False):
                late = self._judge("errored" if open_runs.sigterm.raised(error) else status_of(error), error)
            self.wait_for_deliveries()
            return late
        except Exception as ours:
            # the user's job comes first: an error of spark_pd must not change its outcome
            _log.warning(
                "the run of %s could not be reported: %s", self.table, type(ours).__name__, exc_info=_log.isEnabledFor(logging.DEBUG)
            )
            return None
        finally:
            self._state = "ended"
            self._guard.closed(self)

    @property
    def patience(self) -> float:
        """Seconds that the delivery of its alerts may take."""
        return self._plan.context.settings.deadline

    def conclude(self, status: RunStatus, why: str) -> bool:
        """Give the run its verdict from outside its block, without asking Spark for counts: Spark may no longer answer.

        Its alerts are in the outbox then, and `wait_for_deliveries` waits for them. False where it has a verdict already.
        """
        if not self._unjudged.acquire(blocking=False):
            return False
        self._state = "judged"
        self._reported_overrun = self._overrun.end()
        if self._record is not None:
            self._record.give_up(why)
        if self._checked is not None:
            self.stats = self._counted(self._checked, self._checked.unknown(why), status)
        self._ended_at = _now()
        self._decide_and_notify(replace(self._facts(status, why, why, ()), lifecycle=unseen(why)))
        return True

    # ---- judge -----------------------------------------------------------------------------------------------------------------

    def _judge(self, status: RunStatus, error: BaseException | None) -> RuleFailed | None:
        """Find stats, decisions and alerts, once for each run. Returns the failure of a `fail` rule that only the write showed."""
        self._state = "judged"
        self._reported_overrun = self._overrun.end()
        found = None if self._checked is None else self._checked.found(written=self._written)
        end = judged(self.table, status, error, found)
        status, error = end.status, end.error
        if status == "unknown":
            _log.warning("%s: the counts of this run are unknown: %s", self.table, end.unknown)
        if self._checked is not None and found is not None:
            self.stats = self._counted(self._checked, found, status)
        if self._stream is not None and status == "passed" and not self._stream.watched:
            _log.warning("%s: run.check was given a stream that nobody watches: call monitor.watch(query) with its query", self.table)
        self._ended_at = _now()
        failure = self._described(error, status)
        self.lifecycle, without = self._lifecycle.found()
        facts = replace(self._facts(status, end.unknown, failure, end.failed), lifecycle=self.lifecycle, no_lifecycle=without)
        self._decide_and_notify(facts)
        if error is not None and any(alert.trigger == "failure" and alert.state == "firing" for alert in self.alerts):
            self._guard.failed(error)
        self._ended = Ended(facts=facts, table_name=self.table, failure_class=None if failure is None else type(error).__qualname__)
        return end.late

    def _described(self, error: BaseException | None, status: RunStatus) -> str | None:
        """What of the exception may leave the cluster; None where the run did not fail by one."""
        if error is None or status == "cancelled":
            return None
        failure = describe(error, self._plan.context.settings.exceptions)
        return f"{TERMINATED}, whose handler raised {failure}" if open_runs.sigterm.raised(error) else failure

    def _counted(self, checked: Checked, found: Found, status: RunStatus) -> RunStats:
        self._ended_at = _now()
        times = (self._started_at, self._ended_at)
        return stats_of(found, self._plan, run_id=self.run_id, times=times, status=status, counting=checked.counting)

    def _facts(self, status: RunStatus, unknown: str | None, failure: str | None, failed: tuple[RuleResult, ...]) -> RunFacts:
        return replace(
            self._plan.facts(self.run_id, self._started_at),
            status=status,
            stats=self.stats,
            unknown=unknown,
            failure=failure,
            failed_rules=failed,
            rules=self._rules,
            ended_at=self._ended_at,
            reported_overrun=self._reported_overrun,
            judged_elsewhere=self._stream is not None,
            unchecked="the run checked nothing" if self._stream is None else "the run checked a stream: monitor.watch judges its batches",
        )

    # ---- decide, notify --------------------------------------------------------------------------------------------------------

    def _decide_and_notify(self, facts: RunFacts) -> None:
        if self._record is not None:
            facts = replace(facts, history=self._record.history())
        self._reporter.end(facts)
        self._guard.reported(self, facts.status)
        # After the alerts: a process that is being terminated may not get this far.
        for decision in self.decisions:
            _log.info("%s: %s is %s: %s", self.table, decision.trigger, decision.outcome, decision.reason)

    def _report_overrun(self, is_running: Callable[[], bool]) -> str | None:
        """Report, in the clock's thread, that the run takes too long; returns what was reported."""
        return self._reporter.overrun(replace(self._facts("unknown", None, None, ()), ended_at=_now()), is_running)

    def wait_for_deliveries(self) -> None:
        """Wait for the deliveries, at most until their deadline. Two threads may: the block's, and one that ends the run from outside."""
        self._reporter.wait()

    # ---- record ----------------------------------------------------------------------------------------------------------------

    def _write_error_table(self) -> None:
        """Write the rows that failed. After the alerts, since it may take a while."""
        if self._checked is None:
            return
        try:
            self.error_table = self._checker.error_table(self._checked, self.target, self.run_id, self._started_at)
        except Exception as ours:
            _log.warning("the error table of %s could not be written: %s", self.table, type(ours).__name__)

    def _record_end(self) -> None:
        """Append the run's row to the stats table, after its alerts. SIGTERM does not wait for it."""
        self._events.ended(self, None if self._ended is None else self._ended.facts.status)
        if self._record is not None and self._ended is not None:
            self._record.end(replace(self._ended, decisions=self.decisions, deliveries=self.deliveries))


def _now() -> datetime:
    return datetime.now(timezone.utc)
