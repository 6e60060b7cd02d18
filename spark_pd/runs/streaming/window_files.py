"""Keeps the windows of streams over restarts: in this process, and beside the outbox where there is one.

One small file for each stream. Where it cannot be read, the window starts empty: that opens no incident, and a good batch closes one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from spark_pd.checks.counts import Counts
from spark_pd.delivery.outbox.atomic_files import write_whole
from spark_pd.runs.streaming.batch_window import Batch, BatchWindow

logger = logging.getLogger("spark_pd.streaming")

VERSION = 1
KEPT = 90 * 86_400.0
"""Seconds after which the window of a stream that no longer runs is removed."""


class WindowFiles:
    """The windows of one monitor's streams. No method raises.

    folder: None where nothing is kept on disk. place: where alerts go; monitors with other places do not share windows in one folder.
    """

    def __init__(self, folder: Path | None, place: Callable[[], str] = str) -> None:
        self._folder = folder
        self._place = place
        self._windows: dict[str, BatchWindow] = {}
        self._warned = False

    def load(self, stream: str, rules: str) -> BatchWindow:
        """The stream's window; an empty one where other rules counted it."""
        window = self._windows.get(stream) or self._read(stream)
        return window if window is not None and window.rules == rules else BatchWindow(rules)

    def save(self, stream: str, window: BatchWindow) -> None:
        """Keep it."""
        self._windows[stream] = window
        if self._folder is None:
            return
        file = self._file(stream)
        try:
            if not file.exists():
                self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._folder.mkdir(exist_ok=True)
                self._prune()
            # Without fsync: after a power cut the window may start empty.
            write_whole(file, json.dumps(_encoded(window)).encode(), durable=False)
        except OSError as error:
            self._warn(f"the last batches of a stream cannot be kept: {type(error).__name__}")

    def _read(self, stream: str) -> BatchWindow | None:
        if self._folder is None:
            return None
        try:
            return _decoded(json.loads(self._file(stream).read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            self._warn(f"the last batches of a stream cannot be read, so its window starts empty: {type(error).__name__}")
            return None

    def _file(self, stream: str) -> Path:
        assert self._folder is not None
        digest = hashlib.sha256(f"{self._place()}\0{stream}".encode("utf-8", "surrogatepass")).hexdigest()
        return self._folder / f"{digest[:32]}.json"

    def _prune(self) -> None:
        assert self._folder is not None
        for file in self._folder.iterdir():
            with suppress(OSError):
                if time.time() - file.stat().st_mtime > KEPT:
                    file.unlink()

    def _warn(self, what: str) -> None:
        if not self._warned:
            self._warned = True
            logger.warning("%s", what)


def _encoded(window: BatchWindow) -> dict[str, Any]:
    return {
        "version": VERSION,
        "rules": window.rules,
        "batches": [
            [b.query_id, b.batch_id, b.at.isoformat(), b.seconds, b.counts.rows, b.counts.failed, b.counts.dropped, list(b.counts.rules)]
            for b in window.batches
            if b.counts is not None
        ],
    }


def _decoded(found: Any) -> BatchWindow:
    if found["version"] != VERSION:
        raise ValueError("another version of spark_pd wrote it")
    batches = [
        Batch(
            query_id=str(query_id),
            batch_id=int(batch_id),
            at=datetime.fromisoformat(at),
            seconds=float(seconds),
            counts=Counts(int(rows), int(failed), int(dropped), tuple(int(n) for n in rules)),
        )
        for query_id, batch_id, at, seconds, rows, failed, dropped, rules in found["batches"]
    ]
    return BatchWindow(str(found["rules"]), tuple(batches))
