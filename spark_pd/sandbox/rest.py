"""Enough of PagerDuty's REST API to list services, their integration keys, incidents and maintenance windows."""

from __future__ import annotations

import hmac
import math
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any, TypeVar

from flask import Blueprint, jsonify, request
from werkzeug.wrappers import Response

from spark_pd.sandbox.incidents import Account, MaintenanceWindow, Service
from spark_pd.sandbox.limits import RollingLimit
from spark_pd.sandbox.rest_objects import (
    incident_object,
    integration_object,
    oncall_object,
    policy_reference,
    service_object,
    window_object,
)

RATE_LIMIT = 960  # requests a minute for one token; REST API, "Rate limits"
LIMIT_DEFAULT, LIMIT_MAX, OFFSET_MAX = 25, 100, 10_000  # REST API, "Pagination": offset + limit may not exceed 10,000
STATUSES = ("triggered", "acknowledged", "resolved")
FILTERS = ("past", "future", "ongoing", "open", "all")
_ACCEPTED = ("*/*", "application/*", "application/json", "application/vnd.pagerduty+json", "application/vnd.pagerduty+json;version=2")

_T = TypeVar("_T")


class _Refused(Exception):
    """A request that the REST API refuses; the error handler makes the answer."""

    def __init__(self, status: int, code: int, message: str, errors: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message, "errors": list(errors)}}


def make_blueprint(account: Account, token: str) -> Blueprint:
    """The REST API's paths in front of an account. Every one needs `Authorization: Token token=...`."""
    api = Blueprint("rest", __name__)
    limit, lock = RollingLimit(RATE_LIMIT), threading.Lock()

    @api.before_request
    def admit() -> None:
        """Let nobody in without the token, a format that there is, and room below the limit."""
        _authorize(token)
        _negotiate()
        with lock:
            wait = limit.take()
        if wait is not None:
            raise _Refused(429, 2020, "Rate Limit Exceeded")

    @api.after_request
    def report_the_limit(answer: Response) -> Response:
        """Tell in the headers how much of the limit is left."""
        with lock:
            remaining, reset = limit.remaining(), limit.reset_in()
        answer.headers["ratelimit-limit"] = str(RATE_LIMIT)
        answer.headers["ratelimit-remaining"] = str(remaining)
        answer.headers["ratelimit-reset"] = str(math.ceil(reset))
        return answer

    @api.errorhandler(_Refused)
    def refused(error: _Refused) -> tuple[Response, int]:
        """The answer to what was refused."""
        return jsonify(error.body), error.status

    _add_services(api, account)
    _add_oncalls(api, account)
    _add_incidents(api, account)
    _add_maintenance_windows(api, account)

    @api.get("/abilities")
    def abilities() -> Response:
        """What the account can do."""
        return jsonify(abilities=["event_rules", "urgencies"])

    return api


def _add_services(api: Blueprint, account: Account) -> None:
    @api.get("/services")
    def services() -> Response:
        """The services, or those whose name holds the query."""
        query = request.args.get("query", "").casefold()
        found = [service for service in account.services if query in service.name.casefold()]
        return _page("services", found, lambda service: service_object(service, account.status_of(service)))

    @api.get("/services/<service_id>")
    def service(service_id: str) -> Response:
        """One service."""
        found = _find(account, service_id)
        return jsonify(service=service_object(found, account.status_of(found)))

    @api.get("/services/<service_id>/integrations/<integration_id>")
    def integration(service_id: str, integration_id: str) -> Response:
        """One integration of a service, with its key."""
        service = _find(account, service_id)
        if integration_id != service.integration_id:
            raise _not_found()
        return jsonify(integration=integration_object(service))


def _add_oncalls(api: Blueprint, account: Account) -> None:
    @api.get("/oncalls")
    def oncalls() -> Response:
        """Who is on call, for all escalation policies or for these."""
        wanted = request.args.getlist("escalation_policy_ids[]")
        found = [each for each in account.services if not wanted or policy_reference(each)["id"] in wanted]
        return _page("oncalls", found, oncall_object)


def _add_incidents(api: Blueprint, account: Account) -> None:
    ids = {service.name: service.id for service in account.services}

    @api.get("/incidents")
    def incidents() -> Response:
        """The incidents with these statuses, this key, and of these services."""
        statuses = request.args.getlist("statuses[]") or STATUSES
        if unknown := sorted(set(statuses) - set(STATUSES)):
            raise _invalid(f"Statuses {unknown} must be one of {list(STATUSES)}")
        if request.args.get("date_range", "all") != "all":
            raise _invalid("Date range must be all, or left out")
        since = _moment("since") if "since" in request.args and "date_range" not in request.args else None
        key, services = request.args.get("incident_key"), request.args.getlist("service_ids[]")
        found = [
            incident
            for incident in account.incidents()
            if incident.status in statuses
            and key in (None, incident.dedup_key)
            and (not services or ids[incident.service] in services)
            and (since is None or incident.created_at >= since)
        ]
        return _page("incidents", found, lambda incident: incident_object(incident, ids[incident.service]))

    @api.get("/incidents/<incident_id>")
    def incident(incident_id: str) -> Response:
        """One incident."""
        for incident in account.incidents():
            if incident.id == incident_id:
                return jsonify(incident=incident_object(incident, ids[incident.service]))
        raise _not_found()


def _add_maintenance_windows(api: Blueprint, account: Account) -> None:
    @api.get("/maintenance_windows")
    def maintenance_windows() -> Response:
        """The maintenance windows in this state, and of these services."""
        state, services = request.args.get("filter", "all"), request.args.getlist("service_ids[]")
        if state not in FILTERS:
            raise _invalid(f"Filter must be one of {list(FILTERS)}")
        now = account.now()
        found = [
            window
            for window in account.maintenance_windows()
            if _is(window, state, now) and (not services or window.service.id in services)
        ]
        return _page("maintenance_windows", found, window_object)


def _is(window: MaintenanceWindow, state: str, now: datetime) -> bool:
    """Whether a window is in that state; open ones are ongoing or to come."""
    past, future = window.end <= now, window.start > now
    return {"past": past, "future": future, "ongoing": not past and not future, "open": not past, "all": True}[state]


def _authorize(token: str) -> None:
    scheme, _, given = request.headers.get("Authorization", "").partition(" token=")
    if scheme != "Token" or not hmac.compare_digest(given.encode(), token.encode()):
        raise _Refused(401, 2006, "Unauthorized", ["The Authorization header must be: Token token=<the REST token>"])


def _negotiate() -> None:
    accept = request.headers.get("Accept")
    if accept is None:
        return
    wanted = {part.replace(" ", "").partition(";q=")[0] for part in accept.split(",")}
    if not wanted & set(_ACCEPTED):
        raise _Refused(406, 2001, "Not Acceptable", ["The Accept header must be: application/vnd.pagerduty+json;version=2"])


def _not_found() -> _Refused:
    return _Refused(404, 2100, "Not Found")


def _invalid(error: str) -> _Refused:
    return _Refused(400, 2001, "Invalid Input Provided", [error])


def _number(name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise _invalid(f"{name.capitalize()} must be a whole number, 0 or more")
    return int(text)


def _moment(name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(request.args[name].replace("Z", "+00:00"))
    except ValueError:
        raise _invalid(f"{name.capitalize()} must be an ISO 8601 date and time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _page(name: str, items: Sequence[_T], show: Callable[[_T], dict[str, Any]]) -> Response:
    """One page of a list, as classic pagination has it: `more` says whether another follows; `total` is told only when asked for."""
    limit, offset = _number("limit", LIMIT_DEFAULT), _number("offset", 0)
    if not 1 <= limit <= LIMIT_MAX:
        raise _invalid(f"Limit must be from 1 to {LIMIT_MAX}")
    if offset + limit > OFFSET_MAX:
        raise _invalid(f"Offset plus limit must not exceed {OFFSET_MAX}")
    total = len(items) if request.args.get("total") == "true" else None
    page = [show(item) for item in items[offset : offset + limit]]
    return jsonify({name: page, "limit": limit, "offset": offset, "more": offset + limit < len(items), "total": total})


def _find(account: Account, service_id: str) -> Service:
    for service in account.services:
        if service.id == service_id:
            return service
    raise _not_found()
