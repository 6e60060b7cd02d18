"""A CloudEvent from elsewhere as an alert: `spark-pd event`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from spark_pd.alerting.policy.routes import Routed
from spark_pd.delivery.dispatch import Dispatcher
from spark_pd.model import SEVERITIES, Alert, Delivery, Subject
from spark_pd.model.errors import UsageError
from spark_pd.runs.channels import CHANNEL_NAME, router_of
from spark_pd.runs.wiring import delivering_of, templates_of
from spark_pd.settings import Settings

TRIGGER = "event"
_GOOD = ("resolved", "good", "pass", "passed", "success", "succeeded", "ok")


def alert_of(content: bytes, environment: str | None) -> Alert:
    """The alert that an event in CloudEvents' JSON format is. Raises UsageError with what is wrong with it.

    `data.severity`, `data.summary` and `data.dedup_key` are taken where they are there. It resolves where `data.state`, `data.result` or
    `data.status` says that all is good.
    """
    try:
        from cloudevents.core.formats.json import JSONFormat
        from cloudevents.core.v1.event import CloudEvent
    except ModuleNotFoundError:
        raise UsageError("events need the package cloudevents: pip install 'spark-pd[events]'") from None
    problem = None
    try:
        event = JSONFormat().read(CloudEvent, content)
        attributes: Mapping[str, Any] = event.get_attributes()
        data = event.get_data()
    except Exception as error:
        problem = f"{type(error).__name__}: {str(error)[:300]}"
    if problem is not None:
        raise UsageError(f"this is no CloudEvent in JSON: {problem}; expected specversion, id, type, source and data")
    fields: Mapping[str, Any] = data if isinstance(data, Mapping) else {"value": data if isinstance(data, str) else None}
    kind, source, subject = str(attributes["type"]), str(attributes["source"]), str(attributes.get("subject") or "")
    when = attributes.get("time")
    at = when if isinstance(when, datetime) and when.tzinfo is not None else datetime.now(timezone.utc)
    words = {str(fields.get(name, "")).casefold() for name in ("state", "result", "status")}
    severity = fields.get("severity")
    result = fields.get("result") or fields.get("message") or fields.get("summary") or ""
    table = subject or source
    return Alert(
        trigger=TRIGGER,
        state="resolved" if words & set(_GOOD) else "firing",
        severity=severity if severity in SEVERITIES else "warning",
        summary=str(fields.get("summary") or f"{table}: {kind}{f': {result}' if result else ''}"),
        details={"cloud_event": {"id": str(attributes["id"]), "type": kind, "source": source, "subject": subject, "data": dict(fields)}},
        dedup_key=str(fields.get("dedup_key") or f"spark_pd/{environment or '-'}/event/{kind}/{table}"),
        source=source,
        component=table,
        at=at,
    )


def send_event(alert: Alert, settings: Settings) -> tuple[Delivery, ...]:
    """Send the alert by the settings' routes and templates. A resolve goes wherever its firing may have gone."""
    delivering, router, templates = delivering_of(settings), router_of(settings), templates_of(settings)

    def made(one: Alert, channel: str) -> Alert:
        """The alert by the channel's templates."""
        return one if templates is None else templates.applied(one, channel)

    dispatcher = delivering.dispatcher
    if isinstance(dispatcher, Dispatcher) or router is None:
        assert isinstance(dispatcher, Dispatcher)
        return dispatcher.submit([made(alert, CHANNEL_NAME)], seconds=settings.deadline).wait()
    subject = Subject(environment=settings.environment, product_id=settings.product_id, table=alert.component)
    routed = Routed(subject=subject, trigger=alert.trigger, severity=alert.severity)
    names = router.channels(routed) if alert.state == "firing" else router.possible(routed)
    addresses = tuple(map(dispatcher.address, names))
    return dispatcher.submit([(alert, addresses)], seconds=settings.deadline, made=made).wait()
