"""What a run tells: its decisions, the verdicts that it hands to the notifier, and what became of their alerts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from spark_pd.alerting.alerts import alert_while_running, alerts_at_end, alerts_at_start
from spark_pd.alerting.facts import RunFacts
from spark_pd.alerting.lifecycle_triggers import OVERRUN
from spark_pd.alerting.policy import Verdict, verdicts_at_end, verdicts_at_start
from spark_pd.alerting.triggers import decide
from spark_pd.alerting.wording import duration
from spark_pd.model import Alert, Decision, Delivery
from spark_pd.model.errors import DeliveryError
from spark_pd.runs.run_plan import RunPlan

if TYPE_CHECKING:
    from spark_pd.delivery.notifier import Notification, Notifier
    from spark_pd.history.state_table import RunState
    from spark_pd.runs.streaming.verdict_changes import Quiet


class Reporter:
    """One run's. The run's own thread tells of its beginning and end; the clock's thread may tell that it takes too long meanwhile.

    state: what the run remembers in a table; None where there is none, and the notifier has whatever is remembered.
    """

    def __init__(self, plan: RunPlan, notifier: Notifier | Quiet, state: RunState | None, started_at: datetime) -> None:
        self._plan = plan
        self._state = state
        self._notifier = notifier if state is None else notifier.remembering(state)
        self._started_at = started_at
        self._order = functools.cache(lambda: self._notifier.begin(plan.subject, plan.policy.on, self._started_at))
        self._notifications: list[Notification] = []
        self.decisions: tuple[Decision, ...] = ()
        self.alerts: tuple[Alert, ...] = ()
        self.deliveries: tuple[Delivery, ...] = ()

    def begin(self, at: datetime) -> None:
        """The run starts, which gives it its place in the order of runs."""
        self._started_at = at
        if self._state is None:
            self._order()  # a state in a table is read in the background, as it is now

    def dead(self, alerts: Sequence[Alert]) -> None:
        """Tell of runs of this subject that died before they had a verdict."""
        subject, order = self._plan.subject, self._order()
        self._submit([Verdict(subject=subject, trigger=a.trigger, outcome="firing", alert=a, started_at=order) for a in alerts])

    def start(self, facts: RunFacts) -> None:
        """Tell that the run is under way."""
        alerts = alerts_at_start(facts, self._plan.policy)
        if alerts:
            self._submit(verdicts_at_start(facts, alerts, self._order()))

    def overrun(self, facts: RunFacts, goes_on: Callable[[], bool]) -> str | None:
        """Tell, without asking Spark, that the run takes too long; what was said of it, and None where it does not go on any more."""
        alert, order = alert_while_running(facts, self._plan.policy), self._order()
        if not goes_on():
            return None
        notifier = self._notifier if self._state is None else self._notifier.remembering(self._state.as_it_began())
        notification = self._keep(notifier.submit(verdicts_at_start(facts, [alert], order), seconds=self._plan.deadline))
        after = f"after {duration((facts.ended_at - facts.started_at).total_seconds())}"
        return notification.noted([Decision(trigger=OVERRUN.name, outcome="firing", reason=after)])[0].reason

    def end(self, facts: RunFacts) -> None:
        """Settle the decisions, and tell what follows from them."""
        evaluations = decide(facts, self._plan.policy)
        self.decisions = tuple(each.decision for each in evaluations)
        alerts = alerts_at_end(facts, self._plan.policy, evaluations)
        self._submit(verdicts_at_end(facts, self._plan.policy, evaluations, alerts, self._order()))

    def settle(self) -> None:
        """Wait for what is under way, at most until its deadline."""
        self.deliveries = tuple(delivery for notification in tuple(self._notifications) for delivery in notification.wait())

    def insist(self) -> None:
        """Raise DeliveryError where somebody was not told."""
        # With deadline 0 the outbox is where alerts are meant to go.
        bad = ("failed", "dead", "queued") if self._plan.deadline else ("failed", "dead")
        undelivered = [d for d in self.deliveries if d.status in bad]
        if undelivered:
            raise DeliveryError(
                f"{len(undelivered)} of {len(self.deliveries)} alerts of {self._plan.table} were not delivered: {undelivered[0].reason}",
                undelivered,
            )

    @property
    def reported_failure(self) -> bool:
        """Whether somebody was told that the run failed: its incident went out or waits in the outbox, or is open since an earlier run."""
        told = any(d.alert.trigger == "failure" and d.alert.state == "firing" and d.status in ("sent", "queued") for d in self.deliveries)
        key = self._plan.subject.dedup_key("failure")
        return told or any(key in notification.standing for notification in tuple(self._notifications))

    def _submit(self, verdicts: Sequence[Verdict]) -> None:
        if verdicts:
            notification = self._keep(self._notifier.submit(verdicts, seconds=self._plan.deadline))
            self.decisions = notification.noted(self.decisions)

    def _keep(self, notification: Notification) -> Notification:
        self._notifications.append(notification)
        self.alerts += notification.alerts
        return notification
