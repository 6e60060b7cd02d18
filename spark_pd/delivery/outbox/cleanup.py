"""Keeping the outbox's folder tidy: what is no alert, what was left half done, what has become too much."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from spark_pd.delivery.outbox.atomic_files import PART
from spark_pd.delivery.outbox.entry import decode, parse_name
from spark_pd.delivery.outbox.owner import owner_lives

logger = logging.getLogger("spark_pd.outbox")

_GRACE = 60.0  # seconds after which a file that is not whole will not become so any more


class logged(suppress):
    """Suppresses an OSError, and says in the log what could not be done."""

    def __init__(self, what: str) -> None:
        super().__init__(OSError)
        self._what = what

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        done = super().__exit__(kind, error, trace)
        if done and error is not None:
            logger.warning("%s: %s", self._what, said(error))
        return bool(done)


def said(error: OSError) -> str:
    """The system's words for an error, with the file that it is about."""
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or type(error).__name__}{where}"


def is_old(path: Path) -> bool:
    """Whether nobody can be writing it any more. Far in the future is as good as old: the clock jumped."""
    with suppress(OSError):
        return abs(time.time() - path.stat().st_mtime) > _GRACE
    return False


def set_aside(path: Path, folder: Path, why: str, *, most: int) -> None:
    """Move a file that is no alert into `folder`, where the newest `most` are kept, and report it."""
    logger.warning("a file in the outbox is no alert and was set aside: %s: %s", path.name, why)
    with logged("it could not be set aside"):
        path.replace(folder / path.name)
    keep_few(folder, most)


def take_in_leftovers(queue: Path, line: str | None = None) -> None:
    """Finish what a killed process had written, but not yet renamed, for one line or all; remove what it had not written to its end.

    It is taken in before anything newer is sent, or it would be sent behind that.
    """
    leftovers: list[Path] = []
    with suppress(OSError), os.scandir(queue) as files:
        leftovers = [queue / file.name for file in files if file.name.endswith(PART) and (line is None or line in file.name)]
    for path in leftovers:
        name = path.name[1 : -len(PART)]
        with suppress(OSError):
            try:
                entry = decode(path.read_bytes())
            except ValueError:
                if is_old(path):
                    path.unlink()
                continue
            lives = owner_lives(entry)  # a clock that jumped makes a file look old that is being written
            if entry.name == name and (is_old(path) if lives is None else not lives):
                path.replace(queue / name)


def keep_few(folder: Path, most: int, *, notes: Path | None = None) -> None:
    """Remove the oldest files of a folder beyond so many, and their notes."""
    with suppress(OSError):
        files = sorted(path for path in folder.iterdir() if path.is_file())
        for path in files[: max(0, len(files) - most)]:
            logger.warning("removed the oldest of more than %d files in %s: %s", most, folder, path.name)
            path.unlink(missing_ok=True)
            name = parse_name(path.name)
            if name is not None and notes is not None:
                for note in notes.glob(f"{name.id}.*"):
                    note.unlink(missing_ok=True)
