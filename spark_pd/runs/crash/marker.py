"""The marker of an open run: what another process needs to report the run if its process dies. It holds no key."""

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
    """Seconds between two updates of its time; 0 where there are none."""
    process: Process
    address: Address
    others: tuple[Address, ...] = ()
    """More channels that the alert of its death goes to."""
    attempt: str | None = None
    """Which attempt of its job it is, in words; None where that is not known."""

    @property
    def dedup_key(self) -> str:
        """Of the incident that its failure is."""
        return self.subject.dedup_key(TRIGGER)

    @property
    def name(self) -> str:
        """Its file's name, which begins with what runs of one subject have in common."""
        return f"{subject_digest(self.subject)}-{self.run_id}.json"


def subject_digest(subject: Subject) -> str:
    """16 hex digits with which the names of all markers of one subject begin."""
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
            others=tuple(Address(**_texts(each)) for each in fields.get("others", [])),
            attempt=optional(fields.get("attempt")),
        )
        if not isinstance(marker.process.pid, int) or not isinstance(marker.run_id, str) or marker.started_at.tzinfo is None:
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError("it is no open run's marker, or of another version of spark_pd") from None
    return marker


def death_alert(marker: Marker, how: str, *, at: datetime) -> Alert:
    """The alert that a run's process died before the run had its verdict; `how` says how that is known."""
    subject = marker.subject
    return failure_alert(
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


def failure_alert(
    subject: Subject, state: Any, *, severity: Severity, application: str, what: str, details: Mapping[str, Any], at: datetime
) -> Alert:
    """An alert of the trigger failure for a run or a job that ended without one."""
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
