"""The integration key of a service by its name: that of its FIRST Events API v2 integration, as PagerDuty lists it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from spark_pd.model import Secret, SecretReference
from spark_pd.model.errors import SecretError
from spark_pd.pagerduty.directory import Directory, ListedService, Unanswered

SCHEME = "pagerduty-service"
KEPT = 3600.0  # seconds for which a key that was found is not looked up again
_SECONDS = 10.0  # that one look-up may take
_CLOSED = ("disabled",)


@dataclass(frozen=True, slots=True)
class _Found:
    key: Secret
    until: float


class ServiceKeys:
    """Looks keys up in a directory, once an hour for each service and process, and again after `forget`."""

    def __init__(self, directory: Directory, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._clock = clock
        self._lock = threading.Lock()
        self._found: dict[str, _Found] = {}

    def key_of(self, name: str) -> Secret:
        """The service's key. Raises SecretError where there is no such service, several, or none that takes events."""
        with self._lock:
            found = self._found.get(name)
        if found is not None and self._clock() < found.until:
            return found.key
        service = self.service(name)
        if service.key is None:
            raise SecretError(
                f"the service {name!r} has no Events API v2 integration whose key the REST token may see; add one in PagerDuty"
            )
        with self._lock:
            self._found[name] = _Found(service.key, self._clock() + KEPT)
        return service.key

    def service(self, name: str) -> ListedService:
        """The service of that name. Raises SecretError where there is none, several, or it is disabled."""
        problem = None
        try:
            listed = list(self._directory.services(name, until=time.monotonic() + _SECONDS))
        except Unanswered as error:
            problem = f"PagerDuty did not say which key the service {name!r} has: {error}"
        if problem is not None:
            raise SecretError(problem)
        exact = [each for each in listed if each.name == name] or [each for each in listed if each.name.casefold() == name.casefold()]
        if not exact:
            near = ", ".join(repr(each.name) for each in listed[:3])
            raise SecretError(f"PagerDuty has no service {name!r} that the REST token sees{f'; there is {near}' if near else ''}")
        if len(exact) > 1:
            raise SecretError(
                f"{len(exact)} services are called {name!r}: {', '.join(each.id for each in exact)}; give them different names"
            )
        if exact[0].status in _CLOSED:
            raise SecretError(f"the service {name!r} is {exact[0].status}: it opens no incident until it is enabled in PagerDuty")
        return exact[0]

    def forget(self, name: str) -> None:
        """Look it up anew the next time: PagerDuty refused the key."""
        with self._lock:
            self._found.pop(name, None)


def reference_to(service: str) -> SecretReference:
    """Where the key is kept, as the outbox remembers it."""
    return SecretReference(SCHEME, service)
