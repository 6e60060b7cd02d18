"""What becomes of accepted events: one PagerDuty account with its services and incidents. Pure: no HTTP.

One service has one Events API v2 integration, whose key decides where an event goes. A dedup key is one open incident of one service:
a trigger opens it or updates it, after its resolve a trigger opens a new one, and what finds none open is dropped.
"""

from __future__ import annotations

import copy
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Literal, TypeAlias

from spark_pd.model import Severity
from spark_pd.sandbox.limits import RollingLimit

IncidentStatus: TypeAlias = Literal["triggered", "acknowledged", "resolved"]
ServiceStatus: TypeAlias = Literal["active", "warning", "critical", "maintenance", "disabled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service with its one integration. The ids have the shape of PagerDuty's."""

    id: str
    name: str
    integration_id: str
    key: str
    created_at: datetime

    def __repr__(self) -> str:
        return f"Service(id={self.id!r}, name={self.name!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceWindow:
    """A time in which a service opens no incidents."""

    id: str
    number: int
    service: Service
    start: datetime
    end: datetime
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An incident as it stood when it was asked for. All but the status, the times and the count are from its last trigger."""

    id: str
    number: int
    service: str
    status: IncidentStatus
    severity: Severity
    summary: str
    dedup_key: str
    source: str
    component: str | None
    group: str | None
    class_: str | None
    timestamp: str | None
    details: Mapping[str, Any]
    """The trigger's custom_details; empty where it had none."""
    client: str | None
    client_url: str | None
    links: tuple[Mapping[str, Any], ...]
    images: tuple[Mapping[str, Any], ...]
    trigger_count: int
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to do something about it: triggered or acknowledged."""
        return self.status != "resolved"


def _from_trigger(event: Mapping[str, Any]) -> dict[str, Any]:
    payload = copy.deepcopy(event["payload"])
    return {
        "severity": payload["severity"],
        "summary": payload["summary"],
        "source": payload["source"],
        "component": payload.get("component"),
        "group": payload.get("group"),
        "class_": payload.get("class"),
        "timestamp": payload.get("timestamp"),
        "details": payload.get("custom_details", {}),
        "client": event.get("client"),
        "client_url": event.get("client_url"),
        "links": tuple(copy.deepcopy(event.get("links", []))),
        "images": tuple(copy.deepcopy(event.get("images", []))),
    }


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


class Account:
    """The services, the events that were accepted and the incidents they made. All methods may be called from any thread.

    `services` maps names to integration keys. `rate_limit` is the number of events each key takes in any 60 seconds of `clock`;
    None: no limit.
    """

    def __init__(
        self,
        services: Mapping[str, str],
        *,
        rate_limit: int | None = None,
        now: Callable[[], datetime] = _utc_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._clock = clock
        self._rate_limit = rate_limit
        self._lock = threading.RLock()
        created_at = now()
        self.services: tuple[Service, ...] = tuple(
            Service(id=f"PSBX{n:04d}", name=name, integration_id=f"PINT{n:04d}", key=key, created_at=created_at)
            for n, (name, key) in enumerate(services.items(), 1)
        )
        self._by_key = {service.key: service for service in self.services}
        self.reset()

    def reset(self) -> None:
        """Forget every event, change, incident and maintenance window, and what counted against the limits. Services and keys stay."""
        with self._lock:
            self._events: list[dict[str, Any]] = []
            self._changes: list[dict[str, Any]] = []
            self._incidents: list[Incident] = []
            self._open: dict[tuple[str, str], int] = {}
            self._disabled: set[str] = set()
            self._windows: list[MaintenanceWindow] = []
            self._limits = {key: RollingLimit(self._rate_limit, clock=self._clock) for key in self._by_key}

    def switch(self, service: Service, *, on: bool) -> None:
        """Enable or disable a service."""
        with self._lock:
            (self._disabled.discard if on else self._disabled.add)(service.id)

    def maintain(self, service: Service, start: datetime, end: datetime, description: str) -> None:
        """Plan a maintenance window for a service."""
        with self._lock:
            number = len(self._windows) + 1
            self._windows.append(
                MaintenanceWindow(id=f"PWIN{number:04d}", number=number, service=service, start=start, end=end, description=description)
            )

    def now(self) -> datetime:
        """The account's clock."""
        return self._now()

    def maintenance_windows(self) -> list[MaintenanceWindow]:
        """All maintenance windows, past and future ones too."""
        with self._lock:
            return list(self._windows)

    def status_of(self, service: Service) -> ServiceStatus:
        """How a service is, in the words of the REST API: "status" of a service."""
        with self._lock:
            now = self._now()
            if service.id in self._disabled:
                return "disabled"
            if any(window.service == service and window.start <= now < window.end for window in self._windows):
                return "maintenance"
            statuses = {incident.status for incident in self._incidents if incident.service == service.name}
            return "critical" if "triggered" in statuses else "warning" if "acknowledged" in statuses else "active"

    def knows(self, key: str) -> bool:
        """Whether an integration has this key."""
        return key in self._by_key

    def throttled(self, key: str) -> float | None:
        """Count one event against the key's limit: None where it may pass, else the seconds after which one may."""
        with self._lock:
            return self._limits[key].take()

    def accept(self, event: Mapping[str, Any]) -> str:
        """Take in an event that is valid and whose key is known. Gives its dedup key, made up where a trigger has none."""
        with self._lock:
            self._events.append(copy.deepcopy(dict(event)))
            service = self._by_key[event["routing_key"]]
            given = event.get("dedup_key", "")
            dedup_key: str = given if given.strip() else uuid.uuid4().hex
            position = self._open.get((service.id, dedup_key))
            if event["event_action"] == "trigger":
                self._trigger(service, dedup_key, position, event)
            elif position is not None:
                self._settle(service, position, event["event_action"])
            return dedup_key

    def accept_change(self, event: Mapping[str, Any]) -> None:
        """Take in a change event that is valid and whose key is known."""
        with self._lock:
            self._changes.append(copy.deepcopy(dict(event)))

    def events(self) -> list[dict[str, Any]]:
        """The events that were accepted, as they came, oldest first."""
        with self._lock:
            return copy.deepcopy(self._events)

    def changes(self) -> list[dict[str, Any]]:
        """The change events that were accepted, as they came, oldest first."""
        with self._lock:
            return copy.deepcopy(self._changes)

    def incidents(self) -> list[Incident]:
        """All incidents, oldest first."""
        with self._lock:
            return copy.deepcopy(self._incidents)

    def _trigger(self, service: Service, dedup_key: str, position: int | None, event: Mapping[str, Any]) -> None:
        now = self._now()
        if position is not None:
            incident = self._incidents[position]
            # An acknowledged incident stays acknowledged: more of the same wakes nobody again.
            self._incidents[position] = replace(incident, trigger_count=incident.trigger_count + 1, updated_at=now, **_from_trigger(event))
            return
        if self.status_of(service) in ("disabled", "maintenance"):
            return  # the event was accepted, and that is all that becomes of it
        number = len(self._incidents) + 1
        self._open[(service.id, dedup_key)] = number - 1
        self._incidents.append(
            Incident(
                id=f"QSANDBOX{number:06d}",
                number=number,
                service=service.name,
                status="triggered",
                dedup_key=dedup_key,
                trigger_count=1,
                created_at=now,
                updated_at=now,
                **_from_trigger(event),
            )
        )

    def _settle(self, service: Service, position: int, action: str) -> None:
        now, incident = self._now(), self._incidents[position]
        if action == "acknowledge":
            self._incidents[position] = replace(incident, status="acknowledged", updated_at=now)
            return
        self._incidents[position] = replace(incident, status="resolved", updated_at=now, resolved_at=now)
        del self._open[(service.id, incident.dedup_key)]
