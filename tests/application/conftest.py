"""Scripts under `spark-pd run`, each in a process of its own, and a sandbox that the environment names."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.conftest import _ignored_signals_are_not_inherited, enabled, environ, outbox_folder, sandbox, start  # noqa: F401

SPARK_PD = [sys.executable, "-m", "spark_pd"]
LOCAL = {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., str]:
    """Writes a script, and gives its path."""

    def write(body: str, name: str = "job.py") -> str:
        (tmp_path / "scripts").mkdir(exist_ok=True)
        path = tmp_path / "scripts" / name
        path.write_text(textwrap.dedent(body))
        return str(path)

    return write


@pytest.fixture
def ended(enabled: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:  # noqa: F811
    """Runs a command to its end, by default with settings that send to the sandbox."""

    def go(*command: str, only: dict[str, str] | None = None, **options: str) -> subprocess.CompletedProcess[str]:
        mine = {**(enabled if only is None else only), **LOCAL}
        return subprocess.run(command, cwd=tmp_path, env=mine, capture_output=True, text=True, check=False, timeout=200, **options)

    return go


def submit(**conf: object) -> list[str]:
    """spark-submit's command up to what it runs; double underscores are dots."""
    import pyspark

    quiet = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.driver.bindAddress": "127.0.0.1"}
    pairs = {**quiet, "spark.driver.host": "127.0.0.1", **{name.replace("__", "."): value for name, value in conf.items()}}
    options = [word for name, value in pairs.items() for word in ("--conf", f"{name}={value}")]
    return [str(Path(pyspark.__file__).parent / "bin" / "spark-submit"), *options]


def to_sandbox(url: str, outbox: Path) -> dict[str, object]:
    """The settings that send to a sandbox, for `submit`."""
    return {
        "spark__expectations__notifications__pagerduty__enabled": "true",
        "spark__expectations__notifications__pagerduty__integration__key": "env:JOB_KEY",
        "spark__expectations__notifications__pagerduty__webhook__url": url,
        "spark__pd__outbox__path": outbox,
        "spark__pd__environment": "prod",
    }
