"""One guarded execution for one table: check the data, write it, and tell who must know what became of it."""

from __future__ import annotations

import functools
import logging
import os
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from spark_pd.alerts import alert_while_running, alerts_at_end, alerts_at_start
from spark_pd.dying import TERMINATED, Guard, status_of
from spark_pd.error_table.outcome import ErrorTable
from spark_pd.error_table.place import Place
from spark_pd.errors import DeliveryError, RuleFailed, UsageError
from spark_pd.facts import RunFacts, TriggerPolicy
from spark_pd.lifecycle.attempts import Attempt
from spark_pd.lifecycle.events import Lifecycle, unseen
from spark_pd.lifecycle.listening import Listening
from spark_pd.lifecycle.overrun import Overrun
from spark_pd.lifecycle.triggers import OVERRUN, duration
from spark_pd.model import Alert, Decision, Delivery, Rule, RuleResult, RunStats, RunStatus, Subject
from spark_pd.policy import Verdict, verdicts_at_end, verdicts_at_start
from spark_pd.rules import source_of
from spark_pd.stats import Ended
from spark_pd.triggers import decide, named

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_pd.checks.checked import Checked, Found
    from spark_pd.gate import Gate, Passage
    from spark_pd.record import Records, RunRecord
    from spark_pd.streaming.changes import Quiet
    from spark_pd.streaming.checked import StreamCheck

_log = logging.getLogger("spark_pd.run")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """All that a run is given when it is made; none of it changes, and no two runs share more than this."""

    table: str
    subject: Subject
    previous: Subject | None
    rules: Any
    policy: TriggerPolicy
    exceptions: str
    deadline: float
    strict: bool
    application: str
    application_id: str | None
    job_metadata: str | None
    links: tuple[Any, ...]
    attempt: Attempt | None = None
    platform: Mapping[str, str] = field(default_factory=dict)


class Run:
    """A context manager. `stats`, `decisions`, `alerts` and `deliveries` are complete once the block has ended."""

    def __init__(
        self,
        plan: RunPlan,
        *,
        checker: Any,
        gate: Gate | Quiet,
        guard: Guard | None = None,
        records: Records | None = None,
        listening: Listening | None = None,
    ) -> None:
        self.run_id = str(uuid.uuid4())
        self._plan = plan
        self._checker = checker
        self._record: RunRecord | None = None if records is None else records.of_run(plan.subject, self.run_id)
        self._gate = gate if self._record is None or self._record.state is None else gate.remembering(self._record.state)
        self._ended: Ended | None = None
        self._guard = guard or Guard()
        self._lifecycle = (listening or Listening(why_not="there is no Spark listener")).of_run(self.run_id)
        self._process = os.getpid()
        self._unjudged = threading.Lock()  # taken once and for good, by whoever gives the verdict
        self._state: Literal["new", "open", "judged", "ended"] = "new"
        self._checked: Checked | None = None
        self._stream: StreamCheck | None = None
        self._rules: tuple[Rule, ...] = ()
        self._written = False
        self.target: Place | None = None
        """Where the checked rows are written, as far as it is known; None where the user writes them himself."""
        self._passages: list[Passage] = []
        self._started_at = self._ended_at = _now()
        self._overrun = Overrun(plan.policy.limit.get(OVERRUN) if plan.policy.on.get(OVERRUN) else None, self._tell_overrun)
        self._told_overrun: str | None = None
        self._order = functools.cache(lambda: self._gate.begin(plan.subject, plan.policy.on, self._started_at))
        self.stats: RunStats | None = None
        self.decisions: tuple[Decision, ...] = ()
        self.alerts: tuple[Alert, ...] = ()
        self.deliveries: tuple[Delivery, ...] = ()
        self.error_table: ErrorTable | None = None
        """What became of the error table; None where it is switched off, or nothing was checked."""
        self.lifecycle: Lifecycle | None = None
        """What Spark did for the run; None where there is no listener, or it did not answer."""

    @property
    def table(self) -> str:
        """The table's name as it was given."""
        return self._plan.table

    @property
    def told_failure(self) -> bool:
        """Whether somebody was told that the run failed: its incident went out or waits in the outbox, or is open since an earlier run."""
        told = any(d.alert.trigger == "failure" and d.alert.state == "firing" and d.status in ("sent", "queued") for d in self.deliveries)
        key = self._plan.subject.dedup_key("failure")
        return told or any(key in passage.standing for passage in tuple(self._passages))

    def __repr__(self) -> str:
        return f"Run({self._plan.table!r}, run_id={self.run_id!r}, {self._state})"

    # ---- the block -------------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Run:
        if self._state != "new":
            raise UsageError(f"the run of {self.table} was entered before; make a new one with monitor.run for each block")
        self._state = "open"
        self._started_at = _now()
        self._lifecycle.begin()
        if self._record is not None:
            self._record.begin()
        if self._record is None or self._record.state is None:
            self._order()  # a state in a table is read in the background, as it is now
        self._process = os.getpid()
        with self._guard.held():
            self._guard.opened(self, self._plan.subject, self._started_at, self._tell_dead)
        try:
            self._rules = self._checker.load(self._plan.rules)
        except BaseException as error:
            # A block that was not entered has no exit, and a job that cannot read its rules has failed like any other.
            self.__exit__(type(error), error, error.__traceback__)
            raise
        with self._guard.held():
            facts = self._facts("passed", None, None, ())
            alerts = alerts_at_start(facts, self._plan.policy)
            self._send(verdicts_at_start(facts, alerts, self._order()) if alerts else ())
            self._overrun.begin((_now() - self._started_at).total_seconds())
        return self

    def check(self, df: DataFrame) -> DataFrame:
        """The rows of `df` that no `drop` rule drops, lazily; their counts are taken from what is written of it.

        `fail` rules are settled here, by a pass over the input: where one fails, the incident goes out and RuleFailed is raised before
        anything is written. Raises RulesError for rules that Spark does not accept over these columns, UsageError for a second check.

        Of a streaming DataFrame the rows are counted in each micro-batch, and `monitor.watch` of its query judges them. Raises UsageError
        for rules that no stream can be judged by: those with action `fail`, and those over the whole data.
        """
        self._must_be_open("check")
        if self._checked is not None or self._stream is not None:
            raise UsageError(f"the run of {self.table} has checked a DataFrame already; make one run for each table that is written")
        if getattr(df, "isStreaming", False) is True:
            self._stream = self._checker.check_stream(df, self._rules, self._plan.subject, source_of(self._plan.rules))
            stream: DataFrame = self._stream.df
            return stream
        self._checked = checked = self._checker.check(df, self._rules)
        if checked.failed:
            failure = RuleFailed(_stopped_by(self.table, checked.failed), checked.failed)
            with self._guard.held():
                if self._unjudged.acquire(blocking=False):
                    self._judge("failed", failure)
                self.settle()
                self._guard.closed(self)
            self._write_error_table()
            self._write_down()
            raise failure
        result: DataFrame = checked.df
        return result

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
        """Write what `check` gave, or what was made from it, to the run's table or another: a name is a table's, a path a folder's."""
        self._must_be_open("write")
        target = self._plan.table if table is None else table
        writer = df.write.mode(mode).options(**dict(options or {}))
        if format is not None:
            writer = writer.format(format)
        if partition_by:
            writer = writer.partitionBy(*([partition_by] if isinstance(partition_by, str) else partition_by))
        if isinstance(target, Path) or "/" in target:
            writer.save(str(target))
        else:
            writer.saveAsTable(target)
        self._written = True
        self.target = self.target or Place(f"./{target}" if isinstance(target, Path) and "/" not in str(target) else str(target), format)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._state == "ended" or self._process != os.getpid():
            return  # a forked child's copy is not the run
        judged = self._state == "judged"
        with self._guard.held():
            late = self._end(error)
        try:
            if not judged and not isinstance(error, KeyboardInterrupt) and not self._guard.terminated(error):
                self._write_error_table()
        finally:
            self._lifecycle.end()
            if self._checked is not None:
                self._checked.close()
        self._write_down()
        if error is None and late is not None:
            raise late
        if error is None and self._plan.strict:
            # With deadline 0 the outbox is where alerts are meant to go.
            bad = ("failed", "dead", "queued") if self._plan.deadline else ("failed", "dead")
            undelivered = [d for d in self.deliveries if d.status in bad]
            if undelivered:
                raise DeliveryError(
                    f"{len(undelivered)} of {len(self.deliveries)} alerts of {self.table} were not delivered: {undelivered[0].reason}",
                    undelivered,
                )

    def _end(self, error: BaseException | None) -> RuleFailed | None:
        try:
            late: RuleFailed | None = None
            if self._unjudged.acquire(blocking=False):
                late = self._judge("errored" if self._guard.terminated(error) else status_of(error), error)
            self.settle()
            return late
        except Exception as ours:
            # the user's job comes first: nothing of ours may change its outcome
            _log.warning(
                "the run of %s could not be reported: %s", self.table, type(ours).__name__, exc_info=_log.isEnabledFor(logging.DEBUG)
            )
            return None
        finally:
            self._state = "ended"
            self._guard.closed(self)

    @property
    def patience(self) -> float:
        """Seconds that telling the verdict may take."""
        return self._plan.deadline

    def conclude(self, status: RunStatus, why: str) -> bool:
        """Give the run its verdict from outside its block, without asking Spark for counts: there may be nobody to answer.

        Its alerts are in the outbox then, and `settle` waits for them. False where it has a verdict already.
        """
        if not self._unjudged.acquire(blocking=False):
            return False
        self._state = "judged"
        self._told_overrun = self._overrun.end()
        if self._record is not None:
            self._record.give_up(why)
        if self._checked is not None:
            self.stats = self._counted(self._checked.unknown(why), status)
        self._ended_at = _now()
        self._decide(replace(self._facts(status, why, why, ()), lifecycle=unseen(why)))
        return True

    def _must_be_open(self, what: str) -> None:
        if self._state != "open":
            raise UsageError(f"run.{what} is for inside the block: with monitor.run({self.table!r}, ...) as run: run.{what}(...)")

    # ---- the verdict -----------------------------------------------------------------------------------------------------------

    def _judge(self, status: RunStatus, error: BaseException | None) -> RuleFailed | None:
        """Settle stats, decisions and alerts, once. Returns the failure of a `fail` rule that came to light only in the write."""
        self._state = "judged"
        self._told_overrun = self._overrun.end()
        late: RuleFailed | None = None
        failed: tuple[RuleResult, ...] = error.rules if isinstance(error, RuleFailed) and status == "failed" else ()
        unknown: str | None = None
        if self._checked is not None:
            found = self._checked.found(written=self._written)
            unknown = found.unknown
            if status == "passed" and found.unknown is not None:
                status = "unknown"
                _log.warning("%s: the counts of this run are unknown: %s", self.table, unknown)
            broken = tuple(r for r in found.rules if r.action_if_failed == "fail" and r.status == "failed")
            if status == "passed" and broken:
                # the input changed between the look before the write and the write itself
                status, failed = "failed", broken
                error = late = RuleFailed(
                    f"{_stopped_by(self.table, broken)}; the data had been written already: its input is not deterministic", broken
                )
            self.stats = self._counted(found, status)
        if self._stream is not None and status == "passed" and not self._stream.watched:
            _log.warning("%s: run.check was given a stream that nobody watches: call monitor.watch(query) with its query", self.table)
        self._ended_at = _now()
        failure = None if error is None or status == "cancelled" else self._checker.describe(error, self._plan.exceptions)
        if error is not None and self._guard.terminated(error):
            failure = f"{TERMINATED}, whose handler raised {failure}"
        self.lifecycle, without = self._lifecycle.told()
        facts = replace(self._facts(status, unknown, failure, failed), lifecycle=self.lifecycle, no_lifecycle=without)
        self._decide(facts)
        if error is not None and any(alert.trigger == "failure" and alert.state == "firing" for alert in self.alerts):
            self._guard.failed(error)
        self._ended = Ended(facts=facts, table_name=self.table, failure_class=None if failure is None else type(error).__qualname__)
        return late

    def _write_down(self) -> None:
        """Append the run's row, once its alerts were told. SIGTERM does not wait for it."""
        if self._record is not None and self._ended is not None:
            self._record.end(replace(self._ended, decisions=self.decisions, deliveries=self.deliveries))

    def _decide(self, facts: RunFacts) -> None:
        """Settle decisions and alerts."""
        if self._record is not None:
            facts = replace(facts, history=self._record.history())
        self.decisions = decide(facts, self._plan.policy)
        alerts = alerts_at_end(facts, self._plan.policy, self.decisions)
        self._send(verdicts_at_end(facts, self._plan.policy, self.decisions, alerts, self._order()))
        self._guard.told(self, facts.status)
        # After the alerts: a process that is to die may not get this far.
        for decision in self.decisions:
            _log.info("%s: %s is %s: %s", self.table, decision.trigger, decision.outcome, decision.reason)

    def _counted(self, found: Found, status: RunStatus) -> RunStats:
        assert self._checked is not None
        self._ended_at = _now()
        return RunStats(
            product_id=self._plan.subject.product_id,
            table_name=self.table,
            run_id=self.run_id,
            started_at=self._started_at,
            ended_at=self._ended_at,
            status=status,
            input_count=found.input_count,
            error_count=found.error_count,
            dropped_count=found.dropped_count,
            output_count=found.output_count,
            exact=found.unknown is None and found.input_count is not None,
            counting=self._checked.counting,
            rules=found.rules,
        )

    def _facts(self, status: RunStatus, unknown: str | None, failure: str | None, failed: tuple[RuleResult, ...]) -> RunFacts:
        return RunFacts(
            subject=self._plan.subject,
            run_id=self.run_id,
            status=status,
            stats=self.stats,
            unknown=unknown,
            failure=failure,
            failed_rules=failed,
            rules=self._rules,
            rules_source=source_of(self._plan.rules),
            started_at=self._started_at,
            ended_at=self._ended_at,
            application=self._plan.application,
            application_id=self._plan.application_id,
            job_metadata=self._plan.job_metadata,
            links=self._plan.links,
            previous=self._plan.previous,
            told_overrun=self._told_overrun,
            attempt=self._plan.attempt,
            platform=self._plan.platform,
            streamed=self._stream is not None,
            unchecked="the run checked nothing" if self._stream is None else "the run checked a stream: monitor.watch judges its batches",
        )

    def _write_error_table(self) -> None:
        """Write the rows that failed. After the alerts: it may take a while, and somebody may have to get up."""
        if self._checked is None:
            return
        try:
            self.error_table = self._checker.error_table(self._checked, self.target, self.run_id, self._started_at)
        except Exception as ours:
            _log.warning("the error table of %s could not be written: %s", self.table, type(ours).__name__)

    # ---- the delivery ----------------------------------------------------------------------------------------------------------

    def _send(self, verdicts: Sequence[Verdict]) -> None:
        if verdicts:
            passage = self._gate.submit(verdicts, seconds=self._plan.deadline)
            self._passages.append(passage)
            self.alerts += passage.alerts
            self.decisions = passage.noted(self.decisions)

    def _tell_dead(self, alerts: Sequence[Alert]) -> None:
        """Tell of runs of this subject that died before they had a verdict."""
        subject, order = self._plan.subject, self._order()
        self._send([Verdict(subject=subject, trigger=a.trigger, outcome="firing", alert=a, started_at=order) for a in alerts])

    def _tell_overrun(self, goes_on: Callable[[], bool]) -> str | None:
        """Tell, in the clock's thread and without asking Spark, that the run takes too long; what was said of it."""
        facts = replace(self._facts("unknown", None, None, ()), ended_at=_now())
        alert, order = alert_while_running(facts, self._plan.policy), self._order()
        state = None if self._record is None else self._record.state
        if not goes_on():
            return None
        passage = (self._gate if state is None else self._gate.remembering(state.as_it_began())).submit(
            verdicts_at_start(facts, [alert], order), seconds=self._plan.deadline
        )
        self._passages.append(passage)
        self.alerts += passage.alerts
        after = f"after {duration((facts.ended_at - facts.started_at).total_seconds())}"
        return passage.noted([Decision(trigger=OVERRUN, outcome="firing", reason=after)])[0].reason

    def settle(self) -> None:
        """Wait for what is under way, at most until its deadline. Two threads may: that of the block, and who ends it from outside."""
        self.deliveries = tuple(delivery for passage in tuple(self._passages) for delivery in passage.wait())


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _stopped_by(table: str, failed: Sequence[RuleResult]) -> str:
    return f"{table}: {len(failed)} rule{'s' if len(failed) > 1 else ''} with action fail failed: {named(failed)}"
