"""The folder of open runs' markers: one file for each, whose time of change says when the run was last alive.

A run removes its own marker. A marker whose process is dead belongs to the process that renames it first. If that one dies too, the next
process may take it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spark_pd.delivery.outbox import Outbox
from spark_pd.delivery.outbox.atomic_files import write_whole
from spark_pd.delivery.outbox.cleanup import is_old
from spark_pd.model import Subject
from spark_pd.runs.crash.marker import Marker, decode, encode, subject_digest
from spark_pd.runs.crash.process_identity import Process, is_alive, this_process

logger = logging.getLogger("spark_pd.crash")

FOLDER = "open"  # in the outbox's folder
MISSED = 10  # heartbeats, after which a process of another machine counts as dead
_CLAIM_LASTS = 600.0  # seconds for which a claim from another machine is respected
_CLAIMED = re.compile(r"(?P<name>[0-9a-f]{16}-.+\.json)\.claimed-(?P<place>[0-9a-f]{16})-(?P<pid>\d+)-(?P<start>\w*)")


@dataclass(frozen=True, slots=True)
class Claim:
    """A dead run that this process reports. The file is removed once the alert is kept elsewhere; until then others can find it."""

    marker: Marker
    file: Path

    @property
    def outbox(self) -> Outbox:
        """The outbox that it belongs to."""
        return Outbox(self.file.parent.parent)

    def done(self) -> None:
        """Remove the file: the run was reported."""
        with suppress(OSError):
            self.file.unlink(missing_ok=True)


class Markers:
    """The markers in one folder, which any number of processes share. Making one does no I/O; reading makes no folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"Markers({str(self.folder)!r})"

    @classmethod
    def beside(cls, outbox: Outbox) -> Markers:
        """Those that belong to an outbox."""
        return cls(outbox.folder / FOLDER)

    def put(self, marker: Marker) -> Path:
        """Write a marker. Raises OSError."""
        if not self.folder.is_dir():
            self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.mkdir(exist_ok=True)
        path = self.folder / marker.name
        # Not flushed to the disk: a run would wait for that, and only the whole machine's death could lose it.
        write_whole(path, encode(marker), durable=False)
        return path

    def dead(self, subject: Subject) -> list[Claim]:
        """The runs of a subject whose process died, each of them claimed, so that no other process reports it too."""
        found = (self.take(path) for path in self._files(subject_digest(subject)))
        return [claim for claim in found if claim is not None]

    def all_dead(self) -> list[Claim]:
        """The same for all subjects. It also removes files that a killed process did not finish."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if path.name.startswith(".") and is_old(path):
                    path.unlink(missing_ok=True)
        return [claim for claim in map(self.take, self._files("")) if claim is not None]

    def take(self, path: Path) -> Claim | None:
        """Claim one of the markers; None where its run has its verdict, its process is alive, or another process claimed it."""
        marker = self._read(path)
        if marker is None or not self._is_free(path, marker):
            return None
        claimed = self.claim(path)
        return None if claimed is None else Claim(marker, claimed)

    def state(self, path: Path) -> Literal["gone", "alive", "dead"]:
        """The state of the run: it has its verdict, its process is or may be alive, or its process is dead."""
        marker = self._read(path)
        if marker is None:
            return "gone"
        return "dead" if self._is_free(path, marker) else "alive"

    def subject(self, path: Path) -> Subject | None:
        """The run's subject; None where the run has its verdict."""
        marker = self._read(path)
        return None if marker is None else marker.subject

    def claim(self, path: Path) -> Path | None:
        """Rename a marker's file to this process's name; None where another process was faster."""
        match = _CLAIMED.fullmatch(path.name)
        me = this_process()
        claimed = self.folder / f"{match['name'] if match else path.name}.claimed-{_digest(me.place)}-{me.pid}-{me.start or ''}"
        try:
            path.rename(claimed)
        except OSError:
            return None
        with suppress(OSError):
            os.utime(claimed)  # on other machines a claim holds for a time
        return claimed

    def _files(self, prefix: str) -> Iterator[Path]:
        with suppress(OSError):
            for path in sorted(self.folder.iterdir()):
                if path.name.startswith(prefix) and not path.name.startswith("."):
                    yield path

    def _read(self, path: Path) -> Marker | None:
        try:
            return decode(path.read_bytes())
        except FileNotFoundError:
            return None  # the run has its verdict
        except OSError as error:
            logger.warning("an open run's marker cannot be read: %s", error.strerror)
        except ValueError as error:
            logger.debug("%s: %s", path.name, error)
        return None

    def _is_free(self, path: Path, marker: Marker) -> bool:
        """Whether the run's process is dead, and no living process claimed the marker."""
        here = this_process()
        match = _CLAIMED.fullmatch(path.name)
        if match is None:
            alive = is_alive(marker.process, here=here)
            if alive is None or (alive and marker.process.start is None):
                return marker.heartbeat > 0 and self._age(path) > MISSED * marker.heartbeat
            return not alive
        if match["place"] != _digest(here.place):
            return self._age(path) > _CLAIM_LASTS
        claimer = Process(here.host, here.place, int(match["pid"]), match["start"] or None)
        return claimer != here and is_alive(claimer, here=here) is False

    def _age(self, path: Path) -> float:
        """Seconds since the file changed, by the file system's own clock: that of another machine may be off."""
        probe = self.folder / f".{uuid.uuid4().hex}.now"
        try:
            changed = path.stat().st_mtime
            try:
                probe.touch()
                now = probe.stat().st_mtime
            finally:
                probe.unlink(missing_ok=True)
        except FileNotFoundError:
            return 0.0
        except OSError:
            now = time.time()
            with suppress(OSError):
                return now - path.stat().st_mtime
            return 0.0
        return now - changed


def touch_marker(path: Path) -> None:
    """Say that the run is alive, by the file's time. Where that cannot be set, the file is written again."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return  # the run has its verdict, or another process considers it dead
    except OSError:
        with suppress(OSError):
            write_whole(path, path.read_bytes(), durable=False)


def _digest(place: str) -> str:
    return hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()[:16]
