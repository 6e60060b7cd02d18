"""PagerDuty's REST API, read only: which service a key belongs to, whether it opens incidents, and which incident is open.

https://developer.pagerduty.com/api-reference: GET /services, /services/{id}, /maintenance_windows and /incidents.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from spark_pd.model import Secret
from spark_pd.model.errors import SecretError
from spark_pd.pagerduty.answer import Answer, verdict
from spark_pd.pagerduty.tls_and_proxy import Network
from spark_pd.pagerduty.transport import attempt, new_session
from spark_pd.secrets.redaction import one_line

if TYPE_CHECKING:
    from requests import Session

OPEN = ("triggered", "acknowledged")
_PAGE, _LAST = 100, 10_000  # REST API, "Pagination": a page has 100 at most, and offset + limit may not exceed 10,000
_ANSWER_LIMIT = 8_000_000  # bytes; 100 services with all their integrations
_PAUSES = (0.5, 1.5)  # seconds before the second and the third try
_EVENTS_V2 = ("events_api_v2_inbound_integration", "events_api_v2_inbound_integration_reference")
_NAME_LIMIT = 100  # characters of a name that is shown


class Unanswered(Exception):
    """PagerDuty did not tell. The message says why, without the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service as it is now. `status` is PagerDuty's word: active, warning, critical, maintenance or disabled."""

    id: str
    name: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedService:
    """A service as a list shows it. `key`: of its first Events API v2 integration; None where it has none, or it is not shown."""

    id: str
    name: str
    status: str
    escalation_policy: str | None
    """Its id."""
    key: Secret | None
    integration: str | None
    """The name of that integration."""


class Directory:
    """Asks the REST API at `url`, with the token that `token` gives when something is asked. Making one does no I/O.

    Every method ends by `until` (time.monotonic's clock), and raises Unanswered where PagerDuty did not tell.
    """

    def __init__(self, url: str, *, token: Callable[[], Secret], network: Network | None = None) -> None:
        self.url = url
        self._token = token
        self._network = network or Network()
        self._services: dict[str, str | None] = {}  # by the key's fingerprint
        self._sessions = threading.local()

    def __repr__(self) -> str:
        return f"Directory({self.url!r})"

    def service_of(self, key: Secret, *, until: float) -> Service | None:
        """The service that the integration key belongs to; None where the token sees none that has it.

        The first time it looks through all services, later it asks for that one alone.
        """
        fingerprint = key.fingerprint()
        if fingerprint not in self._services:
            self._services[fingerprint] = next(
                (
                    str(service["id"])
                    for service in self._all("services", (("include[]", "integrations"),), until)
                    if key.reveal() in [each.get("integration_key") for each in _objects(service.get("integrations"))]
                ),
                None,
            )
        found = self._services[fingerprint]
        return None if found is None else self._service(found, until)

    def services(self, query: str = "", *, until: float) -> Iterator[ListedService]:
        """The services that the token sees, whose name has `query` in it, page by page."""
        asked = (("include[]", "integrations"), *((("query", query),) if query else ()))
        for each in self._all("services", asked, until):
            keys = [
                (integration.get("integration_key"), integration.get("summary") or integration.get("name"))
                for integration in _objects(each.get("integrations"))
                if integration.get("type") in _EVENTS_V2
            ]
            key, integration_name = keys[0] if keys else (None, None)
            policy = each.get("escalation_policy")
            yield ListedService(
                id=str(each.get("id")),
                name=str(each.get("name")),
                status=str(each.get("status")),
                escalation_policy=str(policy["id"]) if isinstance(policy, dict) and policy.get("id") else None,
                key=Secret(key) if isinstance(key, str) and key else None,
                integration=None if integration_name is None else one_line(str(integration_name), _NAME_LIMIT),
            )

    def on_call(self, escalation_policies: Sequence[str], *, until: float) -> dict[str, list[str]]:
        """Who is on call first, by escalation policy's id: names."""
        found: dict[str, list[str]] = {}
        query = tuple(("escalation_policy_ids[]", each) for each in escalation_policies)
        for each in self._all("oncalls", query, until) if query else ():
            policy, user = each.get("escalation_policy"), each.get("user")
            if each.get("escalation_level") == 1 and isinstance(policy, dict) and isinstance(user, dict):
                name = one_line(str(user.get("name") or user.get("summary")), _NAME_LIMIT)
                names = found.setdefault(str(policy.get("id")), [])
                if name not in names:
                    names.append(name)
        return found

    def maintenance_end(self, service: Service, *, until: float) -> str | None:
        """When the maintenance that the service is in ends, as PagerDuty writes it; None where it is in none."""
        query = (("filter", "ongoing"), ("service_ids[]", service.id))
        ends = [window.get("end_time") for window in self._all("maintenance_windows", query, until)]
        return max((one_line(end, _NAME_LIMIT) for end in ends if isinstance(end, str)), default=None)

    def has_incident(self, dedup_key: str, since: datetime, *, until: float) -> bool:
        """Whether an incident with that key, or with an alert that has it, is open, or was opened after `since` (aware)."""
        is_open = (("incident_key", dedup_key), ("date_range", "all"), *(("statuses[]", status) for status in OPEN))
        opened = (("incident_key", dedup_key), ("since", f"{since.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"))
        return any(next(self._all("incidents", query, until), None) is not None for query in (is_open, opened))

    def _service(self, id: str, until: float) -> Service:
        found = self._get(f"/services/{quote(id, safe='')}", (), until).get("service")
        if not isinstance(found, dict):
            raise Unanswered("its REST API answered without a service; check spark.pd.rest.url")
        name, status = (one_line(str(found.get(field)), _NAME_LIMIT) for field in ("name", "status"))
        return Service(id=id, name=name, status=status)

    def _all(self, what: str, query: Sequence[tuple[str, str]], until: float) -> Iterator[dict[str, Any]]:
        """The objects of a list, page by page."""
        for offset in range(0, _LAST, _PAGE):
            page = self._get(f"/{what}", (*query, ("limit", str(_PAGE)), ("offset", str(offset))), until)
            yield from _objects(page.get(what))
            if page.get("more") is not True:
                return

    def _get(self, path: str, query: Sequence[tuple[str, str]], until: float) -> Mapping[str, Any]:
        url = f"{self.url}{path}?{urlencode(query)}" if query else f"{self.url}{path}"
        for pause in (*_PAUSES, None):
            outcome = self._try(url, until)
            if isinstance(outcome, Answer) and outcome.status_code == 200:
                return _read(outcome)
            said = verdict(outcome)
            wait = 0.0 if pause is None else max(pause, said.wait)
            if said.action != "retry" or pause is None or time.monotonic() + wait >= until:
                break
            time.sleep(wait)
        raise Unanswered(_told(outcome.status_code) if isinstance(outcome, Answer) else f"its REST API could not be asked: {said.reason}")

    def _try(self, url: str, until: float) -> Any:
        problem = None
        try:
            token = self._token().reveal()
            way = self._network.way_to(url)
        except SecretError as error:
            problem = f"its REST API could not be asked: {one_line(str(error), 500)}"
        except Exception as error:  # its text may hold the token
            problem = f"its REST API could not be asked: {type(error).__qualname__} while the REST token was resolved"
        if problem is not None:
            raise Unanswered(problem)  # outside of `except`: a provider's exception, and its frames, stay behind
        if not (token.isascii() and token.isprintable()):
            raise Unanswered("the REST token has characters that no HTTP header can carry; check spark.pd.rest.token")
        headers = {"Authorization": f"Token token={token}", "Accept": "application/vnd.pagerduty+json;version=2"}
        return attempt(self._open(), url, way=way, deadline=until, headers=headers, limit=_ANSWER_LIMIT)

    def _open(self) -> Session:
        # As in the channel: one for each thread and each process.
        mine: tuple[int, Session] | None = getattr(self._sessions, "mine", None)
        if mine is None or mine[0] != os.getpid():
            mine = self._sessions.mine = (os.getpid(), new_session())
        return mine[1]


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _read(answer: Answer) -> Mapping[str, Any]:
    if not answer.whole:
        raise Unanswered("its REST API began an answer that did not end in time, or is too long")
    try:
        page = json.loads(answer.body)
    except (ValueError, RecursionError):
        page = None
    if not isinstance(page, dict):
        raise Unanswered("its REST API answered with something that is no JSON object; check spark.pd.rest.url and the proxy")
    return page


def _told(status: int) -> str:
    """What the status of a refusal means for who configured this."""
    if status == 401:
        return "it refused the REST token (401): check spark.pd.rest.token, and that it is of this region's account"
    if status == 403:
        return "the REST token may not read services and incidents (403): give it a role that may"
    if 300 <= status < 400:
        return f"its REST API answered {status}, a redirect, which is never followed with a token: check spark.pd.rest.url"
    return f"its REST API answered {status}: check spark.pd.rest.url"
