"""The watch of one query: its last batches, what was decided of them, and the alerts that were sent."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from spark_pd.alerting.facts import QueryFacts, RunFacts
from spark_pd.alerting.triggers import decide
from spark_pd.delivery.notifier import Notifier
from spark_pd.model import Alert, Decision, Delivery, RunStats, Subject
from spark_pd.rules.loading import NO_RULES
from spark_pd.runs.session_context import SessionContext
from spark_pd.runs.streaming.batch_window import Batch, BatchWindow
from spark_pd.runs.streaming.query_end import described, failure_of, session_is_over
from spark_pd.runs.streaming.query_listener import SessionQueryListener
from spark_pd.runs.streaming.query_progress import batch_of, observed_names, ran, read_rows, value
from spark_pd.runs.streaming.reported_batches import ReportedBatch, reported_batches
from spark_pd.runs.streaming.stream_verdicts import OF_COUNTS, OF_QUERY, decisions_of, stats_of, verdicts_of
from spark_pd.runs.streaming.verdict_changes import VerdictChanges
from spark_pd.runs.streaming.window_files import WindowFiles

if TYPE_CHECKING:
    from spark_pd.runs.streaming.stream_check import StreamCheck

_log = logging.getLogger("spark_pd.streaming")

MOST = 100
"""Alerts and deliveries that a watch keeps: a stream has no end."""
MARGIN = 1.0
"""Seconds beyond the deadline for judging the events."""
UNCOUNTED = "Spark observed no counts of the batch (all of its rows were filtered out before the check, or it was planned without it)"


class Watch:
    """One start of a query. Made by `monitor.watch`; `settle` brings it up to date, `stop` ends it."""

    def __init__(
        self,
        query: Any,
        context: SessionContext,
        *,
        spark: Any,
        notifier: Notifier,
        windows: WindowFiles,
        check: StreamCheck | None,
        find: Callable[[Collection[str]], StreamCheck | None],
    ) -> None:
        self._query = query
        self._context = context
        self._settings = context.settings
        self._spark = spark
        self._notifier = notifier
        self._windows = windows
        self._find = find
        self._listener: SessionQueryListener | None = None
        self._lock = threading.RLock()
        self._changes = VerdictChanges()
        self._check: StreamCheck | None = None
        self._window = BatchWindow()
        self._newest = -1
        self._over = False
        self._state = QueryFacts(name=_lasting_name(query))
        self._unknown: str | None = None
        self._reported_by: ReportedBatch | None = None
        self._warned = False
        self._started_at = self._ended_at = datetime.now(timezone.utc)
        self._alerts: deque[Alert] = deque(maxlen=MOST)
        self._deliveries: deque[Delivery] = deque(maxlen=MOST)
        self.run_id = str(query.runId)
        """Of the query, another one at each start."""
        self.stats: RunStats | None = None
        """Of the rows of the last batches together; None where nothing was checked, or no batch had rows yet."""
        self._use(check)
        self.decisions: tuple[Decision, ...] = decisions_of(decide(self._facts(), context.triggers))
        """Of the last batch, or of the query's end."""

    def __repr__(self) -> str:
        return f"Watch({self.name!r}, {self._window}{', over' if self._over else ''})"

    @property
    def name(self) -> str:
        """A name for the query that is the same after a restart: its own, else its checkpoint."""
        return self._state.name

    @property
    def subject(self) -> Subject:
        """The subject of its incidents."""
        if self._check is None:
            return Subject(environment=self._settings.environment, product_id=self._settings.product_id, table=self.name)
        checked = self._check.run.subject
        return replace(checked, job=checked.job or self.name)

    @property
    def batches(self) -> tuple[Batch, ...]:
        """The last batches that had rows, oldest first: spark.pd.stream.batches that were counted, and those between that could not be."""
        return self._window.batches

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The last alerts that were sent or withheld."""
        return tuple(self._alerts)

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """What became of them."""
        return tuple(self._deliveries)

    @property
    def is_over(self) -> bool:
        """Whether the query ended, or the watch was stopped."""
        return self._over

    def begin(self, listener: SessionQueryListener) -> None:
        """Get the query's events from now on, and catch up with what it did before. Never raises."""
        self._listener = listener
        listener.add(self)
        self.catch_up()

    def settle(self) -> None:
        """Judge all that the query has done until now, and wait for its alerts, no longer than spark.pd.deadline. Never raises."""
        if self._listener is not None and not self._over:
            self._listener.drain(self._settings.deadline + MARGIN)
        self.catch_up()

    def look(self) -> None:
        """Catch up if the query is over, which the listener may not have reported. Never raises."""
        with suppress(Exception):
            if not self._query.isActive:
                self.catch_up()

    def stop(self) -> None:
        """Settle, and stop watching. The query goes on, and open incidents stay open."""
        self.settle()
        with self._lock:
            self._leave()

    # ---- the query's events ------------------------------------------------------------------------------------------------------

    def progressed(self, progress: Any) -> None:
        """Spark reported the query's progress."""
        with self._lock:
            batch_id = int(value(progress, "batchId"))
            if self._over or not ran(progress) or batch_id <= self._newest:
                return
            self._newest = batch_id
            if self._check is None:
                self._use(self._find(observed_names(progress)))
            batch = batch_of(progress, None if self._check is None else self._check.name)
            self._completed(batch, had_rows=read_rows(progress))

    def terminated(self, failure: str | None) -> None:
        """The query ended, by that exception or by none."""
        with self._lock:
            self._read(self._query_status())
            if self._over:
                return
            reason = None if failure is None else described(failure, self._settings.exceptions)
            self._state = QueryFacts(name=self.name, completed=self._state.completed, ended=True, failure=reason)
            self._reported_by = None if failure is None else reported_batches.ending(self.run_id, completed=self._newest)
            self._ended_at = datetime.now(timezone.utc)
            self._judge(OF_QUERY)
            self._leave()

    def catch_up(self) -> None:
        """Read from the query what it has done so far, before it was watched or without an event. Never raises."""
        with self._lock:
            if self._over:
                return
            try:
                status = self._query_status()
                self._read(status)
                if status.ended:
                    self.terminated(status.failure)
            except Exception as error:
                _log.warning(
                    "%s: its query could not be judged: %s", self.name, type(error).__name__, exc_info=_log.isEnabledFor(logging.DEBUG)
                )

    def _query_status(self) -> _QueryStatus:
        try:
            ended = not self._query.isActive
            # In this order: a batch that completes in between comes by the listener, or with the next look.
            failure = failure_of(self._query) if ended and not session_is_over(self._spark) else None
            return _QueryStatus(list(self._query.recentProgress), ended, failure)
        except Exception as error:  # the session is gone, or Connect's server
            _log.debug("%s: the query did not answer: %s", self.name, type(error).__name__)
            return _QueryStatus([], False, None)

    def _read(self, status: _QueryStatus) -> None:
        for progress in status.progress:
            if str(value(progress, "runId")) == self.run_id:
                self.progressed(progress)

    def _leave(self) -> None:
        self._over = True
        if self._listener is not None:
            self._listener.remove(self)

    # ---- judging ---------------------------------------------------------------------------------------------------------------

    def _use(self, check: StreamCheck | None) -> None:
        if check is not None:
            check.watched = True
            self._check = check
            self._window = self._windows.load(self.subject.prefix, check.digest)

    def _completed(self, batch: Batch, *, had_rows: bool) -> None:
        self._state = QueryFacts(name=self.name, completed=batch.batch_id)
        self._ended_at = datetime.now(timezone.utc)
        self._unknown = batch.unknown or (UNCOUNTED if batch.counts is None and had_rows and self._check is not None else None)
        if batch.unknown is not None or (batch.counts is not None and batch.counts.rows):
            self._window = self._window.with_batch(batch, most=self._settings.stream_batches)
            self._windows.save(self.subject.prefix, self._window)
        if batch.unknown is not None and not self._warned:
            self._warned = True
            _log.warning("%s: batch %s is not judged, nor are others like it: %s", self.name, batch.batch_id, batch.unknown)
        self._judge(OF_QUERY | OF_COUNTS if batch.counts is not None and batch.counts.rows else OF_QUERY)

    def _judge(self, triggers: frozenset[str]) -> None:
        """Decide again, and submit the changed verdicts of these triggers."""
        facts, triggers_on = self._facts(), self._context.triggers
        self.stats = facts.stats
        evaluations = decide(facts, triggers_on)
        self.decisions = decisions_of(evaluations)
        order = self._notifier.begin(facts.subject, sorted(triggers), self._ended_at)
        verdicts = self._changes.changed(verdicts_of(facts, triggers_on, evaluations, triggers, self._window, order))
        if verdicts:
            notification = self._notifier.submit(verdicts, seconds=self._settings.deadline)
            self._changes.submitted(verdicts, notification)
            self._alerts += notification.alerts
            self.decisions = notification.noted(self.decisions)
            self._deliveries += notification.wait()
        for decision in self.decisions:
            _log.debug("%s: %s is %s: %s", self.name, decision.trigger, decision.outcome, decision.reason)

    def _facts(self) -> RunFacts:
        check, subject = self._check, self.subject
        counts = None if self._unknown is not None else self._window.counts
        at = self._window.batches[0].at if self._window.batches else self._started_at
        stats = None
        if check is not None and (counts is not None or self._unknown is not None):
            stats = stats_of(
                counts,
                check.plan.rules,
                exact=check.detects_double_counting,
                subject=subject,
                table=check.run.table,
                run_id=self.run_id,
                started_at=at,
                ended_at=self._ended_at,
            )
        return RunFacts(
            subject=subject,
            run_id=self.run_id,
            status="passed" if self._state.failure is None else "errored",
            stats=stats,
            unknown=self._unknown,
            failure=self._state.failure,
            reported_elsewhere=None if self._reported_by is None else str(self._reported_by),
            rules=() if check is None else check.rules,
            rules_source=NO_RULES if check is None else check.run.rules_source,
            started_at=at,
            ended_at=self._ended_at,
            application=self._context.application,
            application_id=self._context.application_id,
            job_metadata=self._settings.job_metadata,
            links=self._context.links,
            unchecked="no batch had rows yet" if check is not None else "the query is not of what run.check gave",
            query=self._state,
        )


@dataclass(frozen=True, slots=True)
class _QueryStatus:
    """The state of a query, read from the query itself."""

    progress: list[Any]
    ended: bool
    failure: str | None


def _lasting_name(query: Any) -> str:
    """A name that is the same after a restart: the query's name, else its checkpoint, else (over Connect) its id, which a checkpoint keeps.

    A query without any of them is `stream`.
    """
    if query.name:
        return str(query.name)
    jvm_query = getattr(query, "_jsq", None)
    if jvm_query is None:
        return f"query-{query.id}"
    try:
        root = str(jvm_query.streamingQuery().resolvedCheckpointRoot())
    except Exception:
        return f"query-{query.id}"
    last = root.rstrip("/").rpartition("/")[2]
    if last.startswith("temporary-"):  # Spark's own, another one at each start
        return "stream"
    return f"{last}-{hashlib.sha256(root.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
