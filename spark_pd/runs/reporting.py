"""What a run reports: its decisions, the verdicts that it submits to the notifier, and what became of their alerts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from spark_pd.alerting.alerts import alert_while_running, alerts_at_end, alerts_at_start
from spark_pd.alerting.facts import RunFacts
from spark_pd.alerting.lifecycle_triggers import OVERRUN
from spark_pd.alerting.policy import Verdict, verdicts_at_end, verdicts_at_start
from spark_pd.alerting.triggers import decide
from spark_pd.alerting.wording import duration
from spark_pd.model import Alert, Decision, Delivery, Subject
from spark_pd.model.errors import DeliveryError
from spark_pd.model.incident_state import StateStore
from spark_pd.runs.run_plan import RunPlan

if TYPE_CHECKING:
    from spark_pd.delivery.notifier import Notification
    from spark_pd.history.state_table import RunState


class RunNotifier(Protocol):
    """What verdicts are submitted to: the notifier, or for the batches of a stream one that lets only changes through."""

    def remembering(self, store: StateStore) -> RunNotifier:
        """The same with another store."""

    def begin(self, subject: Subject, triggers: Iterable[str], at: datetime) -> datetime:
        """The place in the order of runs of one that starts at this time."""

    def submit(self, verdicts: Sequence[Verdict], *, seconds: float) -> Notification:
        """Send what the policy lets through."""


class Reporter:
    """Reports for one run. The run's own thread reports its start and end; the overrun clock's thread may report an overrun meanwhile.

    state: the incident state of the run's table, where that is kept in a table; None where it is not, and the notifier has its own store.
    """

    def __init__(self, plan: RunPlan, notifier: RunNotifier, state: RunState | None, started_at: datetime) -> None:
        self._plan = plan
        self._triggers = plan.context.triggers
        self._deadline = plan.context.settings.deadline
        self._state = state
        self._notifier = notifier if state is None else notifier.remembering(state)
        self._started_at = started_at
        self._order = functools.cache(lambda: self._notifier.begin(plan.subject, self._triggers.on, self._started_at))
        self._notifications: list[Notification] = []
        self.decisions: tuple[Decision, ...] = ()
        self.alerts: tuple[Alert, ...] = ()
        self.deliveries: tuple[Delivery, ...] = ()

    def begin(self, at: datetime) -> None:
        """The run starts, which gives it its place in the order of runs."""
        self._started_at = at
        if self._state is None:
            self._order()  # a state in a table is read in the background, as it is now

    def dead_runs(self, alerts: Sequence[Alert]) -> None:
        """Report the runs of this subject whose process died before they had a verdict."""
        subject, order = self._plan.subject, self._order()
        self._submit([Verdict(subject=subject, trigger=a.trigger, outcome="firing", alert=a, started_at=order) for a in alerts])

    def start(self, facts: RunFacts) -> None:
        """Report that the run has started."""
        alerts = alerts_at_start(facts, self._triggers)
        if alerts:
            self._submit(verdicts_at_start(facts, alerts, self._order()))

    def overrun(self, facts: RunFacts, is_running: Callable[[], bool]) -> str | None:
        """Report, without a call to Spark, that the run takes too long. Returns what was reported; None where the run has ended."""
        alert, order = alert_while_running(facts, self._triggers), self._order()
        if not is_running():
            return None
        notifier = self._notifier if self._state is None else self._notifier.remembering(self._state.as_it_began())
        notification = self._keep(notifier.submit(verdicts_at_start(facts, [alert], order), seconds=self._deadline))
        after = f"after {duration((facts.ended_at - facts.started_at).total_seconds())}"
        return notification.noted([Decision(trigger=OVERRUN.name, outcome="firing", reason=after)])[0].reason

    def end(self, facts: RunFacts) -> None:
        """Decide, and submit the verdicts that follow."""
        evaluations = decide(facts, self._triggers)
        self.decisions = tuple(each.decision for each in evaluations)
        alerts = alerts_at_end(facts, self._triggers, evaluations)
        self._submit(verdicts_at_end(facts, self._triggers, evaluations, alerts, self._order()))

    def wait(self) -> None:
        """Wait for the deliveries, at most until their deadline."""
        self.deliveries = tuple(delivery for notification in tuple(self._notifications) for delivery in notification.wait())

    def raise_undelivered(self) -> None:
        """Raise DeliveryError where an alert was not delivered."""
        # With deadline 0 the outbox is where alerts are meant to go.
        bad = ("failed", "dead", "queued") if self._deadline else ("failed", "dead")
        undelivered = [d for d in self.deliveries if d.status in bad]
        if undelivered:
            raise DeliveryError(
                f"{len(undelivered)} of {len(self.deliveries)} alerts of {self._plan.table} were not delivered: {undelivered[0].reason}",
                undelivered,
            )

    @property
    def reported_failure(self) -> bool:
        """Whether the run's failure was reported: its alert was sent or is queued, or an earlier run's incident is still open."""
        sent = any(d.alert.trigger == "failure" and d.alert.state == "firing" and d.status in ("sent", "queued") for d in self.deliveries)
        key = self._plan.subject.dedup_key("failure")
        return sent or any(key in notification.standing for notification in tuple(self._notifications))

    def _submit(self, verdicts: Sequence[Verdict]) -> None:
        if verdicts:
            notification = self._keep(self._notifier.submit(verdicts, seconds=self._deadline))
            self.decisions = notification.noted(self.decisions)

    def _keep(self, notification: Notification) -> Notification:
        self._notifications.append(notification)
        self.alerts += notification.alerts
        return notification
