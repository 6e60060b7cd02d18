"""What is remembered of one subject's incidents, as its file holds it: JSON with a checksum, so that half a file is never a whole one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

from spark_pd.memory import Memory
from spark_pd.model import Outcome, Severity

VERSION = 1


class OtherVersion(ValueError):
    """A file that is whole, and not for us to read or change."""


def encode(memories: Mapping[str, Memory]) -> bytes:
    """The memories as their file holds them."""
    content = {"version": VERSION, "incidents": {key: _fields(memory) for key, memory in memories.items()}}
    return _json({"sha256": _digest(content), "state": content}).encode("ascii") + b"\n"


def decode(data: bytes) -> dict[str, Memory]:
    """What `encode` wrote, by dedup key. Raises ValueError for everything else, OtherVersion for what another version wrote."""
    try:
        outer = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is no whole JSON") from None
    if not isinstance(outer, dict) or not isinstance(outer.get("state"), dict):
        raise ValueError("it is JSON of another shape")
    content: dict[str, Any] = outer["state"]
    if outer.get("sha256") != _digest(content):
        raise ValueError("its checksum is not that of its content")
    if content.get("version") != VERSION:
        raise OtherVersion("another version of spark_pd wrote it")
    try:
        return {key: _memory(key, fields) for key, fields in content["incidents"].items()}
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ValueError(f"a field is missing or of another kind ({type(error).__name__})") from None


def _fields(memory: Memory) -> dict[str, Any]:
    return {
        "outcome": memory.outcome,
        "run_started_at": _told(memory.run_started_at),
        "bad_runs": memory.bad_runs,
        "unknown_runs": memory.unknown_runs,
        "failing": list(memory.failing),
        "rules_source": memory.rules_source,
        "absent": list(memory.absent),
        "open_since": _told(memory.open_since),
        "paged_at": _told(memory.paged_at),
        "severity": memory.severity,
        "told": list(memory.told),
        "resolved_at": _told(memory.resolved_at),
        "own": list(memory.own),
    }


def _memory(key: str, fields: Mapping[str, Any]) -> Memory:
    if fields["outcome"] not in get_args(Outcome) or fields["severity"] not in (None, *get_args(Severity)):
        raise ValueError
    return Memory(
        dedup_key=key,
        outcome=fields["outcome"],
        run_started_at=_time(fields["run_started_at"]),
        bad_runs=_count(fields["bad_runs"]),
        unknown_runs=_count(fields["unknown_runs"]),
        failing=_names(fields["failing"]),
        rules_source=None if fields["rules_source"] is None else _text(fields["rules_source"]),
        absent=_names(fields["absent"]),
        open_since=_time(fields["open_since"]),
        paged_at=_time(fields["paged_at"]),
        severity=fields["severity"],
        told=_names(fields["told"]),
        resolved_at=_time(fields["resolved_at"]),
        own=_names(fields.get("own", [])),
    )


def _told(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    at = datetime.fromisoformat(_text(value))
    if at.utcoffset() is None:
        raise ValueError
    return at


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError
    return value


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(each) for each in value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _json(value: object) -> str:
    # ASCII alone: a lone surrogate in a name comes back as it was.
    return json.dumps(value, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"))


def _digest(content: object) -> str:
    return hashlib.sha256(_json(content).encode("ascii")).hexdigest()
