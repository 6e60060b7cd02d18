"""The folder of open runs' markers: one file for each, whose time of change is the run's last sign of life.

A marker is removed by its own run. One whose process is dead belongs to who renames it first; what he left when he died himself belongs
to the next.
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
from spark_pd.runs.crash.marker import Marker, decode, encode, line_of
from spark_pd.runs.crash.process_identity import Process, lives, this_process

logger = logging.getLogger("spark_pd.dying")

FOLDER = "open"  # in the outbox's folder
MISSED = 10  # heartbeats, after which a process of another machine counts as dead
_CLAIM_LASTS = 600.0  # seconds for which somebody on another machine who claimed a marker is believed to be at it
_CLAIMED = re.compile(r"(?P<name>[0-9a-f]{16}-.+\.json)\.claimed-(?P<place>[0-9a-f]{16})-(?P<pid>\d+)-(?P<start>\w*)")


@dataclass(frozen=True, slots=True)
class Claim:
    """A dead run that is ours to report. The file is removed once the alert is kept elsewhere, and found by the next one otherwise."""

    marker: Marker
    file: Path

    @property
    def outbox(self) -> Outbox:
        """The outbox that it belongs to."""
        return Outbox(self.file.parent.parent)

    def done(self) -> None:
        """Forget it: it was reported."""
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
        """The runs of a subject whose process died, each of them claimed: nobody else gets it meanwhile."""
        found = (self.take(path) for path in self._files(line_of(subject)))
        return [claim for claim in found if claim is not None]

    def all_dead(self) -> list[Claim]:
        """The same for all subjects. It also removes what killed processes had not written to its end."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if path.name.startswith(".") and is_old(path):
                    path.unlink(missing_ok=True)
        return [claim for claim in map(self.take, self._files("")) if claim is not None]

    def take(self, path: Path) -> Claim | None:
        """Claim one of the markers; None where its run has its verdict, its process lives, or somebody else has it."""
        marker = self._read(path)
        if marker is None or not self._is_free(path, marker):
            return None
        claimed = self.claim(path)
        return None if claimed is None else Claim(marker, claimed)

    def state(self, path: Path) -> Literal["gone", "alive", "dead"]:
        """What is known of the run: it has its verdict, or its process lives or may live, or is dead."""
        marker = self._read(path)
        if marker is None:
            return "gone"
        return "dead" if self._is_free(path, marker) else "alive"

    def subject(self, path: Path) -> Subject | None:
        """Whose run it is; None where that has its verdict."""
        marker = self._read(path)
        return None if marker is None else marker.subject

    def claim(self, path: Path) -> Path | None:
        """Take a marker's file for this process; None where somebody was faster."""
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

    def _files(self, line: str) -> Iterator[Path]:
        with suppress(OSError):
            for path in sorted(self.folder.iterdir()):
                if path.name.startswith(line) and not path.name.startswith("."):
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
        """Whether the run's process is dead, and nobody living claimed it."""
        here = this_process()
        match = _CLAIMED.fullmatch(path.name)
        if match is None:
            alive = lives(marker.process, here=here)
            if alive is None or (alive and marker.process.start is None):
                return marker.heartbeat > 0 and self._age(path) > MISSED * marker.heartbeat
            return not alive
        if match["place"] != _digest(here.place):
            return self._age(path) > _CLAIM_LASTS
        claimer = Process(here.host, here.place, int(match["pid"]), match["start"] or None)
        return claimer != here and lives(claimer, here=here) is False

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


def beat(path: Path) -> None:
    """Give a sign of life. Where a file's time cannot be set, it is written anew."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return  # the run has its verdict, or somebody took it for dead
    except OSError:
        with suppress(OSError):
            write_whole(path, path.read_bytes(), durable=False)


def _digest(place: str) -> str:
    return hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()[:16]
