"""What an open run leaves on disk, so that others can tell of it should its process die. It holds no key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, get_args

from spark_pd.delivery.outbox.checksummed_json import optional
from spark_pd.model import Address, Alert, Severity, Subject
from spark_pd.runs.crash.process_identity import Process

VERSION = 1
TRIGGER = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """An open run: what its incident would be, where its alerts go, and the process that holds it open."""

    run_id: str
    subject: Subject
    severity: Severity
    application: str
    application_id: str | None = None
    started_at: datetime
    heartbeat: float
    """Seconds between two signs of life; 0 where it gives none."""
    process: Process
    address: Address
    attempt: str | None = None
    """Which try of its job it is, in words; None where nobody tells."""

    @property
    def dedup_key(self) -> str:
        """Of the incident that its failure is."""
        return self.subject.dedup_key(TRIGGER)

    @property
    def name(self) -> str:
        """Its file's name, which begins with what runs of one subject have in common."""
        return f"{line_of(self.subject)}-{self.run_id}.json"


def line_of(subject: Subject) -> str:
    """What the markers of one subject have in common: 16 hex digits."""
    return hashlib.sha256(subject.dedup_key(TRIGGER).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def encode(marker: Marker) -> bytes:
    """The marker as its file holds it."""
    fields = asdict(marker) | {"version": VERSION, "dedup_key": marker.dedup_key, "started_at": marker.started_at.isoformat()}
    return json.dumps(fields, ensure_ascii=True, sort_keys=True).encode("ascii") + b"\n"


def decode(data: bytes) -> Marker:
    """The marker that `encode` wrote. Raises ValueError for everything else."""
    try:
        fields: Any = json.loads(data)
        if fields["version"] != VERSION or fields["severity"] not in get_args(Severity):
            raise ValueError
        marker = Marker(
            run_id=fields["run_id"],
            subject=Subject(**_texts(fields["subject"])),
            severity=fields["severity"],
            application=fields["application"],
            application_id=fields["application_id"],
            started_at=datetime.fromisoformat(fields["started_at"]),
            heartbeat=float(fields["heartbeat"]),
            process=Process(**fields["process"]),
            address=Address(**_texts(fields["address"])),
            attempt=optional(fields.get("attempt")),
        )
        if not isinstance(marker.process.pid, int) or not isinstance(marker.run_id, str) or marker.started_at.tzinfo is None:
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError("it is no open run's marker, or of another version of spark_pd") from None
    return marker


def died(marker: Marker, how: str, *, at: datetime) -> Alert:
    """The alert that a run's process died before the run had its verdict; `how` says how that is known."""
    subject = marker.subject
    return failure(
        subject,
        "firing",
        severity=marker.severity,
        application=marker.application,
        what=f"failed{f' ({marker.attempt})' if marker.attempt else ''}: {how}",
        details={
            "reason": how,
            "run_id": marker.run_id,
            "application_id": marker.application_id,
            "attempt": marker.attempt,
            "started_at": marker.started_at,
            "host": marker.process.host,
            "pid": marker.process.pid,
        },
        at=at,
    )


def failure(
    subject: Subject, state: Any, *, severity: Severity, application: str, what: str, details: Mapping[str, Any], at: datetime
) -> Alert:
    """An alert of the trigger failure that no run of this process gave."""
    known = {
        "trigger": TRIGGER,
        "table": subject.table,
        "product_id": subject.product_id,
        "environment": subject.environment,
        "scope": subject.scope,
        "job": subject.job,
        "status": "errored" if state == "firing" else "passed",
        "application": application,
        **details,
    }
    return Alert(
        trigger=TRIGGER,
        state=state,
        severity=severity,
        summary=f"{subject.title} {what}",
        details={name: value for name, value in known.items() if value is not None},
        dedup_key=subject.dedup_key(TRIGGER),
        source=application,
        component=subject.table,
        group=subject.product_id,
        at=at,
    )


def _texts(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: optional(value) for name, value in fields.items()}
