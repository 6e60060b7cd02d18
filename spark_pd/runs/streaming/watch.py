"""A query that is watched: its last batches, what was decided of them, who was told."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from spark_pd.alerting.facts import QueryFacts, RunFacts, TriggerSettings
from spark_pd.alerting.triggers import decide
from spark_pd.delivery.notifier import Notifier
from spark_pd.model import Alert, Decision, Delivery, Link, RunStats, Subject
from spark_pd.rules.loading import NO_RULES
from spark_pd.runs.streaming.batches import Batch, Window
from spark_pd.runs.streaming.query_end import failure_of, lasting_name, said, session_is_over
from spark_pd.runs.streaming.query_listener import Hub
from spark_pd.runs.streaming.query_progress import batch_of, observed_names, ran, read_rows, value
from spark_pd.runs.streaming.reported_batches import ReportedBatch, reported_batches
from spark_pd.runs.streaming.saved_windows import Windows
from spark_pd.runs.streaming.stream_verdicts import OF_COUNTS, OF_QUERY, decisions_of, stats_of, verdicts_of
from spark_pd.runs.streaming.verdict_changes import Changes

if TYPE_CHECKING:
    from spark_pd.runs.streaming.stream_check import StreamCheck

_log = logging.getLogger("spark_pd.streaming")

MOST = 100
"""Alerts and deliveries that a watch shows: a stream has no end."""
MARGIN = 1.0
"""Seconds beyond the deadline that what was told may take to be judged."""
UNCOUNTED = "Spark observed no counts of the batch (all of its rows were filtered out before the check, or it was planned without it)"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """What all watches of a monitor share; none of it changes."""

    environment: str | None
    product_id: str | None
    policy: TriggerSettings
    batches: int
    exceptions: Literal["class", "scrubbed", "full"]
    deadline: float
    application: str
    application_id: str | None
    job_metadata: str | None
    links: tuple[Link, ...]


class Watch:
    """One start of a query. Made by `monitor.watch`; `settle` brings it up to date, `stop` ends it."""

    def __init__(
        self,
        query: Any,
        plan: StreamPlan,
        *,
        spark: Any,
        notifier: Notifier,
        windows: Windows,
        check: StreamCheck | None,
        find: Callable[[Collection[str]], StreamCheck | None],
    ) -> None:
        self._query = query
        self._plan = plan
        self._spark = spark
        self._notifier = notifier
        self._windows = windows
        self._find = find
        self._hub: Hub | None = None
        self._lock = threading.RLock()
        self._changes = Changes()
        self._check: StreamCheck | None = None
        self._window = Window()
        self._newest = -1
        self._over = False
        self._state = QueryFacts(name=lasting_name(query))
        self._unknown: str | None = None
        self._told: ReportedBatch | None = None
        self._warned = False
        self._started_at = self._ended_at = datetime.now(timezone.utc)
        self._alerts: deque[Alert] = deque(maxlen=MOST)
        self._deliveries: deque[Delivery] = deque(maxlen=MOST)
        self.run_id = str(query.runId)
        """Of the query, another one at each start."""
        self.stats: RunStats | None = None
        """Of the rows of the last batches together; None where nothing was checked, or no batch had rows yet."""
        self._take(check)
        self.decisions: tuple[Decision, ...] = decisions_of(decide(self._facts(), plan.policy))
        """Of the last batch, or of the query's end."""

    def __repr__(self) -> str:
        return f"Watch({self.name!r}, {self._window}{', over' if self._over else ''})"

    @property
    def name(self) -> str:
        """What the query is known by over restarts: its name, else its checkpoint."""
        return self._state.name

    @property
    def subject(self) -> Subject:
        """What its incidents are about."""
        checked = None if self._check is None else self._check.subject
        if checked is None:
            return Subject(environment=self._plan.environment, product_id=self._plan.product_id, table=self.name)
        return Subject(
            environment=checked.environment,
            product_id=checked.product_id,
            table=checked.table,
            scope=checked.scope,
            job=checked.job or self.name,
        )

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

    def begin(self, hub: Hub) -> None:
        """Hear of the query from now on, and catch up with what it did before. Never raises."""
        self._hub = hub
        hub.add(self)
        self.catch_up()

    def settle(self) -> None:
        """Judge all that the query has told until now, and wait for what is sent of it, no longer than spark.pd.deadline. Never raises."""
        if self._hub is not None and not self._over:
            self._hub.drain(self._plan.deadline + MARGIN)
        self.catch_up()

    def look(self) -> None:
        """Catch up if the query is over, which Spark may have told nobody of. Never raises."""
        with suppress(Exception):
            if not self._query.isActive:
                self.catch_up()

    def stop(self) -> None:
        """Settle, and watch no longer. The query goes on, and what is open stays open."""
        self.settle()
        with self._lock:
            self._leave()

    # ---- what the query tells --------------------------------------------------------------------------------------------------

    def progressed(self, progress: Any) -> None:
        """The query told of its progress."""
        with self._lock:
            batch_id = int(value(progress, "batchId"))
            if self._over or not ran(progress) or batch_id <= self._newest:
                return
            self._newest = batch_id
            if self._check is None:
                self._take(self._find(observed_names(progress)))
            batch = batch_of(progress, None if self._check is None else self._check.name)
            self._completed(batch, had_rows=read_rows(progress))

    def terminated(self, failure: str | None) -> None:
        """The query ended, by that exception or by none."""
        with self._lock:
            self._read(self._asked())
            if self._over:
                return
            reason = None if failure is None else said(failure, self._plan.exceptions)
            self._state = QueryFacts(name=self.name, completed=self._state.completed, ended=True, failure=reason)
            self._told = None if failure is None else reported_batches.ending(self.run_id, completed=self._newest)
            self._ended_at = datetime.now(timezone.utc)
            self._judge(OF_QUERY)
            self._leave()

    def catch_up(self) -> None:
        """Ask the query what it has done so far: what it told before it was watched, or has told nobody yet. Never raises."""
        with self._lock:
            if self._over:
                return
            try:
                asked = self._asked()
                self._read(asked)
                if asked.ended:
                    self.terminated(asked.failure)
            except Exception as error:
                _log.warning(
                    "%s: its query could not be judged: %s", self.name, type(error).__name__, exc_info=_log.isEnabledFor(logging.DEBUG)
                )

    def _asked(self) -> _Asked:
        try:
            ended = not self._query.isActive
            # In this order: what completes in between is told by the listener, or by the next look.
            failure = failure_of(self._query) if ended and not session_is_over(self._spark) else None
            return _Asked(list(self._query.recentProgress), ended, failure)
        except Exception as error:  # the session is gone, or Connect's server
            _log.debug("%s: the query could not be asked: %s", self.name, type(error).__name__)
            return _Asked([], False, None)

    def _read(self, asked: _Asked) -> None:
        for progress in asked.progress:
            if str(value(progress, "runId")) == self.run_id:
                self.progressed(progress)

    def _leave(self) -> None:
        self._over = True
        if self._hub is not None:
            self._hub.remove(self)

    # ---- judging ---------------------------------------------------------------------------------------------------------------

    def _take(self, check: StreamCheck | None) -> None:
        if check is not None:
            check.watched = True
            self._check = check
            self._window = self._windows.load(self.subject.prefix, check.digest)

    def _completed(self, batch: Batch, *, had_rows: bool) -> None:
        self._state = QueryFacts(name=self.name, completed=batch.batch_id)
        self._ended_at = datetime.now(timezone.utc)
        self._unknown = batch.unknown or (UNCOUNTED if batch.counts is None and had_rows and self._check is not None else None)
        if batch.unknown is not None or (batch.counts is not None and batch.counts.rows):
            self._window = self._window.taking(batch, most=self._plan.batches)
            self._windows.save(self.subject.prefix, self._window)
        if batch.unknown is not None and not self._warned:
            self._warned = True
            _log.warning("%s: batch %s is left out of what is judged, and each like it: %s", self.name, batch.batch_id, batch.unknown)
        self._judge(OF_QUERY | OF_COUNTS if batch.counts is not None and batch.counts.rows else OF_QUERY)

    def _judge(self, triggers: frozenset[str]) -> None:
        """Decide anew, and tell what is news of these triggers."""
        facts, policy = self._facts(), self._plan.policy
        self.stats = facts.stats
        evaluations = decide(facts, policy)
        self.decisions = decisions_of(evaluations)
        order = self._notifier.begin(facts.subject, sorted(triggers), self._ended_at)
        verdicts = self._changes.news(verdicts_of(facts, policy, evaluations, triggers, self._window, order))
        if verdicts:
            notification = self._notifier.submit(verdicts, seconds=self._plan.deadline)
            self._changes.told(verdicts, notification)
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
                vouched=check.vouched,
                subject=subject,
                table=check.table,
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
            reported_elsewhere=None if self._told is None else str(self._told),
            rules=() if check is None else check.rules,
            rules_source=NO_RULES if check is None else check.rules_source,
            started_at=at,
            ended_at=self._ended_at,
            application=self._plan.application,
            application_id=self._plan.application_id,
            job_metadata=self._plan.job_metadata,
            links=self._plan.links,
            unchecked="no batch had rows yet" if check is not None else "the query is not of what run.check gave",
            query=self._state,
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a query says when it is asked."""

    progress: list[Any]
    ended: bool
    failure: str | None
