"""Every step of a run as a CloudEvent 1.0, to a file, a URL or a function: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md

What goes wrong with an event is one warning. It changes nothing for the run.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

from spark_pd.model import Alert, Decision, Delivery, Rule, RunStats, Subject
from spark_pd.model.errors import UsageError
from spark_pd.pagerduty.json_values import plain
from spark_pd.settings import Settings

logger = logging.getLogger("spark_pd.events")

STARTED, FINISHED, DECISION, DELIVERY = "run.started", "run.finished", "decision", "delivery"
TYPES = (STARTED, FINISHED, DECISION, "alert.firing", "alert.resolved", DELIVERY)
_PREFIX = "spark_pd."
_MOST_WAITING = 1000  # events that wait for a URL; those beyond are dropped, with a warning
_POST_SECONDS = 5.0
_LAST_SECONDS = 2.0  # that the interpreter's end waits for events under way

Target = Callable[[Any, bytes], None]
"""Takes an event, and the same as JSON."""


class Events:
    """Emits events to its targets. types, tables: patterns of which one has to fit; empty: all do."""

    def __init__(self, targets: Sequence[Target], *, source: str, types: Sequence[str] = (), tables: Sequence[str] = ()) -> None:
        self._targets = tuple(targets)
        self._source = source
        self._types = tuple(each.removeprefix(_PREFIX) for each in types)
        self._tables = tuple(each.casefold() for each in tables)
        self._warned: set[str] = set()

    def emit(self, kind: str, table: str, data: Mapping[str, Any]) -> None:
        """Emit one event about the table. Never raises."""
        if not _fits(kind, self._types) or not _fits(table.casefold(), self._tables):
            return
        try:
            event, text = self._made(kind, table, data)
        except Exception as error:
            self._warn("an event could not be made", error)
            return
        for target in self._targets:
            try:
                target(event, text)
            except Exception as error:
                self._warn("an event could not be handed over", error)

    def _made(self, kind: str, table: str, data: Mapping[str, Any]) -> tuple[Any, bytes]:
        from cloudevents.core.formats.json import JSONFormat
        from cloudevents.core.v1.event import CloudEvent

        attributes = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "type": f"{_PREFIX}{kind}",
            "source": self._source or "spark_pd",
            "subject": table,
            "time": datetime.now(timezone.utc),
            "datacontenttype": "application/json",
        }
        fields: Any = plain(dict(data))
        event = CloudEvent(attributes, fields)
        return event, JSONFormat().write(event)

    def _warn(self, what: str, error: Exception) -> None:
        if what not in self._warned:
            self._warned.add(what)
            logger.warning("%s (%s); the run goes on, and this is said once", what, type(error).__name__)


def _fits(value: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(value, pattern) for pattern in patterns)


def events_of(settings: Settings, application: str, on_event: Callable[[Any], object] | None = None) -> Events | None:
    """What emits events; None where nobody takes any. Raises UsageError where the package for them is missing."""
    targets: list[Target] = []
    if settings.events is not None:
        is_url = settings.events.startswith(("https://", "http://"))
        targets.append(Poster(settings.events) if is_url else FileTarget(Path(settings.events).expanduser()))
    if on_event is not None:
        handler = on_event

        def call(event: Any, text: bytes) -> None:
            """Hand the event to the user's function."""
            handler(event)

        targets.append(call)
    if not targets:
        return None
    try:
        import cloudevents.core.v1.event  # noqa: F401
    except ModuleNotFoundError:
        raise UsageError("events need the package cloudevents: pip install 'spark-pd[events]'") from None
    return Events(targets, source=application, types=settings.events_types, tables=settings.events_tables)


class FileTarget:
    """Appends events to a file, one line of JSON each. Lines of several processes do not mix."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, event: Any, text: bytes) -> None:
        """Append the event. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, text + b"\n")
        finally:
            os.close(handle)


class Poster:
    """Posts events to a URL in a thread of its own: a run never waits for it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: queue.Queue[bytes] = queue.Queue(_MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._busy = threading.Event()
        self._pid = os.getpid()
        self._warned = False

    def __call__(self, event: Any, text: bytes) -> None:
        """Queue the event. Raises queue.Full where too many wait."""
        with self._lock:
            if self._thread is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._work, name="spark_pd-events", daemon=True)
                self._thread.start()
                atexit.register(self.flush, _LAST_SECONDS)
        self._waiting.put_nowait(text)

    def flush(self, seconds: float) -> None:
        """Wait until all events were posted, so many seconds at most."""
        until = time.monotonic() + seconds
        while (self._busy.is_set() or not self._waiting.empty()) and time.monotonic() < until:
            time.sleep(0.01)

    def _work(self) -> None:
        import requests

        with requests.Session() as session:
            session.trust_env = True
            while True:
                text = self._waiting.get()
                self._busy.set()
                try:
                    answer = session.post(
                        self._url,
                        data=text,
                        headers={"Content-Type": "application/cloudevents+json"},
                        timeout=_POST_SECONDS,
                        allow_redirects=False,
                    )
                    if answer.status_code >= 300:
                        self._warn(f"it answered {answer.status_code}")
                except Exception as error:
                    self._warn(type(error).__name__)
                finally:
                    self._busy.clear()

    def _warn(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            logger.warning("events could not be posted: %s; the runs go on, and this is said once", why)


class Ended(Protocol):
    """What an event says of a run that ended."""

    stats: RunStats | None

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What each trigger concluded."""

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The run's alerts."""

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """What became of each."""


class RunEvents:
    """The events of one run."""

    def __init__(self, events: Events | None, subject: Subject, run_id: str) -> None:
        self._events = events
        self._subject = subject
        self._run_id = run_id
        self._over = False

    def started(self, at: datetime, rules: Sequence[Rule]) -> None:
        """The run started, with these rules."""
        self._emit(STARTED, {"started_at": at, "rules": [rule.name for rule in rules]})

    def ended(self, run: Ended, status: str | None) -> None:
        """What the run concluded and what became of it; once."""
        if self._over:
            return
        self._over = True
        for decision in run.decisions:
            self._emit(DECISION, decision_data(decision))
        for alert in run.alerts:
            self._emit(f"alert.{alert.state}", alert_data(alert))
        for delivery in run.deliveries:
            self._emit(DELIVERY, delivery_data(delivery))
        self._emit(FINISHED, {"status": status, **stats_data(run.stats)})

    def _emit(self, kind: str, data: Mapping[str, Any]) -> None:
        if self._events is not None:
            about = {name: getattr(self._subject, name) for name in ("environment", "product_id", "scope", "job")}
            self._events.emit(kind, self._subject.table, {"run_id": self._run_id, **about, **data})


# ---- what is in an event -----------------------------------------------------------------------------------------------------------


def stats_data(stats: RunStats | None) -> dict[str, Any]:
    """The counts of a run; None is unknown."""
    if stats is None:
        return {}
    names = (
        "input_count",
        "error_count",
        "dropped_count",
        "output_count",
        "error_percentage",
        "error_drop_percentage",
        "exact",
        "counting",
    )
    rules = [
        {"name": r.name, "status": r.status, "action_if_failed": r.action_if_failed, "failed_count": r.failed_count} for r in stats.rules
    ]
    return {**{name: getattr(stats, name) for name in names}, "rules": rules}


def decision_data(decision: Decision) -> dict[str, Any]:
    """A decision."""
    return {"trigger": decision.trigger, "rule": decision.rule, "outcome": decision.outcome, "reason": decision.reason}


def alert_data(alert: Alert) -> dict[str, Any]:
    """An alert, as it may leave the cluster."""
    return {
        "trigger": alert.trigger,
        "state": alert.state,
        "severity": alert.severity,
        "summary": alert.summary,
        "dedup_key": alert.dedup_key,
        "component": alert.component,
        "group": alert.group,
        "links": [{"href": link.href, "text": link.text} for link in alert.links],
        "details": dict(alert.details),
    }


def delivery_data(delivery: Delivery) -> dict[str, Any]:
    """A delivery."""
    return {
        "trigger": delivery.alert.trigger,
        "state": delivery.alert.state,
        "dedup_key": delivery.alert.dedup_key,
        "channel": delivery.channel,
        "status": delivery.status,
        "reason": delivery.reason,
        "status_code": delivery.status_code,
        "attempts": delivery.attempts,
    }
