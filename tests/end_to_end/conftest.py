"""What the road's tests share. Every event that any of them sends is held against PagerDuty's own OpenAPI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import spark_pd
from tests.end_to_end.shared import IGNORED_ON, write


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


@pytest.fixture
def run(spark: Any, install: Any) -> Callable[..., Any]:
    """Runs sales.orders with rules over so many rows, and gives the Run."""

    def ran(rules: Any, rows: int, config: dict[str, Any] | None = None) -> Any:
        monitor = install({**IGNORED_ON, "spark.pd.on.failure": False, **(config or {})})
        with monitor.run("sales.orders", rules=rules) as run:
            write(run.check(spark.range(rows)))
        assert run.stats.exact
        return run

    return ran


@pytest.fixture(autouse=True)
def _events_hold_against_openapi(request: pytest.FixtureRequest, oracles_folder: Path) -> Iterator[None]:
    if "pagerduty" not in request.fixturenames:
        yield
        return
    sandbox = request.getfixturevalue("pagerduty")
    # absent oracles are tests/pagerduty's to skip for; the road is tried all the same
    validator = request.getfixturevalue("openapi_validator") if oracles_folder.is_dir() else None
    yield
    if validator is not None:
        for path, sent in (("/enqueue", sandbox.events), ("/change/enqueue", sandbox.changes)):
            for event in sent:
                assert not list(validator(path).iter_errors(event)), event
    refused = [r for r in sandbox.requests if r.status == 400]
    assert not refused, refused
