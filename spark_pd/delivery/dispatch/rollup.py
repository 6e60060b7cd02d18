"""The roll-up: keeps the members of one storm, and tells PagerDuty of them as one incident.

The members are what counts. They are on the disk before an alert is taken for rolled up, and what PagerDuty was told is written after it
accepted that. So what is still to be told always follows from the two, whoever died between which steps.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from typing import Literal

from spark_pd.delivery.dispatch import storm
from spark_pd.delivery.dispatch.storm import MOST_MEMBERS, Told
from spark_pd.delivery.outbox.shared_json import Shared
from spark_pd.delivery.outbox.storm_members import Members, member_of
from spark_pd.model import Alert, Delivery

logger = logging.getLogger("spark_pd.dispatch")

_ROUNDS = 3  # times that PagerDuty is told at once, where members come and go meanwhile


class RollUp:
    """The storm of one key and environment. It belongs to one process; with files, others have the same one.

    limit: firing alerts a minute that stay incidents of their own; 0: none is rolled up any more.
    name: the outbox's, in the incident's dedup key. lasting: whether the members outlive this process.
    clock: the wall clock in seconds. It may jump.
    """

    def __init__(
        self,
        members: Members,
        recent: Shared,
        *,
        limit: int,
        environment: str | None,
        name: str,
        lasting: bool,
        clock: Callable[[], float],
    ) -> None:
        self._members = members
        self._recent = recent
        self._limit = limit
        self._environment = environment
        self._key = storm.storm_key(environment, name)
        self._lasting = lasting
        self._clock = clock
        self._lock = threading.Lock()
        self._count: int | None = None
        self.changed = lasting
        """Whether PagerDuty may have to be told something: this process changed the members, or never looked at what others left."""

    @property
    def dedup_key(self) -> str:
        """The storm incident's."""
        return self._told().dedup_key or self._key

    def is_open(self) -> bool:
        """Whether PagerDuty has accepted the storm incident, and it was not closed since."""
        return self._told().state == "open"

    def is_refused(self) -> bool:
        """Whether PagerDuty refused to open it, a moment ago."""
        told = self._told()
        return told.refused and told.state != "open"

    def takes_in(self, alert: Alert, line: str) -> bool:
        """Count a firing alert; whether it is to be a member, for it is one already or one too many within a minute."""
        if not self._limit:
            return False
        with self._recent.changing() as fields:
            recent = fields.get("recent")
            fields["recent"], too_many = storm.count(recent if isinstance(recent, dict) else {}, line, self._clock(), self._limit)
        if storm.bypasses(alert):
            return False
        if self._members.has(line):
            return True
        if self._count is None:
            self._count = len(self._members.listing().lines)
        return too_many and self._count < MOST_MEMBERS

    def join(self, alert: Alert, line: str) -> None:
        """Make the alert a member, on the disk before this returns. Raises OSError where that cannot be done."""
        if self._members.join(member_of(line, alert)):
            self._count = (self._count or 0) + 1
            self.changed = True

    def leave(self, alert: Alert, line: str) -> bool:
        """Forget the member of this line where the alert is no reason to be one. Whether one has left."""
        if alert.state == "firing" and self._limit and not storm.bypasses(alert):
            return False
        try:
            left = self._members.leave(line)
        except OSError as error:
            logger.warning("an alert could not be taken out of the storm incident %s: %s", self._key, error.strerror)
            return False
        self.changed = self.changed or left
        return left

    def due_in(self, *, early: bool = False) -> float | None:
        """In how many seconds PagerDuty is to be told something; None where it knows all."""
        with suppress(OSError):
            self.changed = False  # before the look: who joins meanwhile sets it again
            step = storm.next_step(self._told(), self._members.listing(), self._clock(), early=early)
            self.changed = self.changed or step is not None
            return None if step is None else step[1]
        return None

    def tell(self, send: Callable[[Alert], Delivery], *, until: float, early: bool = False) -> Delivery | None:
        """Tell PagerDuty what is due now, by `send`, while nobody else does. The last delivery; None where nothing was due.

        `until` is on time.monotonic's clock. Never raises.
        """
        delivery: Delivery | None = None
        left = max(0.0, until - time.monotonic())
        if not self._lock.acquire(timeout=min(left, threading.TIMEOUT_MAX)):
            return None
        try:
            with self._members.lock(until=until) as mine:
                for _ in range(_ROUNDS if mine else 0):
                    said = self._report_once(send, early)
                    if said is None:
                        break
                    delivery = said
                    if said.status != "sent":
                        break
        except OSError as error:
            logger.warning("the storm incident %s is not what it should be: %s", self._key, error.strerror or type(error).__name__)
        finally:
            self._lock.release()
        return delivery

    def _report_once(self, send: Callable[[Alert], Delivery], early: bool) -> Delivery | None:
        self.changed = False  # before the look: who joins meanwhile sets it again
        told, listing, now = self._told(), self._members.listing(), self._clock()
        due = storm.next_step(told, listing, now, early=early)
        self.changed = self.changed or due is not None
        if due is None or due[1] > 0:
            return None
        key = told.dedup_key or self._key
        if due[0] == "open":
            key = key if told.state == "opening" else self._key
            # Before it is sent: should we die right after PagerDuty accepted it, it is still known that it may be open.
            self._members.tell(storm.to_fields(Told(key, "opening")))
        members = self._members.read()
        at = datetime.fromtimestamp(now, timezone.utc)
        alert = storm.roll_up(members, dedup_key=key, environment=self._environment, at=at, lasting=self._lasting)
        delivery = send(alert)
        if delivery.status == "sent":
            self._count = len(members)
            logger.info("storm incident %s: %s, %s", key, alert.summary, delivery.reason)
            if members:
                updates = told.updates + 1 if due[0] == "update" else 0
                self._members.tell(storm.to_fields(Told(key, "open", listing.digest, now, updates)))
            else:
                self._members.tell(storm.to_fields(Told()))
        elif delivery.status == "dead":
            # What is refused now will be refused again: the next try is due in a minute.
            logger.warning("storm incident %s could not be told: %s", key, delivery.reason)
            state: Literal["opening", "open"] = "opening" if due[0] == "open" else "open"
            self._members.tell(storm.to_fields(replace(told, dedup_key=key, state=state, at=now, refused=True)))
        return delivery

    def _told(self) -> Told:
        return storm.from_fields(self._members.told())
