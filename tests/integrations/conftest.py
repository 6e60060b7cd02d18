"""What the engines' tests share: a monitor with the triggers of the data on."""

from __future__ import annotations

from typing import Any

import pytest

import spark_pd
from spark_pd import user_config
from tests.end_to_end.conftest import install  # noqa: F401

ON = {
    "spark.pd.on.ignored_rules": True,
    "spark.pd.on.error_drop_threshold": True,
    user_config.se_notifications_on_error_drop_threshold: 10,
}


@pytest.fixture
def monitor(install: Any) -> spark_pd.Monitor:  # noqa: F811
    return install(ON)


@pytest.fixture
def firing(pagerduty: Any) -> Any:
    """The triggers whose incidents are open now."""
    return lambda: {incident.dedup_key.rsplit("/", 1)[1] for incident in pagerduty.open_incidents()}
