"""Sending what waits: of each line only its newest verdict, never to another key, never two senders of one line at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from spark_pd.delivery.outbox.entry import Entry
from spark_pd.delivery.outbox.store import Outbox, newest
from spark_pd.model import Channel, Delivery

Route: TypeAlias = Callable[[Entry], "Channel | str"]
"""The channel that an entry may go to, or the reason why it has to wait."""

EACH = 5.0  # seconds that one alert may take
SUPERSEDED = "a newer verdict for the same incident took its place"
READ_ONLY = "the outbox cannot be changed, so what is sent from it would be sent again and again"
STAYS = "it was sent, and stays until what is older than it can be removed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one entry: `sent`, `dead`, still `queued`, or `dropped` since a newer one took its place."""

    entry: Entry
    status: Literal["sent", "dead", "queued", "dropped"]
    reason: str
    tried: bool = False
    """Whether it was given to its channel."""
    attempts: int = 0
    retry_after: float = 0.0
    """Seconds after which another try makes sense, where only too many events stood in the way; else 0."""


def replay(
    outbox: Outbox,
    route: Route,
    *,
    until: float,
    chosen: Callable[[Entry], bool] | None = None,
    patience: float = 0.0,
    pause: Callable[[float], bool] = lambda seconds: False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Outcome]:
    """Send what waits, firing alerts first, until `until` on `clock`. An outcome for each entry of a line with a chosen one.

    After a failure nothing more goes to that endpoint, or where it was the key that failed, by that channel: the others would fail as
    well. `patience` is for how many seconds another sender of the same line is waited for. `pause` waits so many seconds for the next
    event that PagerDuty takes, and says whether to go on.
    """
    down: dict[object, str] = {}
    for group in _groups(outbox.waiting()):
        if chosen is not None and not any(map(chosen, group)):
            continue
        verdict = newest(group)
        channel = route(verdict)
        problem = channel if isinstance(channel, str) else None
        if clock() >= until:
            problem = problem or "there was no time left to try it"
        if isinstance(channel, str) or problem is not None:
            yield from (Outcome(entry, "queued", problem or "") for entry in group)
            continue
        endpoint = channel.address().endpoint
        failed = down.get(endpoint) or down.get(channel)
        if failed is not None:
            yield from (Outcome(entry, "queued", f"not tried, since another failed: {failed}") for entry in group)
            continue
        while True:
            outcomes = list(_send(outbox, group, channel, deadline=min(until, clock() + EACH), patience=patience))
            after = outcomes[-1].retry_after if outcomes else 0.0
            if not after or clock() + after >= until or not pause(after):
                break
            yield from outcomes[:-1]
            group = [outcomes[-1].entry]
        for outcome in outcomes:
            if outcome.tried and outcome.status == "queued":
                down[endpoint if outcome.attempts and not outcome.retry_after else channel] = outcome.reason
            yield outcome


def wait_for_turn(seconds: float) -> bool:
    """A `pause` of `replay` for who has nothing else to do."""
    time.sleep(seconds)
    return True


def conclude(outbox: Outbox, entry: Entry, delivery: Delivery, fingerprint: str | None = None, *, is_last: bool = True) -> None:
    """Note what became of an entry: forgotten once it was sent, a dead letter where it was refused, else the reason why it waits.

    `is_last`: whether nothing older is left of its line. Else it stays: who finds only the older one would send that behind it.
    """
    if delivery.status == "sent" and not is_last:
        outbox.note(entry, STAYS, fingerprint=fingerprint)
    elif delivery.status == "sent":
        outbox.done(entry)
    elif delivery.status == "dead":
        outbox.bury(entry, delivery.reason, fingerprint=fingerprint)
    elif delivery.reason != entry.reason or fingerprint != entry.address.fingerprint:
        outbox.note(entry, delivery.reason, fingerprint=fingerprint)


def drop_older(outbox: Outbox, entry: Entry, entries: Sequence[Entry]) -> list[Outcome]:
    """Drop what `entry`, a newer verdict, supersedes. It is on the disk itself, so nothing is lost should we die right here.

    What cannot be removed is still `queued`.
    """
    older = [other for other in entries if other.name < entry.name]
    return [Outcome(other, "dropped" if outbox.drop(other, SUPERSEDED) else "queued", SUPERSEDED) for other in older]


def all_dropped(outcomes: Sequence[Outcome]) -> bool:
    """Whether everything older is gone."""
    return all(outcome.status == "dropped" for outcome in outcomes)


def _groups(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries by incident and team; those whose newest verdict is firing come first, else the oldest."""
    lines: dict[str, list[list[Entry]]] = {}
    for entry in entries:
        groups = lines.setdefault(entry.line, [])
        home = next((group for group in groups if group[-1].goes_where(entry)), None)
        if home is None:
            groups.append([entry])
        else:
            home.append(entry)
    every = [group for groups in lines.values() for group in groups]
    return sorted(every, key=lambda group: (newest(group).alert.state != "firing", group[0].name))


def _send(outbox: Outbox, group: Sequence[Entry], channel: Channel, *, deadline: float, patience: float) -> Iterator[Outcome]:
    names = {entry.name for entry in group}
    with outbox.lock(group[0].line, until=time.monotonic() + patience) as mine:
        if not mine:
            yield from (Outcome(entry, "queued", "another process is sending for the same incident") for entry in group)
            return
        if not outbox.can_forget():
            yield from (Outcome(entry, "queued", READ_ONLY) for entry in group)
            return
        # What was read before the lock may be sent by now, and a newer verdict may have come.
        now = [entry for entry in outbox.waiting(group[0].line) if entry.name in names or entry.goes_where(group[-1])]
        gone = names - {entry.name for entry in now}
        yield from (Outcome(entry, "sent", "another process sent it") for entry in group if entry.name in gone)
        if not now:
            return
        verdict = newest(now)
        older = drop_older(outbox, verdict, now)
        yield from older
        delivery = channel.deliver(verdict.alert, deadline=deadline, only_to=verdict.address.fingerprint)
        conclude(outbox, verdict, delivery, is_last=all_dropped(older))
        status: Literal["sent", "dead", "queued"] = delivery.status if delivery.status in ("sent", "dead") else "queued"
        yield Outcome(verdict, status, delivery.reason, tried=True, attempts=delivery.attempts, retry_after=delivery.retry_after)
