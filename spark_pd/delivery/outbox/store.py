"""The outbox's folder: one file for each alert that waits, one for each dead letter, and what is wrong with both beside them.

queue/   alerts that wait; a file is written once and never changed
dead/    alerts that nobody tries again by himself
notes/   why an alert waits or died, and the key's fingerprint where it became known later
corrupt/ files that are no alerts
locks/   empty files to lock; used on local disks only

limits/ and storms/ beside them are dispatch's: what went out lately, and the members of storm incidents.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from spark_pd.delivery.outbox.atomic_files import locked, settle, write_whole
from spark_pd.delivery.outbox.checksummed_json import OtherVersion
from spark_pd.delivery.outbox.cleanup import is_old, keep_few, logged, said, set_aside, take_in_leftovers
from spark_pd.delivery.outbox.entry import Entry, EntryState, FileName, decode, encode, line_of, parse_name
from spark_pd.delivery.outbox.folder import default_folder, is_local
from spark_pd.delivery.outbox.notes import Notes
from spark_pd.delivery.outbox.owner import this_process
from spark_pd.model import Address, Alert

logger = logging.getLogger("spark_pd.outbox")

TTL = 7 * 86_400.0  # seconds that an alert waits; older news would page somebody for what is long over
MOST_FILES = 10_000  # alerts that wait at most
MOST_BYTES = 256_000_000  # bytes that they take at most
MOST_DEAD = 1_000  # dead letters, and corrupt files, that are kept; the oldest go first
_SAMPLE = 200  # files whose size stands for that of all: to ask for 10,000 would take a run's time


class Outbox:
    """Alerts on disk. Making one does no I/O; the folder is made for the first alert. Any number of threads and processes may share it.

    ttl: seconds after which an alert that waits becomes a dead letter.
    clock: the wall clock in nanoseconds. It may jump: the order of a line never depends on it alone.

    No method raises, but for `keep`'s answer: what cannot be read or written is logged, and the alert is sent all the same.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ttl: float = TTL,
        most_files: int = MOST_FILES,
        most_bytes: int = MOST_BYTES,
        most_dead: int = MOST_DEAD,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.folder = folder
        self._queue, self._dead = folder / "queue", folder / "dead"
        self._corrupt, self._locks = folder / "corrupt", folder / "locks"
        self._notes = Notes(folder / "notes")
        self._ttl = ttl
        self._most_files, self._most_bytes, self._most_dead = most_files, most_bytes, most_dead
        self._clock = clock
        self._local: bool | None = None

    def __repr__(self) -> str:
        return f"Outbox({str(self.folder)!r})"

    @property
    def is_local(self) -> bool:
        """Whether locks and renames in its folder can be trusted."""
        if self._local is None:
            self._local = is_local(self.folder)
        return self._local

    # ---- in ----------------------------------------------------------------------------------------------------------------------

    def keep(self, mail: Sequence[tuple[Alert, Address]]) -> list[Entry | str]:
        """Write these alerts down, in their order. For each its entry once that is on the disk, or why it could not be kept."""
        try:
            self._make_folders()
            count, size, last = self._survey()
        except OSError as error:
            return [said(error)] * len(mail)
        kept: list[Entry | str] = []
        for alert, address in mail:
            if count >= self._most_files or size >= self._most_bytes:
                kept.append(f"it is full: {count} alerts wait in {self.folder}")
                continue
            line = line_of(address.channel, alert)
            # Where the clock stood back, or another machine's is ahead, what comes later still sorts behind.
            stamp = min(max(self._clock(), last.get(line, -1) + 1, 0), 10**20 - 1)
            last[line] = stamp
            entry = Entry(id=uuid.uuid4().hex[:12], stamp=stamp, address=address, alert=alert, owner=this_process())
            try:
                data = encode(entry)
                write_whole(self._queue / entry.name, data)
            except OSError as error:
                kept.append(said(error))
            except Exception as error:  # details of a kind that nobody thought of
                kept.append(f"it could not be written down ({type(error).__name__})")
            else:
                count, size = count + 1, size + len(data)
                kept.append(entry)
        settle(self._queue)
        return kept

    # ---- out ---------------------------------------------------------------------------------------------------------------------

    def done(self, entry: Entry) -> None:
        """Forget an alert that was accepted."""
        self._remove(entry, "it was sent, and may be sent again")

    def drop(self, entry: Entry, note: str) -> bool:
        """Forget an alert that is not to be sent, and say why in the log. Whether that could be done."""
        logger.info("dropped %s %s: %s [%s]", entry.alert.trigger, entry.alert.state, note, entry.alert.dedup_key)
        return self._remove(entry, note)

    def note(self, entry: Entry, reason: str, *, fingerprint: str | None = None) -> None:
        """Write down why an alert still waits, and the key's fingerprint where it is known by now."""
        if self.holds(entry) != "queued":
            return
        with logged("the reason why an alert waits was not written down"):
            self._notes.write(entry, reason, fingerprint)

    def bury(self, entry: Entry, reason: str, *, fingerprint: str | None = None) -> None:
        """Make a dead letter of an alert: nobody tries it again by himself."""
        with logged("a dead letter could not be put aside"):
            self._notes.write(replace(entry, state="dead"), reason, fingerprint)
            (self._queue / entry.name).replace(self._dead / entry.name)
            settle(self._dead)
        keep_few(self._dead, self._most_dead, notes=self._notes.folder)

    def revive(self, entry: Entry) -> bool:
        """Have a dead letter wait again, as somebody asked for. Whether that could be done."""
        with logged("a dead letter could not be put back"):
            self._notes.write(replace(entry, state="queued", revived=True), entry.reason or "", None)
            (self._dead / entry.name).replace(self._queue / entry.name)
            settle(self._queue)
            return True
        return False

    # ---- to look at --------------------------------------------------------------------------------------------------------------

    def names(self) -> tuple[str, ...]:
        """The files of the alerts that wait, in the order in which they came. It opens none of them."""
        with suppress(OSError):
            return tuple(name.name for name in self._names(self._queue))
        return ()

    def waiting(self, line: str | None = None) -> list[Entry]:
        """The alerts that wait, of one line or all, in order. What is no alert is set aside, what is too old becomes a dead letter."""
        take_in_leftovers(self._queue, line)
        if line is None:
            self._notes.sweep(self._queue, self._dead)
        found = self._read(self._queue, "queued", line)
        young = []
        for entry in found:
            age = (self._clock() - entry.stamp) / 1e9
            if age > self._ttl and not entry.revived:
                logger.warning("an alert is too old to be sent: %s [%s]", entry.alert.trigger, entry.alert.dedup_key)
                self.bury(
                    entry, f"it waited for more than {self._ttl / 86_400:g} days; before: {entry.reason or 'nobody tried to send it'}"
                )
            else:
                young.append(entry)
        return young

    def dead(self) -> list[Entry]:
        """The dead letters, in the order in which the alerts came."""
        return self._read(self._dead, "dead", None)

    def corrupt(self) -> list[Path]:
        """The files that were set aside, since they are no alerts."""
        with suppress(OSError):
            return sorted(path for path in self._corrupt.iterdir() if path.is_file())
        return []

    def holds(self, entry: Entry) -> EntryState | None:
        """Where an alert is now; None where it was sent or dropped."""
        try:
            if (self._queue / entry.name).exists():
                return "queued"
            return "dead" if (self._dead / entry.name).exists() else None
        except OSError:
            return "queued"  # better sent twice than not at all

    def can_forget(self) -> bool:
        """Whether what is sent from here can be removed then. Else each run would send it again, behind newer verdicts."""
        return os.access(self._queue, os.W_OK | os.X_OK)

    def remove_corrupt(self, path: Path) -> None:
        """Remove a file that was set aside."""
        with logged("a corrupt file could not be removed"):
            path.unlink(missing_ok=True)

    def lock(self, line: str, *, until: float) -> AbstractContextManager[bool]:
        """Hold a line, so that nobody else sends of it, and tell whether it was to be had before `until` (time.monotonic's clock).

        On a file system whose locks are weak everybody has it at once.
        """
        # Few files, never removed: a lock file that is removed while somebody waits for it locks nothing.
        return locked(self._locks / line[:2], until=until) if self.is_local else nullcontext(True)

    # ---- the files ---------------------------------------------------------------------------------------------------------------

    def _make_folders(self) -> None:
        if not self._queue.is_dir():
            # Only the owner: what alerts tell is not for everybody on the machine. A folder that was there stays as it is.
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self._queue, self._dead, self._notes.folder, self._corrupt, self._locks):
            folder.mkdir(exist_ok=True)

    def _names(self, folder: Path, line: str | None = None) -> list[FileName]:
        with os.scandir(folder) as entries:
            parsed = (parse_name(entry.name) for entry in entries if line is None or line in entry.name)
            return sorted((name for name in parsed if name is not None), key=lambda name: name.name)

    def _survey(self) -> tuple[int, int, dict[str, int]]:
        """How many alerts wait, about how many bytes they take, and the newest stamp of each line. A run waits for it."""
        last: dict[str, int] = {}
        sizes: list[int] = []
        count = 0
        with os.scandir(self._queue) as entries:
            for entry in entries:
                # What a killed process left half done counts for the order: its clock may have been ahead.
                stamp, _, line = entry.name.removeprefix(".")[:37].partition("-")
                if len(stamp) != 20 or not stamp.isdecimal():
                    continue
                last[line] = max(last.get(line, -1), int(stamp))
                count += 1
                if len(sizes) < _SAMPLE:
                    with suppress(OSError):
                        sizes.append(entry.stat().st_size)
        return count, sum(sizes) * count // max(1, len(sizes)), last

    def _read(self, folder: Path, state: EntryState, line: str | None) -> list[Entry]:
        try:
            names = self._names(folder, line)
        except FileNotFoundError:
            return []
        except OSError as error:
            logger.warning("the outbox cannot be read: %s", said(error))
            return []
        found = []
        for name in names:
            if line is None or name.line == line:
                entry = self._open(folder / name.name)
                if entry is not None:
                    found.append(self._notes.noted(replace(entry, state=state)))
        return found

    def _open(self, path: Path) -> Entry | None:
        try:
            entry = decode(path.read_bytes())
            if entry.name != path.name:
                raise ValueError("it is not the alert that its name tells")
        except FileNotFoundError:
            return None  # sent meanwhile
        except OSError as error:
            logger.warning("an alert in the outbox cannot be read: %s", said(error))
            return None
        except OtherVersion:
            logger.warning("another version of spark_pd wrote an alert in the outbox, and has to send it: %s", path.name)
            return None
        except ValueError as error:
            # Where renames are weak it may be under way.
            if self.is_local or is_old(path):
                set_aside(path, self._corrupt, str(error), most=self._most_dead)
            return None
        return entry

    def _remove(self, entry: Entry, otherwise: str) -> bool:
        removed = False
        with logged(f"an alert could not be taken out of the outbox ({otherwise})"):
            for folder in (self._queue, self._dead):
                (folder / entry.name).unlink(missing_ok=True)
            removed = True
        self._notes.forget(entry)
        return removed


def open_outbox(path: str | None) -> Outbox | None:
    """The outbox at `path` (spark.pd.outbox.path), or where that is None the user's own; None where there is no home. No I/O."""
    try:
        folder = default_folder() if path is None else Path(path).expanduser().absolute()
    except RuntimeError:  # a path below ~, and no home
        return None
    return None if folder is None else Outbox(folder)


def newest(entries: Iterable[Entry]) -> Entry:
    """The last of a line: its verdict."""
    return max(entries, key=lambda entry: entry.name)
