"""What the tests of streams share: a folder that is a file source, monitors on the shared session, and queries that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import spark_pd
from tests.streaming.shared import Source


@pytest.fixture
def install(spark: Any, pagerduty: Any) -> Iterator[Callable[..., spark_pd.Monitor]]:
    """Installs into the shared session with the sandbox as PagerDuty; uninstalls at the end."""
    monitors = []

    def installed(config: dict[str, Any] | None = None) -> spark_pd.Monitor:
        monitor = spark_pd.install(spark, {**pagerduty.config, **(config or {})})
        monitors.append(monitor)
        return monitor

    yield installed
    for monitor in monitors:
        monitor.uninstall()


@pytest.fixture
def source(spark: Any, tmp_path: Path) -> Iterator[Source]:
    """A folder of JSON files that a stream reads, one file a batch."""
    made = Source(spark, tmp_path)
    yield made
    for query in spark.streams.active:
        query.stop()
