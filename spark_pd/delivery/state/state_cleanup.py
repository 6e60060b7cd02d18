"""Keeping the state's folder small: what has been good for long is forgotten, and never more than so many files are kept."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

from spark_pd.delivery.outbox.atomic_files import PART, locked
from spark_pd.delivery.outbox.cleanup import is_old
from spark_pd.delivery.state.state_codec import decode
from spark_pd.model.incident_state import IncidentState

logger = logging.getLogger("spark_pd.state")

DAY = 86_400.0
GOOD_FOR = 90 * DAY  # seconds after which what is good is forgotten: nobody asks about it, and a bad run starts anew
PATIENCE = 0.2  # seconds for a lock, which stands for many files
MOST_FILES = 10_000  # subjects; the longest untouched go first, the good ones before the others


def prune_in_background(folder: Path, lock_of: Callable[[Path], Path | None]) -> None:
    """Prune at most once a day, in a thread: a run does not wait for it."""
    marker = folder / "pruned"
    with suppress(OSError, RuntimeError):  # RuntimeError: the interpreter ends
        if marker.exists() and abs(time.time() - marker.stat().st_mtime) < DAY:
            return
        marker.touch()
        threading.Thread(target=prune, args=(folder, lock_of), name="spark_pd-prune", daemon=True).start()


def prune(folder: Path, lock_of: Callable[[Path], Path | None], *, most: int = MOST_FILES, good_for: float = GOOD_FOR) -> None:
    """Forget what has been good for `good_for` seconds, and the oldest of more than `most` files. Never raises."""
    try:
        files = _files(folder / "incidents")
        for path, _ in files:
            if path.name.endswith(PART) and is_old(path):
                path.unlink(missing_ok=True)
        files = sorted((each for each in files if not each[0].name.endswith(PART)), key=lambda each: each[1])
        now = time.time()
        left = len(files)
        for path, at in files:
            if (now - at > good_for or left > most) and _remove(path, at, lock_of(path), only_good=True):
                left -= 1
        for path, at in files:
            if left <= most:
                break
            if _remove(path, at, lock_of(path), only_good=False):
                logger.warning("the state has more than %d files: the oldest was removed, though it was not good: %s", most, path.name)
                left -= 1
    except OSError as error:
        logger.debug("the state could not be pruned: %s", error)


def _files(folder: Path) -> list[tuple[Path, float]]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                found.append((Path(entry.path), entry.stat().st_mtime))
    return found


def _remove(path: Path, at: float, lock: Path | None, *, only_good: bool) -> bool:
    """Whether a file was removed: nobody holds it, nobody changed it meanwhile, and all in it is good where it has to be."""
    with suppress(OSError), nullcontext(True) if lock is None else locked(lock, until=time.monotonic() + PATIENCE) as mine:
        if mine and path.stat().st_mtime == at and (not only_good or _is_good(path)):
            path.unlink()
            return True
    return False


def _is_good(path: Path) -> bool:
    def good(memory: IncidentState) -> bool:
        return memory.open_since is None and not memory.failing and memory.bad_runs == 0

    try:
        return all(good(memory) for memory in decode(path.read_bytes()).values())
    except ValueError:
        return False
