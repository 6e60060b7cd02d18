"""What is remembered of one subject's incidents, as its file holds it: JSON with a checksum, so that half a file is never a whole one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

from spark_pd.delivery.outbox.checksummed_json import optional, seal, text, unseal
from spark_pd.model import Address, Outcome, Severity
from spark_pd.model.incident_state import IncidentState

VERSION = 1


def encode(memories: Mapping[str, IncidentState]) -> bytes:
    """The memories as their file holds them."""
    return seal("state", {"version": VERSION, "incidents": {key: _fields(memory) for key, memory in memories.items()}})


def decode(data: bytes) -> dict[str, IncidentState]:
    """What `encode` wrote, by dedup key. Raises ValueError for everything else, OtherVersion for what another version wrote."""
    return unseal("state", data, version=VERSION, read=_memories)


def _memories(content: Mapping[str, Any]) -> dict[str, IncidentState]:
    return {key: _memory(key, fields) for key, fields in content["incidents"].items()}


def _fields(memory: IncidentState) -> dict[str, Any]:
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
        **({"sent_to": [[a.channel, a.endpoint, a.reference, a.fingerprint] for a in memory.sent_to]} if memory.sent_to else {}),
    }


def _memory(key: str, fields: Mapping[str, Any]) -> IncidentState:
    if fields["outcome"] not in get_args(Outcome) or fields["severity"] not in (None, *get_args(Severity)):
        raise ValueError
    return IncidentState(
        dedup_key=key,
        outcome=fields["outcome"],
        run_started_at=_time(fields["run_started_at"]),
        bad_runs=_count(fields["bad_runs"]),
        unknown_runs=_count(fields["unknown_runs"]),
        failing=_names(fields["failing"]),
        rules_source=optional(fields["rules_source"]),
        absent=_names(fields["absent"]),
        open_since=_time(fields["open_since"]),
        paged_at=_time(fields["paged_at"]),
        severity=fields["severity"],
        told=_names(fields["told"]),
        resolved_at=_time(fields["resolved_at"]),
        own=_names(fields.get("own", [])),
        sent_to=tuple(_address(each) for each in fields.get("sent_to", [])),
    )


def _told(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    at = datetime.fromisoformat(text(value))
    if at.utcoffset() is None:
        raise ValueError
    return at


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError
    return value


def _address(value: object) -> Address:
    if not isinstance(value, list):
        raise TypeError
    channel, endpoint, reference, fingerprint = value
    return Address(channel=text(channel), endpoint=text(endpoint), reference=optional(reference), fingerprint=optional(fingerprint))


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(text(each) for each in value)
