"""The pytest plugin: the fixture `pagerduty`, a PagerDuty on loopback, and a guard that keeps tests from paging anybody.

While the plugin is active alerts go nowhere but to loopback: SPARK_PD_LOOPBACK_ONLY=1 is in the environment, which the PagerDuty client
reads at each delivery and which jobs started by a test inherit. A test that is to send for real says so: @pytest.mark.spark_pd_network.

Each test has an outbox of its own, where none is configured: SPARK_PD_STATE_HOME names a folder that is made when something is kept, and
removed at the end. So no test leaves anything in the outbox of who runs it, or sends what waits there.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from spark_pd.sandbox import Sandbox

LOOPBACK_ONLY = "SPARK_PD_LOOPBACK_ONLY"
STATE_HOME = "SPARK_PD_STATE_HOME"
MARKER = "spark_pd_network"

__all__ = ["LOOPBACK_ONLY", "MARKER", "STATE_HOME", "pagerduty"]

_STATE = pytest.StashKey[Path]()
_NUMBERS = pytest.StashKey[Any]()  # an itertools.count


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and guard the whole session: collection and fixtures of a wider scope run outside any test."""
    config.addinivalue_line("markers", f"{MARKER}: the test may send alerts anywhere, not only to loopback.")
    guard = pytest.MonkeyPatch()
    guard.setenv(LOOPBACK_ONLY, "1")
    # Only a name: a suite that keeps nothing makes no folder.
    state = Path(tempfile.gettempdir()) / f"spark_pd-pytest-{uuid.uuid4().hex}"
    guard.setenv(STATE_HOME, str(state / "session"))
    config.stash[_STATE], config.stash[_NUMBERS] = state, itertools.count(1)
    config.add_cleanup(guard.undo)
    config.add_cleanup(lambda: shutil.rmtree(state, ignore_errors=True))


@pytest.fixture(autouse=True)
def _spark_pd_loopback_only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker(MARKER) is None:
        monkeypatch.setenv(LOOPBACK_ONLY, "1")
    else:
        monkeypatch.delenv(LOOPBACK_ONLY, raising=False)
    monkeypatch.setenv(STATE_HOME, str(request.config.stash[_STATE] / str(next(request.config.stash[_NUMBERS]))))


@pytest.fixture
def pagerduty() -> Iterator[Sandbox]:
    """A strict PagerDuty on loopback, fresh for each test: install with its `config`, look at its `incidents()`, order a `fault(...)`."""
    # Here and not above: a plugin is loaded by every pytest run of every project that has the package.
    from spark_pd.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox
