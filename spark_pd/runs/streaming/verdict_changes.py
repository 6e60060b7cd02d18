"""What of a stream's verdicts is news: a batch a second may not be an event a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from spark_pd.alerting.policy import Verdict
from spark_pd.delivery.notifier import Notification, Notifier
from spark_pd.model import SEVERITIES, AlertState, Severity, Subject
from spark_pd.model.incident_state import StateStore

REPEAT = 3_600.0
"""Seconds after which the same is told again: somebody may have resolved the incident by hand, another run may have opened it."""
ALWAYS = frozenset({"failure", "query_failure"})
"""What is told each time that it fires: the query is down."""


@dataclass(frozen=True, slots=True)
class _Told:
    state: AlertState
    severity: Severity
    failing: frozenset[str]
    at: float


class Changes:
    """What was told of each incident last, in this process. Not safe for several threads: who has one has a lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, _Told] = {}

    def news(self, verdicts: Iterable[Verdict]) -> list[Verdict]:
        """Those that say something else than was told last, or that bring no alert of their own."""
        return [verdict for verdict in verdicts if self._is_news(verdict)]

    def told(self, verdicts: Iterable[Verdict], notification: Notification) -> None:
        """Remember what went out. What the policy withheld is news again with the next batch: it may be the one that it waits for."""
        for verdict in verdicts:
            if verdict.alert is not None and not verdict.switched_off and verdict.dedup_key not in notification.withheld:
                self._told[verdict.dedup_key] = _Told(
                    verdict.alert.state, verdict.alert.severity, frozenset(verdict.failing), self._clock()
                )

    def _is_news(self, verdict: Verdict) -> bool:
        alert, before = verdict.alert, self._told.get(verdict.dedup_key)
        if alert is None or verdict.switched_off or before is None or alert.state != before.state:
            return True
        if self._clock() - before.at >= REPEAT:
            return True
        if alert.state != "firing":
            return False
        worse = SEVERITIES.index(alert.severity) < SEVERITIES.index(before.severity)
        return worse or not before.failing >= set(verdict.failing) or verdict.trigger in ALWAYS


class Quiet:
    """A notifier for the runs of one stream's batches, one after the other: only what is news gets to it."""

    def __init__(self, notifier: Notifier, changes: Changes) -> None:
        self._notifier = notifier
        self._changes = changes

    def remembering(self, store: StateStore) -> Quiet:
        """The same with another store."""
        return Quiet(self._notifier.remembering(store), self._changes)

    def begin(self, subject: Subject, triggers: Iterable[str], at: datetime) -> datetime:
        """As `Notifier.begin`."""
        return self._notifier.begin(subject, triggers, at)

    def submit(self, verdicts: Sequence[Verdict], *, seconds: float) -> Notification:
        """As `Notifier.submit`, of what is news."""
        news = self._changes.news(verdicts)
        notification = self._notifier.submit(news, seconds=seconds)
        self._changes.told(news, notification)
        return notification
