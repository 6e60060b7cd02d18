"""Scripts under `spark-pd run`, each in a process of its own, and a sandbox that the environment names."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dying.conftest import _ignored_signals_are_not_inherited, enabled, environ, outbox_folder, sandbox  # noqa: F401

ROOT = Path(__file__).parents[2]
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
    """Runs a command to its end, with settings that send to the sandbox."""

    def go(*command: str, env: dict[str, str] | None = None, seconds: float = 150, **options: str) -> subprocess.CompletedProcess[str]:
        mine = {**enabled, **LOCAL, **(env or {})}
        return subprocess.run(command, cwd=tmp_path, env=mine, capture_output=True, text=True, check=False, timeout=seconds, **options)

    return go
