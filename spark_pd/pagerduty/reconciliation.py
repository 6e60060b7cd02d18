"""What became of an alert that PagerDuty accepted: 202 says that it came, not that anybody is told of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from spark_pd.model import Secret
from spark_pd.pagerduty.directory import Directory, Service, Unanswered

OFF = ("disabled", "maintenance")
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds between looks for the incident: PagerDuty makes it some time after its 202
_SLACK = timedelta(minutes=5)  # between this machine's clock and PagerDuty's
NOT_KNOWN = "whether PagerDuty opened an incident is not known"


def missing(service: Service | None, maintenance_end: str | None) -> str:
    """Why an accepted alert has no incident, as far as its service tells."""
    if service is None:
        return "PagerDuty has no incident for it, and no service with its integration key that the REST token may see"
    if service.status == "disabled":
        return f"PagerDuty's service {service.name!r} is disabled, so nobody is told of it"
    if service.status == "maintenance":
        end = f" until {maintenance_end}" if maintenance_end else ""
        return f"PagerDuty's service {service.name!r} is in maintenance{end}, so nobody is told of it"
    return f"PagerDuty's service {service.name!r} has no incident for it: an event rule may suppress it"


def reconcile(directory: Directory, key: Callable[[], Secret], dedup_key: str, at: datetime, *, until: float) -> str | None:
    """What is wrong with an alert of the time `at` that was accepted, in one sentence; None where it has an incident.

    It looks until `until` (time.monotonic's clock) at the longest. What was opened and closed again meanwhile, as by the run's end, is
    an incident too.
    """
    since = at - _SLACK
    try:
        service = directory.service_of(_known(key), until=until)
        is_off = service is not None and service.status in OFF
        for pause in (*_PAUSES, None):
            if directory.has_incident(dedup_key, since, until=until):
                return None
            if is_off or pause is None or time.monotonic() + pause >= until:
                break
            time.sleep(pause)
        end = directory.maintenance_end(service, until=until) if service is not None and service.status == "maintenance" else None
    except Unanswered as error:
        return f"{NOT_KNOWN}: {error}"
    return missing(service, end)


def _known(key: Callable[[], Secret]) -> Secret:
    try:
        return key()
    except Exception as error:  # its text may hold the key
        problem = type(error).__qualname__
    raise Unanswered(f"the integration key could not be had ({problem})")


def state_of(directory: Directory, key: Callable[[], Secret], *, until: float) -> tuple[bool, str]:
    """Whether the service that a key belongs to opens incidents, and a sentence that says so."""
    try:
        service = directory.service_of(_known(key), until=until)
        if service is None:
            return False, "No service that the REST token may see has this key"
        if service.status not in OFF:
            return True, f"The key belongs to the service {service.name!r}, which is {service.status}"
        end = directory.maintenance_end(service, until=until) if service.status == "maintenance" else None
    except Unanswered as error:
        return False, f"Which service the key belongs to is not known: {error}"
    return False, missing(service, end)
