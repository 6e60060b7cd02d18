"""What the road's tests share. Every event that any of them sends is held against PagerDuty's own OpenAPI."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import spark_pd


@pytest.fixture
def install(spark: Any, pagerduty: Any) -> Iterator[Callable[..., spark_pd.Monitor]]:
    """Installs into the shared session with the sandbox as PagerDuty; uninstalls at the end."""
    monitors = []

    def installed(config: dict[str, Any] | None = None, **kwargs: Any) -> spark_pd.Monitor:
        monitor = spark_pd.install(spark, {**pagerduty.config, **(config or {})}, **kwargs)
        monitors.append(monitor)
        return monitor

    yield installed
    for monitor in monitors:
        monitor.uninstall()


@pytest.fixture(scope="session")
def openapi_validator(oracles_folder: Path) -> Any:
    """PagerDuty's own word on an event; None where the oracles are absent (tests/pagerduty skips there, with the reason)."""
    file = oracles_folder / "pagerduty-events-v2.openapi.json"
    if not file.is_file():
        return None
    validator = pytest.importorskip("openapi_schema_validator")
    spec = json.loads(file.read_text())
    schema = spec["paths"]["/enqueue"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return validator.OAS30Validator({**schema, "components": spec["components"]})


@pytest.fixture(autouse=True)
def _events_hold_against_openapi(request: pytest.FixtureRequest) -> Iterator[None]:
    if "pagerduty" not in request.fixturenames:
        yield
        return
    sandbox, validator = request.getfixturevalue("pagerduty"), request.getfixturevalue("openapi_validator")
    yield
    if validator is not None:
        for event in sandbox.events:
            assert not list(validator.iter_errors(event)), event
    refused = [r for r in sandbox.requests if r.status == 400]
    assert not refused, refused
