"""From an alert and the templates of a channel to the fields of its event. What fails gives the default text and one warning."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from spark_pd.model import SEVERITIES, Alert
from spark_pd.model.event_template import TemplateError, render, short

logger = logging.getLogger("spark_pd.notifier")

SECRETS = "secrets"
"""The entry of `Alert.event` with the references that stand for tokens in its texts."""
_STATS = (
    "input_count", "error_count", "dropped_count", "output_count", "error_percentage", "output_percentage", "success_percentage",
    "error_drop_percentage", "exact", "counting",
)  # fmt: skip
_RUN = (
    "run_id", "status", "application", "application_id", "job_metadata", "started_at", "ended_at", "failure", "environment", "product_id",
    "scope", "job", "attempt",
)  # fmt: skip


class EventTemplates:
    """The templates of all channels, and of each. about: owner, runbook and description of a table, as far as the settings know them."""

    def __init__(
        self, common: Mapping[str, Any], by_channel: Mapping[str, Mapping[str, Any]], about: Callable[[str], Mapping[str, Any]]
    ) -> None:
        self._common = common
        self._by_channel = by_channel
        self._about = about
        self._warned: set[tuple[str, str]] = set()

    def applied(self, alert: Alert, channel: str) -> Alert:
        """The alert with the fields that the channel's templates give. Never raises."""
        templates = {**self._common, **self._by_channel.get(channel, {})}
        if not templates:
            return alert
        secrets: dict[str, str] = {}

        def secret(reference: str) -> str:
            """A token that stands for the secret: nobody can know it before the event is made, and it tells nothing."""
            token = f"****{uuid.uuid4().hex}****"
            secrets[token] = reference
            return token

        event: dict[str, Any] = {}
        try:
            values = {**self._values(alert), "secret": secret}
        except Exception as error:
            self._warn(channel, "all", type(error).__name__)
            return alert
        for field, template in templates.items():
            try:
                event[field] = _checked(field, _rendered(template, values))
            except Exception as error:
                self._warn(channel, field, str(error) if isinstance(error, TemplateError) else type(error).__name__)
        if secrets:
            event[SECRETS] = secrets
        return replace(alert, event=event) if event else alert

    def _values(self, alert: Alert) -> dict[str, Any]:
        details = short(dict(alert.details))
        about = dict(self._about(alert.component))
        at = alert.at.isoformat()
        return {
            "event": {"id": uuid.uuid4().hex, "time": at, "type": f"spark_pd.alert.{alert.state}", **details.get("cloud_event", {})},
            "alert": {
                "trigger": alert.trigger,
                "state": alert.state,
                "severity": alert.severity,
                "summary": alert.summary,
                "dedup_key": alert.dedup_key,
                "source": alert.source,
                "component": alert.component,
                "group": alert.group,
                "at": at,
                "rule": alert.rule,
                "details": details,
            },
            "run": {name: details.get(name) for name in _RUN},
            "stats": {name: details.get(name) for name in _STATS},
            "rules": details.get("failed_rules", []),
            "owner": short(about.get("owner") or {"name": None, "runbook": None}),
            "table": {"name": alert.component, "description": about.get("description"), "runbook": about.get("runbook")},
        }

    def _warn(self, channel: str, field: str, why: str) -> None:
        if (channel, field) not in self._warned:
            self._warned.add((channel, field))
            logger.warning("the template %s of the channel %s gives the default: %s", field, channel, why)


def _rendered(template: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(template, str):
        return render(template, values)
    if isinstance(template, Mapping):
        return {render(str(name), values): _rendered(each, values) for name, each in template.items()}
    return [_rendered(each, values) for each in template] if isinstance(template, (list, tuple)) else template


def _checked(field: str, value: Any) -> Any:
    """The value where PagerDuty takes such a one. Raises TemplateError."""
    if field in ("links", "custom_details") and isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise TemplateError("its text is no JSON") from None
    if field == "links" and not (isinstance(value, list) and all(isinstance(each, dict) and each.get("href") for each in value)):
        raise TemplateError("links are a list of mappings with href and text")
    if field == "custom_details" and not isinstance(value, dict):
        raise TemplateError("custom_details are a mapping")
    if field == "severity" and value not in SEVERITIES:
        raise TemplateError(f"{value!r} is no severity; expected one of {', '.join(SEVERITIES)}")
    if field in ("summary", "source", "dedup_key") and not str(value).strip():
        raise TemplateError("it is empty")
    return value
