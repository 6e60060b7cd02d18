from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from spark_pd.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def event(sandbox: Sandbox) -> Callable[..., dict[str, Any]]:
    """Makes a valid event; keyword arguments replace or add top fields, `payload` updates the payload, None removes a field."""

    def make(action: str = "trigger", *, payload: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        made: dict[str, Any] = {"routing_key": sandbox.key, "event_action": action, "dedup_key": "orders"}
        if action == "trigger":
            made["payload"] = {"summary": "9.9% of sales.orders dropped", "source": "nightly", "severity": "error", **(payload or {})}
        return {**made, **fields}

    return make


@pytest.fixture
def post(sandbox: Sandbox) -> Callable[..., requests.Response]:
    """Sends an event to the sandbox."""

    def send(event: Any, path: str = "/v2/enqueue", **options: Any) -> requests.Response:
        return requests.post(sandbox.url + path, json=event, timeout=60, **options)

    return send
