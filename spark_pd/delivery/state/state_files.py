"""The state's folder: one file for each subject (a table, with its scope and job), and what is wrong with it beside it.

incidents/ what is remembered, a subject's triggers together: a run reads one file and writes one
corrupt/   files that hold nothing of ours
locks/     empty files to lock; used on local disks only
pruned     when what is long over was removed last

Where the disk is full, read-only or not there, nothing is known: alerts go out, and one warning says so.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType

from spark_pd.delivery.outbox import Outbox
from spark_pd.delivery.outbox.atomic_files import locked, write_whole
from spark_pd.delivery.outbox.checksummed_json import OtherVersion
from spark_pd.delivery.outbox.cleanup import is_old, keep_few, logged, said
from spark_pd.delivery.outbox.folder import is_local
from spark_pd.delivery.state.state_cleanup import prune_in_background
from spark_pd.delivery.state.state_codec import decode, encode
from spark_pd.model import DEDUP_KEY_LIMIT, Address
from spark_pd.model.incident_state import IncidentState

logger = logging.getLogger("spark_pd.state")

PATIENCE = 2.0  # seconds that a run waits for another, which holds a lock for milliseconds: 20 processes at once wait for one
MOST_CORRUPT = 100  # files that were set aside, the newest
LOCKS = 256  # few files, never removed: a lock file that is removed while somebody waits for it locks nothing


class FileStateStore:
    """What is remembered, on disk. Making one does no I/O. Any number of threads and processes may share its folder.

    place: where alerts go, in words that hold no key. Two places that share the folder do not share what is remembered in it.
    patience: seconds to wait for a lock. Who does not get it knows nothing.
    """

    durable = False  # another machine's run may have opened an incident that this folder knows nothing of

    def __init__(self, folder: Path, *, place: Callable[[], str] = str, patience: float = PATIENCE) -> None:
        self.folder = folder
        self._place = place
        self._patience = patience
        self._local: bool | None = None
        self._warned: set[str] = set()
        """What was warned of, by its kind: each is said once."""

    def __repr__(self) -> str:
        return f"FileStateStore({str(self.folder)!r})"

    @contextmanager
    def hold(self, keys: Sequence[str]) -> Iterator[LockedFileStates]:
        """What is remembered of these dedup keys; on a local disk nobody else reads or changes it until the block ends. Never raises."""
        place = self._place()
        files = {key: self._file(place, key) for key in keys}
        with ExitStack() as stack:
            mine = True
            try:
                self._make_folders()
                if self._is_local():
                    until = time.monotonic() + self._patience
                    # In one order for all, so that no two wait for each other.
                    for lock in sorted({self._lock(file) for file in files.values()}):
                        mine = stack.enter_context(locked(lock, until=until)) and mine
            except OSError as error:
                self._warn("disk", f"the state cannot be kept ({said(error)})")
            if not mine:
                self._warn("lock", "another process holds the state for long")
            yield LockedFileStates(self, files, readable=mine)

    def read(self, file: Path) -> tuple[dict[str, IncidentState] | None, bool]:
        """What a file holds, nothing where there is none, None where that cannot be told; and whether it may be written."""
        try:
            return decode(file.read_bytes()), True
        except FileNotFoundError:
            return {}, True
        except OSError as error:
            self._warn("disk", f"the state cannot be read ({said(error)})")
            return None, True
        except OtherVersion:
            self._warn("version", f"another version of spark_pd wrote the state ({file})")
            return None, False
        except ValueError as error:
            self._set_aside(file, str(error))
            return None, True

    def write(self, file: Path, memories: Mapping[str, IncidentState], *, new: bool) -> bool:
        """Have a file hold these instead. Whether that could be done."""
        try:
            # Without fsync: what a power cut takes is not known, and then alerts are sent.
            write_whole(file, encode(memories), durable=False)
        except OSError as error:
            self._warn("disk", f"the state cannot be kept ({said(error)})")
            return False
        if new:
            prune_in_background(self.folder, self.lock_of)
        return True

    def _warn(self, kind: str, what: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            logger.warning("%s: nothing is known of earlier runs, and alerts are sent without", what)

    def lock_of(self, file: Path) -> Path | None:
        """The lock of a file; None where locks are not to be relied on."""
        return self._lock(file) if self._is_local() else None

    def _file(self, place: str, key: str) -> Path:
        # All triggers of a subject have the same beginning; a key that was cut to its limit is a subject of its own.
        subject = key.rpartition("/")[0] if len(key) < DEDUP_KEY_LIMIT else key
        digest = hashlib.sha256(f"{place}\0{subject}".encode("utf-8", "surrogatepass")).hexdigest()
        return self.folder / "incidents" / f"{digest[:32]}.json"

    def _lock(self, file: Path) -> Path:
        return self.folder / "locks" / f"{int(file.stem[:8], 16) % LOCKS:02x}"

    def _is_local(self) -> bool:
        if self._local is None:
            self._local = is_local(self.folder)
        return self._local

    def _make_folders(self) -> None:
        incidents = self.folder / "incidents"
        if not incidents.is_dir():
            # Only the owner, as the outbox. A folder that was there stays as it is.
            self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.folder, incidents, self.folder / "corrupt", self.folder / "locks"):
                folder.mkdir(exist_ok=True)

    def _set_aside(self, file: Path, why: str) -> None:
        # Where renames are weak it may be under way.
        if not self._is_local() and not is_old(file):
            self._warn("half", f"a file of the state is not whole ({file})")
            return
        logger.warning("a file of the state is set aside, so nothing is known of its table's earlier runs: %s: %s", file.name, why)
        corrupt = self.folder / "corrupt"
        with logged("it could not be set aside"):
            file.replace(corrupt / f"{time.time_ns():020d}-{file.name}")
        keep_few(corrupt, MOST_CORRUPT)


class LockedFileStates:
    """Memories of a `FileStateStore`, while they are held."""

    doubts: Mapping[str, str] = MappingProxyType({})  # it never says for sure that nothing is open

    def __init__(self, store: FileStateStore, files: Mapping[str, Path], *, readable: bool) -> None:
        self._store = store
        self._files = files
        read = {file: store.read(file) if readable else (None, False) for file in dict.fromkeys(files.values())}
        self._content = {file: content or {} for file, (content, _) in read.items()}
        self._writable = {file for file, (_, writable) in read.items() if writable}
        self._known = all(content is not None for content, _ in read.values())

    @property
    def known(self) -> bool:
        """Whether all of it could be read."""
        return self._known

    @property
    def memories(self) -> Mapping[str, IncidentState]:
        """By dedup key."""
        held = {key: self._content[file].get(key) for key, file in self._files.items()}
        return {key: memory for key, memory in held.items() if memory is not None}

    def save(self, memories: Iterable[IncidentState]) -> bool:
        """Remember these, of keys that are held. Whether that could be done."""
        changed: dict[Path, dict[str, IncidentState]] = {}
        for memory in memories:
            file = self._files[memory.dedup_key]
            if self._content[file].get(memory.dedup_key) != memory:
                changed.setdefault(file, dict(self._content[file]))[memory.dedup_key] = memory
        saved = True
        for file, content in changed.items():
            if file in self._writable and self._store.write(file, content, new=not self._content[file]):
                self._content[file] = content
            else:
                saved = False
        return saved


def place_of(address: Address) -> str:
    """Where alerts go, in words that hold no key."""
    return f"{address.endpoint} {address.reference or address.fingerprint or ''}"


def state_of(outbox: Outbox, address: Callable[[], Address]) -> FileStateStore:
    """The state in an outbox, for the alerts that go to `address`: those of another team's key are other incidents. No I/O."""
    return FileStateStore(outbox.folder / "state", place=lambda: place_of(address()))
