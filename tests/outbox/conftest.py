"""What the outbox's tests share: a real folder, a real sandbox, and processes that die."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from spark_pd.delivery.dispatch import Dispatcher
from spark_pd.delivery.outbox import Outbox
from spark_pd.model import Alert, Secret, SecretReference
from spark_pd.pagerduty import PagerDutyChannel, endpoint
from spark_pd.sandbox import Sandbox


def make_alert(dedup_key: str = "a", state: Any = "firing", **fields: Any) -> Alert:
    usual: dict[str, Any] = {
        "trigger": "failure",
        "state": state,
        "severity": "critical",
        "summary": f"{dedup_key} failed",
        "dedup_key": dedup_key,
        "source": "nightly",
        "component": "sales.orders",
        "at": datetime(2026, 11, 20, tzinfo=timezone.utc),
    }
    return Alert(**{**usual, **fields})


def channel_to(url: str, key: str, reference: str | None = None) -> PagerDutyChannel:
    """A channel with a literal key, or one whose key is looked up in the environment variable that the reference names."""
    if reference is None:
        return PagerDutyChannel("pagerduty", endpoint=endpoint("us", url), key=lambda: Secret(key))
    return PagerDutyChannel(
        "pagerduty", endpoint=endpoint("us", url), key=lambda: Secret(os.environ[reference]), reference=SecretReference("env", reference)
    )


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as started:
        yield started


@pytest.fixture
def box(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox")


@pytest.fixture
def dispatcher(sandbox: Sandbox, box: Outbox) -> Callable[..., Dispatcher]:
    """A new dispatcher with the shared outbox: what a new run in another process would have."""

    def new(key: str | None = None, url: str | None = None) -> Dispatcher:
        return Dispatcher([channel_to(url or sandbox.url, key or sandbox.key)], outbox=box)

    return new


@pytest.fixture
def child() -> Iterator[Callable[[Callable[[], object]], int]]:
    """Runs a function in a forked process, which ends with 0, or with 1 where it raised. Gives its id."""
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork on this system")
    running: set[int] = set()

    def start(function: Callable[[], object]) -> int:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                function()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        running.add(pid)
        return pid

    yield start
    for pid in running:
        with suppress(ProcessLookupError, ChildProcessError):  # a test waits for its children; these are what a failed one left
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                os.kill(pid, 9)
                os.waitpid(pid, 0)


def files_in(folder: Path) -> list[str]:
    """The files below a folder, but for the locks."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.parent.name != "locks")
