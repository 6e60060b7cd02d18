"""The objects of PagerDuty's REST API as JSON: https://developer.pagerduty.com/api-reference."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import request

from spark_pd.sandbox.incidents import Incident, MaintenanceWindow, Service, ServiceStatus


def _reference(path: str, kind: str, identity: str, summary: str) -> dict[str, Any]:
    url = f"{request.host_url}{path}/{identity}"
    return {"id": identity, "type": kind, "summary": summary, "self": url, "html_url": url}


def service_object(service: Service, status: ServiceStatus) -> dict[str, Any]:
    """A service; with its integrations, and so its key, where `include[]` asks for them."""
    # Without include[]=integrations a service holds references only, and no key.
    if "integrations" in request.args.getlist("include[]"):
        integrations = [integration_object(service)]
    else:
        path, kind = f"services/{service.id}/integrations", "events_api_v2_inbound_integration_reference"
        integrations = [_reference(path, kind, service.integration_id, "Events API V2")]
    return {
        **_reference("services", "service", service.id, service.name),
        "name": service.name,
        "description": None,
        "created_at": _time(service.created_at),
        "status": status,
        "integrations": integrations,
        "escalation_policy": policy_reference(service),
    }


def policy_reference(service: Service) -> dict[str, Any]:
    """The escalation policy of a service: each has its own."""
    return _reference("escalation_policies", "escalation_policy_reference", f"E{service.id[1:]}", f"{service.name}: escalation")


def oncall_object(service: Service) -> dict[str, Any]:
    """Who is on call first for a service: somebody of its own."""
    user = _reference("users", "user_reference", f"U{service.id[1:]}", f"On call of {service.name}")
    return {
        "escalation_policy": policy_reference(service),
        "escalation_level": 1,
        "schedule": None,
        "user": user,
        "start": None,
        "end": None,
    }


def integration_object(service: Service) -> dict[str, Any]:
    """The integration of a service, with its key."""
    path, kind = f"services/{service.id}/integrations", "events_api_v2_inbound_integration"
    return {
        **_reference(path, kind, service.integration_id, "Events API V2"),
        "name": "Events API V2",
        "created_at": _time(service.created_at),
        "service": _reference("services", "service_reference", service.id, service.name),
        "integration_key": service.key,
        "vendor": None,
    }


def incident_object(incident: Incident, service_id: str) -> dict[str, Any]:
    """An incident."""
    return {
        **_reference("incidents", "incident", incident.id, f"[#{incident.number}] {incident.summary}"),
        "incident_number": incident.number,
        "title": incident.summary,
        "status": incident.status,
        "incident_key": incident.dedup_key,
        "urgency": "high" if incident.severity in ("critical", "error") else "low",
        "created_at": _time(incident.created_at),
        "updated_at": _time(incident.updated_at),
        "resolved_at": _time(incident.resolved_at) if incident.resolved_at else None,
        "service": _reference("services", "service_reference", service_id, incident.service),
    }


def window_object(window: MaintenanceWindow) -> dict[str, Any]:
    """A maintenance window."""
    return {
        **_reference("maintenance_windows", "maintenance_window", window.id, window.description),
        "sequence_number": window.number,
        "start_time": _time(window.start),
        "end_time": _time(window.end),
        "description": window.description,
        "services": [_reference("services", "service_reference", window.service.id, window.service.name)],
    }


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
