"""A small JSON object that the processes of one outbox share: read, changed and written under its lock."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spark_pd.delivery.outbox.atomic_files import locked, write_whole

_BROKEN = 60.0  # seconds for which a file that could not be written is not asked again: what it says is old
_PATIENCE = 1.0  # seconds that a lock is waited for: it is held for less than one of them in a thousand


class Shared:
    """The object in the file at `path`. With `path` None, and wherever the file cannot be had, it is this process's own.

    It is for what a crash may forget, such as a rate: nothing is flushed, and what is not whole counts as empty.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._own: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._broken_until = 0.0  # on time.monotonic's clock

    @contextmanager
    def changing(self) -> Iterator[dict[str, Any]]:
        """The object, to be changed in place while nobody else does. Never raises by itself."""
        with self._lock:
            if self._path is None or time.monotonic() < self._broken_until:
                yield self._own
                return
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError:
                yield self._own
                return
            with locked(self._path.with_suffix(".lock"), until=time.monotonic() + _PATIENCE) as mine:
                before = _read(self._path) if mine else None
                if before is None:
                    yield self._own
                    return
                fields = _fields(before)
                yield fields
                after = json.dumps(fields).encode("ascii")
                if after != before and not _write(self._path, after):
                    self._own, self._broken_until = fields, time.monotonic() + _BROKEN


def _read(path: Path) -> bytes | None:
    """What the file holds; nothing where there is none, None where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError:
        return None


def _fields(text: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _write(path: Path, text: bytes) -> bool:
    try:
        write_whole(path, text, durable=False)
    except OSError:
        return False
    return True
