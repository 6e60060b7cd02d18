"""Damage to an outbox's files, as a bad disk, another program or another version would do it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
import uuid
from pathlib import Path
from typing import Any, TypeAlias

Harmed: TypeAlias = "tuple[str, str, str]"
"""An alert that was on the disk and cannot be read any more: its run, its trigger and its state."""

_LONG_AGO = 120.0  # seconds; what is half written for so long is taken for left behind


def corrupt(kind: str, outbox: Path, rng: random.Random) -> Harmed | None:
    """Do that to one file of the outbox. The alert that it costs, where it costs one."""
    queue = outbox / "queue"
    if not queue.is_dir():
        return None
    whole = [path for path in sorted(queue.glob("[0-9]*.json")) if path.is_file() and _entry(path) is not None]
    victim = rng.choice(whole) if whole else None
    if kind in ("truncated", "renamed", "half copy", "bad note") and victim is None:
        kind = "garbage"
    if kind == "truncated" and victim is not None:
        harmed = _harmed(victim)
        os.truncate(victim, rng.randrange(victim.stat().st_size - 1))
        return harmed
    if kind == "renamed" and victim is not None:
        harmed = _harmed(victim)
        victim.rename(queue / _name(rng))
        return harmed
    if kind == "half copy" and victim is not None:
        (queue / _name(rng)).write_bytes(victim.read_bytes()[: victim.stat().st_size // 2])
    elif kind == "bad note" and victim is not None:
        (outbox / "notes").mkdir(exist_ok=True)
        (outbox / "notes" / f"{_id(victim)}.json").write_bytes(rng.choice((b"", b"[]", b"{", b'{"reason": 3}', bytes(range(256)))))
    elif kind == "other version":
        body = json.dumps({"version": 99, "what": "later"}, sort_keys=True, separators=(",", ":"))
        later = {"sha256": hashlib.sha256(body.encode()).hexdigest(), "entry": json.loads(body)}
        (queue / _name(rng)).write_text(json.dumps(later), encoding="utf-8")
    elif kind == "foreign":
        for place in ("queue", "dead", "notes", "corrupt", "."):
            (outbox / place).mkdir(exist_ok=True)  # who was killed may not have come that far
            (outbox / place / rng.choice((".DS_Store", "README", "x.json", ".nfs000001"))).write_bytes(b"not ours")
    elif kind == "leftover":
        part = queue / f".{_name(rng)}.part"
        part.write_bytes(b'{"sha256": "')
        age(part)
    elif kind == "folder":
        (queue / _name(rng)).mkdir()
    else:
        (queue / _name(rng)).write_bytes(rng.choice((b"", b"\0" * 512, b"{}", b"[1]", rng.randbytes(200), b'{"sha256":"x","entry":{}}')))
    return None


def age(path: Path) -> None:
    """Have a file look as if it was written long ago."""
    then = time.time() - _LONG_AGO
    os.utime(path, (then, then))


def is_expected_to_stay(path: Path) -> bool:
    """Whether a file in the queue is none of ours to send or to remove: a folder, a foreign file, another version's."""
    if path.is_dir() or not path.name[:20].isdecimal():
        return True
    entry = _entry(path)
    return entry is not None and entry.get("version") == 99


def _entry(path: Path) -> dict[str, Any] | None:
    try:
        entry = json.loads(path.read_bytes())["entry"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return entry if isinstance(entry, dict) and "version" in entry else None


def _harmed(path: Path) -> Harmed | None:
    alert = (_entry(path) or {}).get("alert")
    return None if alert is None else (alert["source"], alert["trigger"], alert["state"])


def _id(path: Path) -> str:
    return path.stem.rpartition("-")[2]


def _name(rng: random.Random) -> str:
    line = hashlib.sha256(rng.randbytes(8)).hexdigest()[:16]
    return f"{int((time.time() + rng.uniform(-60, 60)) * 1e9):020d}-{line}-{uuid.UUID(int=rng.getrandbits(128)).hex[:12]}.json"
