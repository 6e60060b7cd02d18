"""PagerDuty's OpenAPI with the documented limits laid over it, an alert, and a sandbox to send to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from spark_pd.model import Alert, Link
from spark_pd.sandbox import Sandbox

KEY = "0123456789abcdef0123456789ABCDEF"
Check = Callable[[dict[str, Any]], None]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(key=KEY) as started:
        yield started


@pytest.fixture
def make_alert() -> Callable[..., Alert]:
    def make(**fields: Any) -> Alert:
        usual: dict[str, Any] = {
            "trigger": "error_drop_threshold",
            "state": "firing",
            "severity": "error",
            "summary": "sales.orders: 12 % of the rows were dropped, 10 % is the threshold",
            "details": {"dropped_count": 12, "rules": [{"rule": "positive", "failed_count": 12}]},
            "dedup_key": "spark_pd/prod/sales/sales.orders/error_drop_threshold",
            "source": "nightly",
            "component": "sales.orders",
            "group": "sales",
            "at": datetime(2026, 11, 20, 8, 30, tzinfo=timezone.utc),
            "links": (Link("https://spark.example/app-1", "Spark UI"), Link("https://wiki.example/runbook", "Runbook")),
        }
        return Alert(**{**usual, **fields})

    return make


@pytest.fixture(scope="session")
def valid(openapi_validator: Callable[[str], Any]) -> Check:
    """Asserts that an event validates against PagerDuty's OpenAPI and keeps the limits that only its documents tell."""
    validator = openapi_validator("/enqueue")

    def check(event: dict[str, Any]) -> None:
        validator.validate(event)
        assert event["routing_key"] == KEY
        assert event["event_action"] in ("trigger", "resolve")
        assert event["dedup_key"].strip()
        assert len(event["dedup_key"]) <= 255
        if event["event_action"] == "resolve":
            assert set(event) == {"routing_key", "event_action", "dedup_key"}
            return
        payload = event["payload"]
        assert payload["summary"].strip()
        assert payload["source"].strip()
        assert len(payload["summary"]) <= 1024
        assert len(payload["summary"].splitlines()) == 1
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", payload["summary"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", payload["timestamp"])
        assert all(link["href"] and link["text"] for link in event.get("links", []))
        assert event.get("client_url") == (event["links"][0]["href"] if "links" in event else None)

    return check
