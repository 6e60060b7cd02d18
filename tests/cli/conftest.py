"""The command, in this process by click's runner and in its own where signals and exit codes matter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spark_pd.cli import main

ROOT = Path(__file__).parents[2]
PLUGINS_OWN = ("SPARK_PD_LOOPBACK_ONLY", "SPARK_PD_STATE_HOME")
COMMAND = [sys.executable, "-c", "from spark_pd.cli import main; main(prog_name='spark-pd')"]


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("SPARK_PD_", "SPARK_EXPECTATIONS_", "SE_")) and name not in PLUGINS_OWN]:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cli() -> Callable[..., Result]:
    """Runs the command in this process."""

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="spark-pd", catch_exceptions=False)

    return run


@pytest.fixture
def start(tmp_path):
    """Starts the command in a process of its own; it is gone when the test ends."""
    started: list[subprocess.Popen[str]] = []

    def go(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield go
    for process in started:
        process.kill()
        process.communicate()


def as_conf(config: dict[str, object]) -> list[str]:
    """Settings as `--conf` options."""
    options = []
    for name, value in config.items():
        options += ["--conf", f"{name}={value}"]
    return options


@pytest.fixture
def conf() -> Callable[[dict[str, object]], list[str]]:
    """Settings as `--conf` options."""
    return as_conf
