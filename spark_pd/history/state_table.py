"""The state in a table beside the stats table: what runs on all machines remember of a subject's incidents. Append-only.

Each run reads the newest rows of its subject. It appends a row when it begins, before it can page anybody, and one when its alerts were
reported.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spark_pd.delivery.state.state_codec import decode, encode
from spark_pd.history.incident_standing import Entry, Standing, progress_after, progress_fields, progress_of, standing
from spark_pd.model import Delivery
from spark_pd.model.incident_state import IncidentState, StateStore
from spark_pd.spark.background import Call

if TYPE_CHECKING:
    from spark_pd.spark.tables import Table

logger = logging.getLogger("spark_pd.state")

READ_SECONDS = 20.0  # that a run waits for the table; a first look at a Delta table takes some
APPEND_SECONDS = 60.0
LOOKS_BACK = timedelta(days=100)  # what is older is forgotten; a table without memory gets its resolve
MOST_ROWS = 1_000  # of one subject, the newest


@dataclass(frozen=True, slots=True)
class StateTable:
    """The table and where alerts go: two places share no incident, and so no memory."""

    table: Table
    place: str

    @classmethod
    def of(cls, table: Table, place: str) -> StateTable:
        """`place` may name an endpoint and a key's reference; the table gets a digest of it."""
        return cls(table, hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()[:32])

    def read(self, subject: str, now: datetime) -> list[Entry]:
        """The subject's newest entries. Raises what Spark raises."""
        since = ("month", _month(now - LOOKS_BACK))
        return [_entry(row, self.place) for row in self.table.newest({"subject": subject}, least=since, by="at", most=MOST_ROWS)]

    def append(self, subject: str, entry: Entry) -> None:
        """Write an entry down. Raises what Spark raises."""
        ended = entry.event == "ended"
        self.table.append(
            {
                "place": self.place,
                "subject": subject,
                "run_id": entry.run_id,
                "event": entry.event,
                "at": entry.at,
                "memories": encode(entry.memories).decode("ascii").strip() if ended else None,
                "told": json.dumps({key: progress_fields(progress) for key, progress in entry.progress.items()}) if ended else None,
                "month": _month(entry.at),
            }
        )


class RunState:
    """The state as one run has it, a `StateStore`. It reads and appends in threads of its own, and never raises.

    What is saved is kept in the process until `finish`: until then the run's beginning in the table says that it is not known.

    local: the state in this machine's outbox. It gets the same, and is where `spark-pd resolve` says that an incident is over.
    """

    def __init__(self, table: StateTable, subject: str, run_id: str, *, local: StateStore | None = None) -> None:
        self._table = table
        self._local = local
        self._subject = subject
        self._run_id = run_id
        self._began: Call[list[Entry]] | None = None
        self._looked = False
        self._entries: list[Entry] | None = None
        self._saved: dict[str, IncidentState] = {}
        self._stood: dict[str, Standing] = {}
        self._given_up = False
        self._warned = False

    @property
    def durable(self) -> bool:
        """Whether the table could be read, and this run is in it."""
        return self._entries is not None and not self._given_up

    def as_it_began(self) -> StateStore:
        """The same state for who may not ask Spark, which is busy with the job: what stood when the run began, and what it saved since."""
        return _AsItBegan(self)

    def begin(self) -> None:
        """Read what stands, and write down that the run began, in the background."""

        def begun() -> list[Entry]:
            """What stood when the run began."""
            found = self._table.read(self._subject, _now())
            self._table.append(self._subject, Entry(run_id=self._run_id, event="began", at=_now()))
            return found

        self._began = Call(begun, name="state")

    @contextmanager
    def hold(self, keys: Sequence[str], *, again: bool = True) -> Iterator[LockedTableStates]:
        """What is remembered of these keys: at first as it was when the run began, then, if `again`, as it is now.

        Nobody is kept from changing it meanwhile.
        """
        if again or not self._looked:
            self._entries = None if self._given_up or self._warned else self._look()
        now = _now()
        self._stood |= {key: standing(self._entries, key, but=self._run_id, now=now) for key in keys} if self._entries is not None else {}
        self._ask_local(keys)
        yield LockedTableStates(self, keys, known=self._entries is not None)

    def _ask_local(self, keys: Sequence[str]) -> None:
        """Learn which incidents somebody closed by hand, on this machine, since the run that the table has."""
        if self._local is None or not any(each.memory is not None for each in self._stood.values()):
            return
        with self._local.hold(keys) as held:
            here = held.memories
        for key, mine in here.items():
            stood = self._stood.get(key)
            if stood is None or stood.memory is None or mine.outcome != "none" or mine.open_since is not None:
                continue
            if mine.run_started_at == stood.memory.run_started_at and stood.memory.open_since is not None:
                self._stood[key] = replace(stood, memory=mine, doubt="it was resolved by hand")

    def memory(self, key: str) -> IncidentState | None:
        """The newest of what is in the table and what this run saved."""
        stood, saved = self._stood.get(key), self._saved.get(key)
        found = stood.memory if stood is not None else None
        if saved is None or found is None:
            return saved or found
        later = found.run_started_at is not None and (saved.run_started_at is None or found.run_started_at > saved.run_started_at)
        return found if later else saved

    def doubt(self, key: str) -> str | None:
        """Why something may be open."""
        stood = self._stood.get(key)
        return stood.doubt if stood is not None else "the state is not known"

    def save(self, memories: Iterable[IncidentState]) -> bool:
        """Keep these for `finish`."""
        self._saved |= {memory.dedup_key: memory for memory in memories}
        return self.durable

    def finish(self, deliveries: Sequence[Delivery]) -> None:
        """Write down what the run remembers, and what became of its alerts. Once."""
        if self._given_up or self._began is None:
            return
        now = _now()
        stood = {key: self._stood.get(key, Standing()) for key in self._saved}
        progress = {key: each.progress for key, each in stood.items()}
        for delivery in deliveries:
            key = delivery.alert.dedup_key
            if key in progress and delivery.status != "suppressed":  # what policy kept was never handed over
                progress[key] = progress_after(progress[key], stood[key], state=delivery.alert.state, status=delivery.status, now=now)
        if self._local is not None:
            with self._local.hold(tuple(self._saved)) as held:
                held.save(self._saved.values())
        entry = Entry(run_id=self._run_id, event="ended", at=now, memories=MappingProxyType(self._saved), progress=progress)
        try:
            Call(lambda: self._table.append(self._subject, entry), name="state").result(APPEND_SECONDS)
        except Exception as error:
            self._warn(f"what this run remembers could not be written down ({type(error).__name__}), so resolves go out unasked for days")
        self._given_up = True

    def give_up(self) -> None:
        """Ask Spark for nothing any more: it may not answer. The run's beginning stays without an end, which others see."""
        self._given_up = True

    def _look(self) -> list[Entry] | None:
        try:
            assert self._began is not None
            found = self._began.result(READ_SECONDS)
            if not self._looked:
                self._looked = True
                return found
            now = _now()
            return Call(lambda: self._table.read(self._subject, now), name="state").result(READ_SECONDS)
        except Exception as error:
            # Who waited once in vain does not wait again, and what did not answer is not asked for more.
            self._given_up = isinstance(error, TimeoutError)
            self._warn(f"the state could not be read or written ({type(error).__name__}): nothing is known of earlier runs")
            return None

    def _warn(self, what: str) -> None:
        if not self._warned:
            self._warned = True
            logger.warning("%s: %s", self._table.table.name, what)


class _AsItBegan:
    """A `RunState` that asks Spark for nothing that it has not asked for already."""

    def __init__(self, state: RunState) -> None:
        self._state = state

    @property
    def durable(self) -> bool:
        """As the state itself."""
        return self._state.durable

    def hold(self, keys: Sequence[str]) -> AbstractContextManager[LockedTableStates]:
        """As the state itself, without another look."""
        return self._state.hold(keys, again=False)


class LockedTableStates:
    """Memories of a `RunState`, while they are held."""

    def __init__(self, state: RunState, keys: Sequence[str], *, known: bool) -> None:
        self._state = state
        self._keys = tuple(keys)
        self._known = known

    @property
    def known(self) -> bool:
        """Whether the table could be read."""
        return self._known

    @property
    def memories(self) -> Mapping[str, IncidentState]:
        """By dedup key."""
        found = {key: self._state.memory(key) for key in self._keys}
        return {key: memory for key, memory in found.items() if memory is not None}

    @property
    def doubts(self) -> Mapping[str, str]:
        """Why something may be open, by dedup key."""
        found = {key: self._state.doubt(key) for key in self._keys}
        return {key: doubt for key, doubt in found.items() if doubt is not None}

    def save(self, memories: Iterable[IncidentState]) -> bool:
        """Remember these with the run's end."""
        return self._state.save(memories)


def _entry(row: Mapping[str, Any], place: str) -> Entry:
    """A row as an entry. One that nobody can read is a beginning without an end, and so a doubt.

    So is one of another place: the same key may be known there by another reference.
    """
    at = row["at"]
    if row["event"] == "ended" and row["place"] == place:
        try:
            memories = decode(row["memories"].encode("ascii"))
            progress = {key: progress_of(fields) for key, fields in json.loads(row["told"]).items()}
            return Entry(run_id=row["run_id"], event="ended", at=at, memories=memories, progress=progress)
        except (ValueError, TypeError, KeyError, AttributeError):
            logger.debug("a row of the state is not to be read: %s", row["run_id"])
    return Entry(run_id=row["run_id"], event="began", at=at)


def _month(at: datetime) -> int:
    return at.year * 100 + at.month


def _now() -> datetime:
    return datetime.now(timezone.utc)
