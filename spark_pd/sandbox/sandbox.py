"""A PagerDuty on loopback: the pieces put together, with a start and an end."""

from __future__ import annotations

import secrets
import shutil
import ssl
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from spark_pd.model.errors import UsageError
from spark_pd.sandbox.events import is_integration_key
from spark_pd.sandbox.faults import FaultQueue, make_fault
from spark_pd.sandbox.incidents import Account, Incident, Service
from spark_pd.sandbox.received import ReceivedRequest, RequestLog

if TYPE_CHECKING:
    from spark_pd.sandbox.server import LoopbackServer

ENABLED = "spark.expectations.notifications.pagerduty.enabled"
INTEGRATION_KEY = "spark.expectations.notifications.pagerduty.integration.key"
WEBHOOK_URL = "spark.expectations.notifications.pagerduty.webhook.url"
SERVICE = "spark_pd sandbox"


class Sandbox:
    """A PagerDuty on 127.0.0.1 that is as strict as the real one. A context manager; or call `start` and `stop`.

    port: the port to listen on; 0 takes a free one, which a later `start` takes again, so that `stop` and `start` make an outage.
    key: the integration key, 32 letters and digits; made up where none is given.
    rate_limit: events that a key may send in any 60 seconds before the answer is 429; None: no limit. PagerDuty allows about 120.
    services: names of the account's services, each with an integration key of its own; `key` is the first one's.
    rest_token: the token of the REST API; made up where none is given.
    tls: speak https; `ca_file` is then what clients must trust. Needs the package cryptography.
    tls_hosts: names that its certificate is for, beside localhost and 127.0.0.1: for clients that come through a proxy.
    on_request: called with each request once its fate is settled, in the thread that served it.
    clock: the seconds by which `rate_limit` counts, for tests that do not want to wait for them.

    All methods may be called from any thread. Raises UsageError for arguments that cannot be.
    """

    def __init__(
        self,
        port: int = 0,
        key: str | None = None,
        rate_limit: int | None = None,
        *,
        services: Sequence[str] = (SERVICE,),
        rest_token: str | None = None,
        tls: bool = False,
        tls_hosts: Sequence[str] = (),
        on_request: Callable[[ReceivedRequest], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if key is not None and not is_integration_key(key):
            raise UsageError("sandbox: key must be 32 letters and digits, as PagerDuty's integration keys are; leave it out to get one")
        if rate_limit is not None and (isinstance(rate_limit, bool) or not isinstance(rate_limit, int) or rate_limit < 1):
            raise UsageError(f"sandbox: rate_limit={rate_limit!r} must be a whole number of events a minute, 1 or more, or None")
        if isinstance(services, str) or not services or len(set(services)) < len(services):
            raise UsageError(f"sandbox: services={services!r} must be a list of different names, one at least")
        keys = [key or secrets.token_hex(16), *(secrets.token_hex(16) for _ in services[1:])]
        self.key = keys[0]
        self.keys = dict(zip(services, keys, strict=True))
        self.rest_token = rest_token or secrets.token_urlsafe(15)
        self._account = Account(self.keys, rate_limit=rate_limit, clock=clock)
        self._faults = FaultQueue()
        self._requests = RequestLog(on_request)
        self._port = port
        self._tls = tls
        self._tls_hosts = tuple(tls_hosts)
        self._lock = threading.Lock()
        self._server: LoopbackServer | None = None
        self._context: ssl.SSLContext | None = None
        self._ca_file: Path | None = None

    def start(self) -> Sandbox:
        """Begin to answer. Raises UsageError if it runs already, if the port cannot be had or if Flask is not installed."""
        with self._lock:
            if self._server is not None:
                raise UsageError(f"sandbox: it runs already, on {self.url}; call stop() first")
            try:
                from spark_pd.sandbox.app import make_app
                from spark_pd.sandbox.server import LoopbackServer
                from spark_pd.sandbox.wire import Wire
            except ModuleNotFoundError as error:
                raise UsageError(f"sandbox: the package {error.name} is missing; install it: pip install 'spark-pd[sandbox]'") from None
            if self._tls and self._context is None:
                self._make_certificate()
            wire = Wire(make_app(self._account, self.rest_token).wsgi_app, self._faults, self._requests)
            self._faults.arm()
            self._server = LoopbackServer(wire, self._port, self._context)
            self._port = self._server.port
            self._server.start()
        return self

    def stop(self) -> None:
        """End at once, whatever is held by a fault, and free the port. What was received stays readable. A second call does nothing."""
        with self._lock:
            server, self._server = self._server, None
            if server is not None:
                self._faults.release()
                server.stop()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self._server is not None else "stopped"
        return f"<Sandbox {self.url if self._port else 'without a port yet'}, {state}>"

    @property
    def url(self) -> str:
        """The base URL, such as http://127.0.0.1:4567. Raises UsageError before the first start, when no port is known."""
        if not self._port:
            raise UsageError("sandbox: it has no url before it is started; use `with Sandbox() as sandbox:` or call start()")
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def ca_file(self) -> Path:
        """The file of the authority that clients must trust. Raises UsageError unless the sandbox was started with tls=True."""
        if self._ca_file is None:
            raise UsageError("sandbox: there is no ca_file unless it was made with tls=True and started")
        return self._ca_file

    @property
    def config(self) -> dict[str, Any]:
        """The settings that send to this sandbox, for `spark_pd.install`."""
        return {ENABLED: True, INTEGRATION_KEY: self.key, WEBHOOK_URL: f"{self.url}/v2/enqueue"}

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that were accepted, as they came, oldest first."""
        return self._account.events()

    @property
    def changes(self) -> list[dict[str, Any]]:
        """The change events that were accepted, as they came, oldest first."""
        return self._account.changes()

    @property
    def requests(self) -> list[ReceivedRequest]:
        """Everything that was received, accepted or not, oldest first."""
        return self._requests.requests()

    def incidents(self) -> list[Incident]:
        """All incidents as they stand now, oldest first."""
        return self._account.incidents()

    def open_incidents(self) -> list[Incident]:
        """The incidents that are triggered or acknowledged, oldest first."""
        return [incident for incident in self.incidents() if incident.is_open]

    def fault(
        self,
        kind: str | int,
        times: int | None = None,
        *,
        seconds: float | None = None,
        retry_after: float | str | None = None,
        on: str | Collection[str] = "enqueue",
    ) -> None:
        """Order a fault for the next so many requests, or for all until `reset` (None). Faults with a number of times come first.

        kind: one of spark_pd.sandbox.FAULTS, which says what each does.
        seconds: the wait of `slow` (2), the pause between two bytes of `drip` (0.2).
        retry_after: the header Retry-After of a status such as 429.
        on: what it is for, one or more of enqueue, change and rest.

        Raises UsageError for what cannot be, an unknown kind among it.
        """
        self._faults.order(make_fault(kind, seconds=seconds, retry_after=retry_after, on=on), times)

    def disable(self, service: str | None = None) -> None:
        """Disable a service (the first one): it accepts events, and opens no incident for them, as the real one does."""
        self._account.switch(self._service(service), on=False)

    def enable(self, service: str | None = None) -> None:
        """Undo `disable`."""
        self._account.switch(self._service(service), on=True)

    def maintain(
        self, service: str | None = None, *, begin: float = 0.0, seconds: float = 3600.0, description: str = "maintenance"
    ) -> None:
        """Plan a maintenance window for a service (the first one), `begin` seconds from now: as if disabled for so many seconds."""
        start = self._account.now() + timedelta(seconds=begin)
        self._account.maintain(self._service(service), start, start + timedelta(seconds=seconds), description)

    def _service(self, name: str | None) -> Service:
        for service in self._account.services:
            if name in (None, service.name):
                return service
        raise UsageError(f"sandbox: there is no service {name!r}; it has {list(self.keys)}")

    def clear_faults(self) -> None:
        """Drop all faults; what one holds is let go unanswered. Events and incidents stay."""
        self._faults.clear()

    def reset(self) -> None:
        """As if just started: no faults, events, changes, incidents, requests and maintenance. The url and the keys stay."""
        self._faults.clear()
        self._account.reset()
        self._requests.clear()

    def _make_certificate(self) -> None:
        from spark_pd.sandbox.certificate import loopback_context

        directory = tempfile.mkdtemp(prefix="spark_pd-sandbox-")
        # It goes away with the object, not with stop(): the same authority vouches for it after an outage.
        weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        self._context, self._ca_file = loopback_context(Path(directory), self._tls_hosts)
