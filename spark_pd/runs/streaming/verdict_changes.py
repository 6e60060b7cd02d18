"""Lets only the changes of a stream's verdicts through: a batch each second must not be an event each second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from spark_pd.alerting.policy import Verdict
from spark_pd.delivery.notifier import Notification
from spark_pd.model import SEVERITIES, AlertState, Severity, Subject
from spark_pd.model.incident_state import StateStore
from spark_pd.runs.reporting import RunNotifier

REPEAT = 3_600.0
"""Seconds after which the same is reported again: the incident may have been resolved by hand, or opened by another run."""
ALWAYS = frozenset({"failure", "query_failure"})
"""Triggers that are reported each time they fire: the query has ended."""


@dataclass(frozen=True, slots=True)
class _LastReport:
    state: AlertState
    severity: Severity
    failing: frozenset[str]
    at: float


class VerdictChanges:
    """What was last reported of each incident, in this process. Not safe for several threads: its owner has a lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reports: dict[str, _LastReport] = {}

    def changed(self, verdicts: Iterable[Verdict]) -> list[Verdict]:
        """The verdicts that differ from what was reported last, and those without an alert."""
        return [verdict for verdict in verdicts if self._is_change(verdict)]

    def submitted(self, verdicts: Iterable[Verdict], notification: Notification) -> None:
        """Keep what was sent. What the policy withheld is a change again with the next batch, since the policy may count batches."""
        for verdict in verdicts:
            if verdict.alert is not None and not verdict.switched_off and verdict.dedup_key not in notification.withheld:
                self._reports[verdict.dedup_key] = _LastReport(
                    verdict.alert.state, verdict.alert.severity, frozenset(verdict.failing), self._clock()
                )

    def _is_change(self, verdict: Verdict) -> bool:
        alert, before = verdict.alert, self._reports.get(verdict.dedup_key)
        if alert is None or verdict.switched_off or before is None or alert.state != before.state:
            return True
        if self._clock() - before.at >= REPEAT:
            return True
        if alert.state != "firing":
            return False
        worse = SEVERITIES.index(alert.severity) < SEVERITIES.index(before.severity)
        return worse or not before.failing >= set(verdict.failing) or verdict.trigger in ALWAYS


class ChangesNotifier:
    """The notifier for the runs of one stream's batches, one after the other: it submits only changes."""

    def __init__(self, notifier: RunNotifier, changes: VerdictChanges | None = None) -> None:
        self._notifier = notifier
        self._changes = changes or VerdictChanges()

    def remembering(self, store: StateStore) -> ChangesNotifier:
        """The same with another store."""
        return ChangesNotifier(self._notifier.remembering(store), self._changes)

    def begin(self, subject: Subject, triggers: Iterable[str], at: datetime) -> datetime:
        """As `Notifier.begin`."""
        return self._notifier.begin(subject, triggers, at)

    def submit(self, verdicts: Sequence[Verdict], *, seconds: float) -> Notification:
        """As `Notifier.submit`, of the changes."""
        changed = self._changes.changed(verdicts)
        notification = self._notifier.submit(changed, seconds=seconds)
        self._changes.submitted(changed, notification)
        return notification
