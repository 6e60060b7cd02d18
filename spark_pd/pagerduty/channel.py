"""The channel: delivers one alert to PagerDuty before its deadline and says what became of it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spark_pd.model import Address, Alert, Delivery, DeliveryStatus, Secret, SecretReference, Severity
from spark_pd.model.errors import SecretError
from spark_pd.pagerduty.answer import Answer, Verdict, verdict
from spark_pd.pagerduty.directory import Directory
from spark_pd.pagerduty.endpoint import change_endpoint, host, is_loopback
from spark_pd.pagerduty.event import Event, change_event, dedup_key_of, encode, event
from spark_pd.pagerduty.reconciliation import reconcile, state_of
from spark_pd.pagerduty.tls_and_proxy import Network, Way
from spark_pd.pagerduty.transport import attempt, new_session
from spark_pd.secrets.redaction import one_line

if TYPE_CHECKING:
    from requests import Session
    from tenacity import RetryCallState

THROTTLED = 429  # the status of too many events
ANOTHER_KEY = "the integration key is not the one that it was queued for"
LOOPBACK_ONLY = "SPARK_PD_LOOPBACK_ONLY"  # the pytest plugin sets it: a test suite pages nobody
_CHEAP = ("env", "file")  # schemes whose secrets are on this machine
_FIRST_WAIT = 0.25  # seconds; the widest first wait, doubled with every try
_LONGEST_WAIT = 8.0  # seconds
_SHRINK = 4  # an event that was too large is sent once more at a fourth of its size
_REASON_LIMIT = 500  # characters


class PagerDutyChannel:
    """Sends alerts to one PagerDuty integration.

    `key` is called at each delivery, and for `address` where that costs no network; `reference` is where it finds the key, None for a
    literal one. `endpoint` is what `spark_pd.pagerduty.endpoint` gave, `network` the way there; with a
    `directory`, it can be asked what became of accepted alerts. With `only_loopback`, or where the environment has
    SPARK_PD_LOOPBACK_ONLY, nothing is sent anywhere but to this machine. Without `retry_throttled` a 429 is no matter for it: whoever
    limits what is sent with the key tries again. `severity` maps an alert's severity to the one that is sent. `key_refused` is called
    where PagerDuty refused an event, so that a key that was looked up by its service is looked up anew. `secret_of` gives the secrets
    that templates ask for, by their references. Making one does no I/O. A
    pickled copy has neither key nor connections.
    """

    def __init__(
        self,
        name: str,
        *,
        endpoint: str,
        key: Callable[[], Secret],
        reference: SecretReference | None = None,
        client: str = "spark_pd",
        only_loopback: bool = False,
        retry_throttled: bool = True,
        network: Network | None = None,
        directory: Directory | None = None,
        severity: Mapping[Severity, Severity] | None = None,
        key_refused: Callable[[], None] = lambda: None,
        secret_of: Callable[[str], Secret] | None = None,
    ) -> None:
        self._secret_of = secret_of
        self._severity = severity or {}
        self._key_refused = key_refused
        self._name = name
        self._endpoint = endpoint
        self._key = key
        self._reference = reference
        self._client = client
        self._only_loopback = only_loopback
        self._retry_throttled = retry_throttled
        self._network = network or Network()
        self._directory = directory
        self._fingerprint: str | None = None
        self._sessions = threading.local()

    @property
    def name(self) -> str:
        """The channel's name in deliveries and logs."""
        return self._name

    @property
    def endpoint(self) -> str:
        """The URL that events are posted to."""
        return self._endpoint

    def __repr__(self) -> str:
        return f"PagerDutyChannel({self._name!r}, endpoint={self._endpoint!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_unpickled, (self._name, self._endpoint, self._client, self._only_loopback))

    def address(self) -> Address:
        """Where this channel sends. The key's fingerprint is in it where the key is literal, cheap to look up, or was looked up before."""
        if self._fingerprint is None and (self._reference is None or self._reference.scheme in _CHEAP):
            with suppress(Exception):  # the delivery will say what is wrong with the key
                self._fingerprint = self._key().fingerprint()
        reference = None if self._reference is None else str(self._reference)
        return Address(channel=self._name, endpoint=self._endpoint, reference=reference, fingerprint=self._fingerprint)

    def deliver(self, alert: Alert, *, deadline: float, only_to: str | None = None) -> Delivery:
        """Deliver one alert before `deadline` (seconds on time.monotonic's clock), trying again where that may help. Never raises.

        It is `failed` where another try may help, and `dead` where PagerDuty refused the event for good. With `only_to`, a fingerprint,
        nothing is sent unless the key has it. A server that drips its headers or a resolver that hangs can hold it longer: the
        dispatcher does not wait for it then.
        """
        return self._deliver(alert, deadline, only_to=only_to)

    def acknowledge(self, alert: Alert, *, deadline: float) -> Delivery:
        """Acknowledge the alert's incident: PagerDuty stops to escalate it. As `deliver` in all else."""
        return self._deliver(alert, deadline, acknowledge=True)

    @property
    def confirms(self) -> bool:
        """Whether it has a directory to ask."""
        return self._directory is not None

    def confirm(self, alert: Alert, *, until: float) -> str | None:
        """What is wrong with an alert that PagerDuty accepted, or why that is not known; None where it has an incident."""
        if self._directory is None:
            return None
        barred = self._barred_from(self._directory.url)
        return barred or reconcile(self._directory, self._key, dedup_key_of(alert), alert.at, until=until)

    def state(self, *, until: float) -> tuple[bool, str]:
        """Whether the service of the key opens incidents, and a sentence that says so. Only for a channel that `confirms`."""
        assert self._directory is not None
        barred = self._barred_from(self._directory.url)
        return (False, barred) if barred else state_of(self._directory, self._key, until=until)

    def _deliver(self, alert: Alert, deadline: float, *, only_to: str | None = None, acknowledge: bool = False) -> Delivery:
        try:
            problem = self.barred
            if problem is not None:
                return self._not_sent(alert, problem)
            secret = self._key()
            self._fingerprint = secret.fingerprint()
            if only_to is not None and self._fingerprint != only_to:
                return self._not_sent(alert, ANOTHER_KEY)
            key = secret.reveal()
        except SecretError as error:
            return self._not_sent(alert, f"no integration key: {one_line(str(error), _REASON_LIMIT)}")
        except Exception as error:
            # Its message may hold the key, so its class has to do.
            return self._not_sent(alert, f"no integration key: {type(error).__qualname__} while it was resolved")
        try:
            way = self._network.way_to(self._endpoint)
        except SecretError as error:
            return self._not_sent(alert, f"no proxy: {one_line(str(error), _REASON_LIMIT)}")
        except Exception as error:
            return self._not_sent(alert, f"no proxy: {type(error).__qualname__} while its URL was resolved")
        try:
            if alert.change:
                return self._sent(alert, change_endpoint(self._endpoint), change_event(alert, routing_key=key), way, deadline)
            alert = replace(alert, severity=self._severity.get(alert.severity, alert.severity))
            made = self._with_secrets(event(alert, routing_key=key, client=self._client, acknowledge=acknowledge), alert)
            return self._sent(alert, self._endpoint, made, way, deadline)
        except Exception as error:
            return self._not_sent(alert, f"{type(error).__qualname__} while the event was made or sent")

    def _with_secrets(self, made: Event, alert: Alert) -> Event:
        """The event with the secrets that its templates asked for. One that cannot be had, or that no template names, is `****`."""
        tokens = alert.event.get("secrets")
        if not isinstance(tokens, Mapping) or not tokens:
            return made
        body = json.dumps(made)
        for token, reference in tokens.items():
            value = "****"
            with suppress(Exception):  # the page goes out without it
                value = "****" if self._secret_of is None else self._secret_of(str(reference)).reveal()
            body = body.replace(str(token), json.dumps(value)[1:-1])
        filled: Event = json.loads(body)
        return filled

    @property
    def barred(self) -> str | None:
        """Why this channel may send nothing at all; None where it may."""
        return self._barred_from(self._endpoint)

    def _barred_from(self, url: str) -> str | None:
        if is_loopback(url):
            return None
        where = host(url) or "the endpoint"
        if os.environ.get(LOOPBACK_ONLY):
            return (
                f"{where} is not on this machine, and {LOOPBACK_ONLY} is set: mark a test that may send with @pytest.mark.spark_pd_network"
            )
        if self._only_loopback:
            return f"{where} is not on this machine, and this channel sends to loopback only (only_loopback=True)"
        return None

    def _sent(self, alert: Alert, url: str, made: Event, way: Way, deadline: float) -> Delivery:
        from tenacity import Retrying, retry_if_result, stop_before_delay

        sending = _Sending(self._open(), url, made, way, deadline)
        left = deadline - time.monotonic()
        if left <= 0:
            return self._not_sent(alert, "its time was over before it could be sent")
        # What is decided is the verdict, so no try raises, and the last verdict is the answer.
        retrying = Retrying(
            retry=retry_if_result(lambda said: said.action == "retry" and (self._retry_throttled or sending.status_code != THROTTLED)),
            wait=_wait,
            stop=stop_before_delay(left),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        last: Verdict = retrying(sending.attempt)
        reason = last.reason
        if last.action != "accepted":
            tries = "1 try" if sending.attempts == 1 else f"{sending.attempts} tries"
            reason = f"{reason} (after {tries})" if last.action == "retry" else reason
            status: DeliveryStatus = "dead" if last.action == "refused" else "failed"
            if status == "dead":
                self._key_refused()
            delivery = self._not_sent(alert, reason, status, status_code=sending.status_code, attempts=sending.attempts)
            return replace(delivery, retry_after=last.wait) if sending.status_code == THROTTLED else delivery
        return Delivery(
            alert=alert, channel=self._name, status="sent", reason=reason, status_code=sending.status_code, attempts=sending.attempts
        )

    def _not_sent(
        self, alert: Alert, reason: str, status: DeliveryStatus = "failed", *, status_code: int | None = None, attempts: int = 0
    ) -> Delivery:
        return Delivery(alert=alert, channel=self._name, status=status, reason=reason, status_code=status_code, attempts=attempts)

    def _open(self) -> Session:
        # Each thread has its own: requests does not promise that two may share one. And a forked child that shared its parent's TLS
        # connections would garble both.
        mine: tuple[int, Session] | None = getattr(self._sessions, "mine", None)
        if mine is None or mine[0] != os.getpid():
            mine = self._sessions.mine = (os.getpid(), new_session())
        return mine[1]


class _Sending:
    """The tries of one event: how many there were, the last status, and whether it was made smaller."""

    def __init__(self, session: Session, url: str, event: dict[str, Any], way: Way, deadline: float) -> None:
        self.attempts = 0
        self.status_code: int | None = None
        self._session = session
        self._url = url
        self._event = event
        self._way = way
        self._body = encode(event)
        self._deadline = deadline

    def attempt(self) -> Verdict:
        """Post the event once, and where it was too large, once more and smaller. What is to be done next."""
        said = self._try(shrunk=False)
        if said.action != "shrink":
            return said
        self._body = encode(self._event, limit=len(self._body) // _SHRINK)
        return self._try(shrunk=True)

    def _try(self, *, shrunk: bool) -> Verdict:
        self.attempts += 1
        outcome = attempt(self._session, self._url, self._body, way=self._way, deadline=self._deadline)
        self.status_code = None
        if isinstance(outcome, Answer):
            self.status_code = outcome.status_code
            # A server may send the key back, and what it says becomes the reason.
            outcome = replace(outcome, body=outcome.body.replace(self._event["routing_key"] or "\0", "****"))
        return verdict(outcome, shrunk=shrunk)


def _wait(state: RetryCallState) -> float:
    """Exponential with full jitter, and never less than the server asked for."""
    from tenacity import wait_random_exponential

    asked: float = state.outcome.result().wait if state.outcome else 0.0
    return max(asked, wait_random_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT)(state))


def _unpickled(name: str, endpoint: str, client: str, only_loopback: bool) -> PagerDutyChannel:
    return PagerDutyChannel(name, endpoint=endpoint, key=_no_key, client=client, only_loopback=only_loopback)


def _no_key() -> Secret:
    raise SecretError("this channel came out of a pickle, which never carries the integration key: deliver from the driver")
