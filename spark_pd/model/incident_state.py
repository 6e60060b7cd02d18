"""What is remembered of an incident between runs, and the protocol of whoever remembers it. Beside `model/`, whose nouns it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from spark_pd.model import Address, Outcome, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentState:
    """What is remembered of one incident. All times are aware."""

    dedup_key: str
    outcome: Outcome = "none"
    """What the last run that had anything to say about it concluded."""
    run_started_at: datetime | None = None
    """When the run started whose verdict, firing or good, was the last. A run that started earlier changes nothing any more."""
    bad_runs: int = 0
    """How many runs in a row were bad. Runs that could not tell are not counted, and do not break the row."""
    unknown_runs: int = 0
    """How many runs in a row could not tell."""
    failing: tuple[str, ...] = ()
    """The rules that failed and were not found good since, by name."""
    rules_source: str | None = None
    """Where the rules of the last bad run came from, such as `table sales.order_rules`."""
    absent: tuple[str, ...] = ()
    """Of those that failed, the rules that the last run, with its rules from code, did not have any more."""
    open_since: datetime | None = None
    """When the incident that is open was opened; None where none is, as far as is known."""
    paged_at: datetime | None = None
    """When a firing alert of it went out last."""
    severity: Severity | None = None
    """The severity of that alert."""
    told: tuple[str, ...] = ()
    """The rules that alerts of this incident, open or closed since, were about."""
    resolved_at: datetime | None = None
    """When an incident that was open was resolved last."""
    own: tuple[str, ...] = ()
    """For a table's incident: the rules that have an incident of this trigger of their own, and it is open as far as is known."""
    sent_to: tuple[Address, ...] = ()
    """Where its firing alerts went, where there are channels of one's own: its resolve goes there."""


def untold(memory: IncidentState) -> IncidentState:
    """The memory of an incident that is not open after all, and of which nobody was told."""
    return replace(memory, open_since=None, paged_at=None, severity=None, told=())


class LockedStates(Protocol):
    """Memories while they are held."""

    @property
    def known(self) -> bool:
        """Whether `memories` is all there is. False where the store could not be read: then nothing may be concluded from it."""

    @property
    def memories(self) -> Mapping[str, IncidentState]:
        """By dedup key; a key of which nothing is remembered is not in it."""

    @property
    def doubts(self) -> Mapping[str, str]:
        """Of a durable store: why an incident may be open though nothing is remembered to be, by dedup key. Its resolve goes out."""

    def save(self, memories: Iterable[IncidentState]) -> bool:
        """Remember these from now on. Whether that could be done; where somebody else changed them meanwhile, it could not."""


class StateStore(Protocol):
    """What dispatch remembers of incidents. No method raises: what cannot be read is not `known`, what cannot be kept is not saved."""

    @property
    def durable(self) -> bool:
        """Whether every run, on whichever machine, is sure to be in it. Only then does no memory mean that no incident is open."""

    def hold(self, keys: Sequence[str]) -> AbstractContextManager[LockedStates]:
        """What is remembered of these dedup keys. Where the store has locks, nobody else reads or changes them until the block ends."""


def forget(store: StateStore, dedup_key: str) -> None:
    """Remember of an incident that nothing is open and nothing failed: somebody resolved it by hand, or dropped its alert."""
    with store.hold([dedup_key]) as held:
        memory = held.memories.get(dedup_key)
        if memory is not None:
            over = replace(untold(memory), outcome="none", bad_runs=0, unknown_runs=0, failing=(), absent=())
            held.save([over])
