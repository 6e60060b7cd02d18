"""The notifier between a run and dispatch: policy rules on what the run has to tell, what may pass is dispatched, and all is remembered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from spark_pd.alerting.policy import PagingPolicy, Ruling, Verdict, closed_with_their_rule, judge, registered, table_key, unjudged
from spark_pd.alerting.policy.mute import Mutes, why_muted
from spark_pd.alerting.policy.routes import Routed, Router
from spark_pd.delivery.dispatch import ChannelDispatchers, Dispatcher, Submission, Submissions
from spark_pd.delivery.event_templates import EventTemplates
from spark_pd.model import Alert, Decision, Delivery, Subject
from spark_pd.model.incident_state import IncidentState, LockedStates, StateStore, untold

logger = logging.getLogger("spark_pd.notifier")

CHANNEL = "pagerduty"  # as the monitor names it
NOT_TOLD = ("failed", "dead")


def _now() -> datetime:
    return datetime.now(timezone.utc)


class Notifier:
    """Takes a run's verdicts. Without a policy (PagerDuty is not enabled) all of them pass, without a store nothing is remembered.

    died: whether an alert of a dedup key that went out at a time or later became a dead letter.

    Nothing that goes wrong in it withholds an alert: where policy or memory fail, what there is to tell is told, with one warning.
    """

    def __init__(
        self,
        dispatcher: Dispatcher | ChannelDispatchers,
        *,
        router: Router | None = None,
        templates: EventTemplates | None = None,
        policy: PagingPolicy | None = None,
        store: StateStore | None = None,
        mutes: Mutes | None = None,
        died: Callable[[str, datetime], bool] | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._dispatcher = dispatcher
        self._router = router
        self._templates = templates
        self._policy = policy
        self._store = store
        self._mutes = mutes or Mutes()
        self._died = died
        self._clock = clock

    def remembering(self, store: StateStore) -> Notifier:
        """The same notifier with another store. Where there is no policy, nothing is remembered there either."""
        return Notifier(
            self._dispatcher,
            router=self._router,
            templates=self._templates,
            policy=self._policy,
            store=store,
            mutes=self._mutes,
            died=self._died,
            clock=self._clock,
        )

    def begin(self, subject: Subject, triggers: Iterable[str], at: datetime) -> datetime:
        """When a run that starts `at` this time does so in the order of runs: then, or just after the newest that has given its verdict.

        A verdict that stands when a run starts is an earlier run's, whatever the clocks said. Never raises.
        """
        if self._policy is None or self._store is None:
            return at
        try:
            with self._store.hold([subject.dedup_key(trigger) for trigger in triggers]) as held:
                stand = [memory.run_started_at for memory in held.memories.values() if memory.run_started_at is not None]
            return max(at, *(newest + timedelta(microseconds=1) for newest in stand)) if stand else at
        except Exception as error:
            logger.warning("it is not known which runs came before, so the clock decides: %s", type(error).__name__)
            return at

    def submit(self, verdicts: Sequence[Verdict], *, seconds: float) -> Notification:
        """Rule on the verdicts and hand over what passes, which has `seconds` (spark.pd.deadline). Returns once that is in the outbox."""
        notification: Notification | None = None
        policy = self._policy
        if policy is not None:
            try:
                muted = self._muted(verdicts)
                with self._held_with_orphans(verdicts) as (everything, held):
                    rulings = self._routed(self._rulings(policy, everything, held, muted), held.memories)
                    notification = self._hand_over(rulings, seconds)
                    held.save(ruling.sent for ruling in rulings if ruling.send and ruling.sent is not None)
                    held.save(registered(rulings, held.memories))
            except Exception as error:
                # The job comes first, and an alert too many before one too few.
                logger.warning("the policy could not be applied, so alerts are sent without it: %s", type(error).__name__)
        return notification or self._hand_over(self._routed([unjudged(verdict) for verdict in verdicts], {}), seconds)

    def _muted(self, verdicts: Sequence[Verdict]) -> Mapping[str, str | None]:
        """Why nobody is to be paged, by dedup key. The file is read where there is a page to think about, and before anything is locked."""
        firing = [verdict for verdict in verdicts if verdict.alert is not None and verdict.alert.state == "firing"]
        if not firing:
            return {}
        mutes, now = self._mutes.read(), self._clock()
        return {each.dedup_key: why_muted(self._mutes.windows, mutes, each.subject, each.trigger, now) for each in firing}

    @contextmanager
    def _held_with_orphans(self, verdicts: Sequence[Verdict]) -> Iterator[tuple[tuple[Verdict, ...], LockedStates]]:
        """The verdicts, and what closes the own incidents of rules that were removed, with the memories of all of them."""
        with ExitStack() as stack:
            held = stack.enter_context(self._held(verdicts))
            orphans = closed_with_their_rule(verdicts, held.memories) if held.known else ()
            if orphans:  # seldom: a hold may be a look into a table, and one is enough for a run without
                stack.close()
                held = stack.enter_context(self._held((*verdicts, *orphans)))
            yield (*verdicts, *orphans), held

    @contextmanager
    def _held(self, verdicts: Sequence[Verdict]) -> Iterator[LockedStates]:
        if self._store is None:
            yield _Nothing()
            return
        keys = dict.fromkeys(key for verdict in verdicts for key in (verdict.dedup_key, table_key(verdict)))
        with self._store.hold(list(keys)) as held:
            yield held

    def _rulings(
        self, policy: PagingPolicy, verdicts: Sequence[Verdict], held: LockedStates, muted: Mapping[str, str | None]
    ) -> list[Ruling]:
        now, durable = self._clock(), self._store is not None and self._store.durable

        def rule(*, known: bool) -> list[Ruling]:
            """The rulings, where the memories may be relied on or not."""
            return [
                judge(
                    verdict,
                    self._believed(verdict, held.memories.get(verdict.dedup_key)),
                    policy,
                    now=now,
                    muted=muted.get(verdict.dedup_key),
                    known=known,
                    durable=durable and verdict.dedup_key not in held.doubts,
                )
                for verdict in verdicts
            ]

        rulings = rule(known=held.known)
        # What is withheld has to be remembered first: a count that is not kept would withhold for ever.
        kept = held.save(ruling.kept for ruling in rulings if ruling.kept is not None)
        return rulings if kept or not held.known else rule(known=False)

    def _believed(self, verdict: Verdict, memory: IncidentState | None) -> IncidentState | None:
        """What is remembered, less what a dead letter proves wrong: PagerDuty refused the page that would have opened the incident."""
        if memory is None or memory.open_since is None or memory.paged_at is None or self._died is None:
            return memory
        if verdict.alert is None or verdict.alert.state != "firing" or not self._died(verdict.dedup_key, memory.paged_at):
            return memory
        return untold(memory)

    def _routed(self, rulings: Sequence[Ruling], before: Mapping[str, IncidentState]) -> list[Ruling]:
        """The rulings with the addresses that their alerts go to, and have to be remembered for their resolves."""
        if self._router is None:
            return list(rulings)
        return [ruling if ruling.alert is None else self._addressed(ruling, ruling.alert, before) for ruling in rulings]

    def _addressed(self, ruling: Ruling, alert: Alert, before: Mapping[str, IncidentState]) -> Ruling:
        assert self._router is not None
        assert isinstance(self._dispatcher, ChannelDispatchers)
        state = before.get(ruling.verdict.dedup_key)
        opened = state.sent_to if state is not None and state.open_since is not None else ()
        if alert.state == "resolved" and opened:
            return replace(ruling, addresses=opened)
        routed = Routed.of(ruling.verdict, alert.severity)
        names = self._router.channels(routed) if alert.state == "firing" else self._router.possible(routed)
        addresses = tuple(map(self._dispatcher.address, names))
        if ruling.sent is None or alert.state == "resolved":
            return replace(ruling, addresses=addresses)
        return replace(ruling, addresses=addresses, sent=replace(ruling.sent, sent_to=tuple(dict.fromkeys((*opened, *addresses)))))

    def _hand_over(self, rulings: Sequence[Ruling], seconds: float) -> Notification:
        passing = [(ruling.alert, ruling.addresses) for ruling in rulings if ruling.send and ruling.alert is not None]
        submission: Submission | Submissions
        if isinstance(self._dispatcher, ChannelDispatchers):
            submission = self._dispatcher.submit(passing, seconds=seconds, made=self._made)
        else:
            submission = self._dispatcher.submit([self._made(alert, CHANNEL) for alert, _ in passing], seconds=seconds)
        return Notification(rulings, submission, self._take_back)

    def _made(self, alert: Alert, channel: str) -> Alert:
        """The alert with the fields that the channel's templates give."""
        return alert if self._templates is None else self._templates.applied(alert, channel)

    def _take_back(self, rulings: Sequence[Ruling]) -> None:
        """Remember of these that nobody was told after all, unless another run changed it meanwhile."""
        if self._store is None:
            return
        try:
            with self._store.hold([ruling.verdict.dedup_key for ruling in rulings]) as held:
                # Beside what was sent, it may be noted meanwhile which rules have incidents of their own.
                found = [(ruling, held.memories.get(ruling.verdict.dedup_key)) for ruling in rulings]
                held.save(
                    replace(r.kept, own=memory.own)
                    for r, memory in found
                    if r.kept is not None and r.sent is not None and memory is not None and memory == replace(r.sent, own=memory.own)
                )
        except Exception as error:
            logger.warning("it could not be remembered that alerts were not delivered: %s", type(error).__name__)


class Notification:
    """What became of verdicts that were submitted together."""

    def __init__(
        self, rulings: Sequence[Ruling], submission: Submission | Submissions, take_back: Callable[[Sequence[Ruling]], None]
    ) -> None:
        self._rulings = rulings
        self._submission = submission
        self._take_back = take_back
        self._withheld = tuple(
            delivery for r in rulings if r.alert is not None and r.withheld is not None for delivery in _withheld(r.alert, r.withheld, r)
        )

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The alerts that were sent or withheld, in the verdicts' order."""
        return tuple(ruling.alert for ruling in self._rulings if ruling.alert is not None)

    @property
    def withheld(self) -> frozenset[str]:
        """The dedup keys of alerts that the policy did not let out."""
        return frozenset(delivery.alert.dedup_key for delivery in self._withheld)

    @property
    def standing(self) -> frozenset[str]:
        """The dedup keys of firing alerts that are withheld while their incident is open, as far as is known, by an earlier one."""
        withheld = [ruling for ruling in self._rulings if ruling.withheld is not None and ruling.kept is not None]
        return frozenset(
            r.kept.dedup_key for r in withheld if r.kept is not None and r.kept.outcome == "firing" and r.kept.open_since is not None
        )

    def noted(self, decisions: Sequence[Decision]) -> tuple[Decision, ...]:
        """The decisions, with what policy made of their alerts at the end of their reasons."""
        notes: dict[tuple[str, str | None], str] = {}
        for ruling in self._rulings:
            note = f"not told: {ruling.withheld}" if ruling.withheld else ruling.note
            if note and not ruling.verdict.renamed:
                notes[ruling.verdict.trigger, ruling.verdict.rule] = note
        return tuple(replace(d, reason=f"{d.reason}; {notes[d.trigger, d.rule]}") if (d.trigger, d.rule) in notes else d for d in decisions)

    def wait(self, seconds: float | None = None) -> tuple[Delivery, ...]:
        """The deliveries of all alerts, withheld ones too, in the alerts' order; after `seconds` or at the deadline at the latest."""
        deliveries = self._submission.wait(seconds)
        told = {delivery.alert.dedup_key for delivery in deliveries if delivery.status not in NOT_TOLD}
        lost = [r for r in self._rulings if r.send and r.sent is not None and r.verdict.dedup_key not in told]
        if lost:
            self._take_back(lost)
        order = {(alert.dedup_key, alert.state): place for place, alert in enumerate(self.alerts)}
        return tuple(sorted((*self._withheld, *deliveries), key=lambda d: order.get((d.alert.dedup_key, d.alert.state), len(order))))


def _withheld(alert: Alert, reason: str, ruling: Ruling) -> list[Delivery]:
    logger.info("%s %s is withheld: %s [%s]", alert.trigger, alert.state, reason, alert.dedup_key)
    channels = [address.channel for address in ruling.addresses] or [CHANNEL]
    return [Delivery(alert=alert, channel=channel, status="suppressed", reason=reason) for channel in channels]


class _Nothing:
    """Where nothing is remembered."""

    known = False
    memories: Mapping[str, IncidentState] = {}
    doubts: Mapping[str, str] = {}

    def save(self, memories: object) -> bool:
        return False
