"""The channel: delivers one alert to PagerDuty before its deadline and says what became of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spark_pd.errors import SecretError
from spark_pd.model import Alert, Delivery, Secret
from spark_pd.pagerduty.endpoint import host, is_loopback
from spark_pd.pagerduty.event import encode, event
from spark_pd.pagerduty.transport import attempt, new_session
from spark_pd.pagerduty.verdict import Answer, Verdict, verdict
from spark_pd.scrub import one_line

if TYPE_CHECKING:
    from requests import Session
    from tenacity import RetryCallState

LOOPBACK_ONLY = "SPARK_PD_LOOPBACK_ONLY"  # the pytest plugin sets it: a test suite pages nobody
_FIRST_WAIT = 0.25  # seconds; the widest first wait, doubled with every try
_LONGEST_WAIT = 8.0  # seconds
_SHRINK = 4  # an event that was too large is sent once more at a fourth of its size
_REASON_LIMIT = 500  # characters


class PagerDutyChannel:
    """Sends alerts to one PagerDuty integration.

    `key` is called at each delivery, never before; `endpoint` is what `spark_pd.pagerduty.endpoint` gave. With `only_loopback`, or
    where the environment has SPARK_PD_LOOPBACK_ONLY, nothing is sent anywhere but to this machine. Making one does no I/O.
    A pickled copy has neither key nor connections.
    """

    def __init__(
        self, name: str, *, endpoint: str, key: Callable[[], Secret], client: str = "spark_pd", only_loopback: bool = False
    ) -> None:
        self._name = name
        self._endpoint = endpoint
        self._key = key
        self._client = client
        self._only_loopback = only_loopback
        self._session: tuple[int, Session] | None = None

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

    def deliver(self, alert: Alert, *, deadline: float) -> Delivery:
        """Deliver one alert before `deadline` (seconds on time.monotonic's clock), trying again where that may help. Never raises.

        A server that drips its headers or a resolver that hangs can hold it longer: the dispatcher does not wait for it then.
        """
        try:
            problem = self._forbidden()
            if problem is not None:
                return self._failed(alert, problem)
            key = self._key().reveal()
        except SecretError as error:
            return self._failed(alert, f"no integration key: {one_line(str(error), _REASON_LIMIT)}")
        except Exception as error:
            # Its message may hold the key, so its class has to do.
            return self._failed(alert, f"no integration key: {type(error).__qualname__} while it was resolved")
        try:
            return self._sent(alert, key, deadline)
        except Exception as error:
            return self._failed(alert, f"{type(error).__qualname__} while the event was made or sent")

    def _forbidden(self) -> str | None:
        if is_loopback(self._endpoint):
            return None
        where = host(self._endpoint) or "the endpoint"
        if os.environ.get(LOOPBACK_ONLY):
            return (
                f"{where} is not on this machine, and {LOOPBACK_ONLY} is set: mark a test that may send with @pytest.mark.spark_pd_network"
            )
        if self._only_loopback:
            return f"{where} is not on this machine, and this channel sends to loopback only (only_loopback=True)"
        return None

    def _sent(self, alert: Alert, key: str, deadline: float) -> Delivery:
        from tenacity import Retrying, retry_if_result, stop_before_delay

        made = event(alert, routing_key=key, client=self._client)
        sending = _Sending(self._open(), self._endpoint, made, deadline)
        left = deadline - time.monotonic()
        if left <= 0:
            return self._failed(alert, "its time was over before it could be sent")
        # What is decided is the verdict, so no try raises, and the last verdict is the answer.
        retrying = Retrying(
            retry=retry_if_result(_may_be_tried_again),
            wait=_wait,
            stop=stop_before_delay(left),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        last: Verdict = retrying(sending.attempt)
        reason = last.reason
        if last.action != "accepted":
            tries = "1 try" if sending.attempts == 1 else f"{sending.attempts} tries"
            reason = f"{reason} (after {tries})" if last.action == "retry" else reason
            return self._failed(alert, reason, status_code=sending.status_code, attempts=sending.attempts)
        return Delivery(
            alert=alert, channel=self._name, status="sent", reason=reason, status_code=sending.status_code, attempts=sending.attempts
        )

    def _failed(self, alert: Alert, reason: str, *, status_code: int | None = None, attempts: int = 0) -> Delivery:
        return Delivery(alert=alert, channel=self._name, status="failed", reason=reason, status_code=status_code, attempts=attempts)

    def _open(self) -> Session:
        # A forked child that shared its parent's TLS connections would garble both.
        if self._session is None or self._session[0] != os.getpid():
            self._session = (os.getpid(), new_session())
        return self._session[1]


class _Sending:
    """The tries of one event: how many there were, the last status, and whether it was made smaller."""

    def __init__(self, session: Session, url: str, event: dict[str, Any], deadline: float) -> None:
        self.attempts = 0
        self.status_code: int | None = None
        self._session = session
        self._url = url
        self._event = event
        self._body = encode(event)
        self._deadline = deadline

    def attempt(self) -> Verdict:
        said = self._try(shrunk=False)
        if said.action != "shrink":
            return said
        self._body = encode(self._event, limit=len(self._body) // _SHRINK)
        return self._try(shrunk=True)

    def _try(self, *, shrunk: bool) -> Verdict:
        self.attempts += 1
        outcome = attempt(self._session, self._url, self._body, deadline=self._deadline)
        self.status_code = None
        if isinstance(outcome, Answer):
            self.status_code = outcome.status_code
            # A server may send the key back, and what it says becomes the reason.
            outcome = replace(outcome, body=outcome.body.replace(self._event["routing_key"] or "\0", "****"))
        return verdict(outcome, shrunk=shrunk)


def _may_be_tried_again(said: Verdict) -> bool:
    return said.action == "retry"


def _wait(state: RetryCallState) -> float:
    """Exponential with full jitter, and never less than the server asked for."""
    from tenacity import wait_random_exponential

    asked: float = state.outcome.result().wait if state.outcome else 0.0
    return max(asked, wait_random_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT)(state))


def _unpickled(name: str, endpoint: str, client: str, only_loopback: bool) -> PagerDutyChannel:
    return PagerDutyChannel(name, endpoint=endpoint, key=_no_key, client=client, only_loopback=only_loopback)


def _no_key() -> Secret:
    raise SecretError("this channel came out of a pickle, which never carries the integration key: deliver from the driver")
