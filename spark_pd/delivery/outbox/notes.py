"""What is known of an alert beside its file, which never changes: why it waits or died, and the key's fingerprint where that came later."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from spark_pd.delivery.outbox.atomic_files import write_whole
from spark_pd.delivery.outbox.cleanup import is_old
from spark_pd.delivery.outbox.entry import Entry, EntryState, parse_name


class Notes:
    """The notes in a folder. One that is lost costs nothing but words."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def noted(self, entry: Entry) -> Entry:
        """The entry, with what its note says."""
        note: Any = None
        with suppress(OSError, ValueError, RecursionError):
            note = json.loads(self._path(entry).read_bytes())
        if not isinstance(note, dict) or not isinstance(note.get("reason"), str):
            return entry
        found, address = note.get("fingerprint"), entry.address
        if isinstance(found, str):
            address = replace(address, fingerprint=found)
        return replace(entry, reason=note["reason"], address=address, revived=note.get("revived") is True)

    def write(self, entry: Entry, reason: str, fingerprint: str | None) -> None:
        """Have the entry's note say this. Raises OSError."""
        known = fingerprint or entry.address.fingerprint
        data = json.dumps({"reason": reason, "fingerprint": known, "revived": entry.revived, "at": time.time()}).encode("ascii")
        write_whole(self._path(entry), data, aside=f".{uuid.uuid4().hex[:8]}")

    def forget(self, entry: Entry) -> None:
        """Remove what was noted of the entry, in whichever state."""
        with suppress(OSError):
            for state in get_args(EntryState):
                self._path(replace(entry, state=state)).unlink(missing_ok=True)

    def sweep(self, *homes: Path) -> None:
        """Remove notes of alerts that are in none of these folders any more: who wrote them was killed, or was late."""
        with suppress(OSError):
            files = list(self.folder.iterdir())
            known = (
                {name.id for home in homes for path in home.iterdir() if (name := parse_name(path.name)) is not None} if files else set()
            )
            for path in files:
                if path.name.lstrip(".").partition(".")[0] not in known and is_old(path):
                    path.unlink(missing_ok=True)

    def _path(self, entry: Entry) -> Path:
        # A dead letter has one of its own: who tried it when it was buried is not to write over the reason.
        return self.folder / f"{entry.id}{'.dead' if entry.state == 'dead' else ''}.json"
