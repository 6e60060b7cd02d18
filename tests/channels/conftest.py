"""An account with several services, and settings with a channel for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from spark_pd.runs.wiring import Delivering, delivering_of
from spark_pd.sandbox import Sandbox
from spark_pd.settings import Settings, load_settings

SERVICES = ("main", "oncall", "low", "Orders pipeline")


@pytest.fixture
def account() -> Iterator[Sandbox]:
    """A PagerDuty with four services."""
    with Sandbox(services=SERVICES) as sandbox:
        yield sandbox


@pytest.fixture
def keys(account: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The account, with the keys of oncall and low in the environment."""
    monkeypatch.setenv("PD_ONCALL", account.keys["oncall"])
    monkeypatch.setenv("PD_LOW", account.keys["low"])
    return account


@pytest.fixture
def settings(keys: Sandbox, tmp_path: Path) -> Callable[..., Settings]:
    """Settings of these sections that send to the account. Without a main key, unless `main`."""

    def made(sections: dict[str, Any], main: bool = False, **more: Any) -> Settings:
        file = tmp_path / "spark_pd.yaml"
        file.write_text(yaml.safe_dump(sections, sort_keys=False), encoding="utf-8")
        config = {**keys.config, "spark.pd.outbox.path": str(tmp_path / "outbox"), **more}
        if not main:
            del config["spark.expectations.notifications.pagerduty.integration.key"]
        return load_settings(config, environ={}, config_file=file)

    return made


@pytest.fixture
def delivering(settings: Callable[..., Settings]) -> Callable[..., Delivering]:
    """What delivers by these sections."""
    return lambda *args, **kwargs: delivering_of(settings(*args, **kwargs))
