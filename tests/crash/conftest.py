"""Jobs in processes of their own, a sandbox that they send to, and a folder where they leave what they leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from spark_pd.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
EXEC = [sys.executable, "-c", "from spark_pd.cli import main; main(prog_name='spark-pd')", "exec"]
HEAD = """
import os, signal, sys, threading, time
from tests.crash.job import ready, run_of
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


@pytest.fixture(autouse=True)
def _ignored_signals_are_not_inherited() -> Iterator[None]:
    """Under nohup and in a shell's background signals are ignored, which jobs would inherit. A handler is not, and ignores them for us."""
    ignored = [number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT) if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, lambda *_: None)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as started:
        yield started


@pytest.fixture
def outbox_folder(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


@pytest.fixture
def environ(sandbox: Sandbox, outbox_folder: Path) -> dict[str, str]:
    """The environment of a job: nobody's settings but the test's own."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_EXPECTATIONS_", "SE_"))}
    return mine | {"PYTHONPATH": str(ROOT), "JOB_URL": sandbox.url, "JOB_KEY": sandbox.key, "JOB_OUTBOX": str(outbox_folder)}


@pytest.fixture
def enabled(environ: dict[str, str]) -> dict[str, str]:
    """The same, with the settings by which `spark-pd exec` sends to the sandbox."""
    return environ | {
        "SPARK_EXPECTATIONS_NOTIFICATIONS_PAGERDUTY_ENABLED": "true",
        "SPARK_EXPECTATIONS_NOTIFICATIONS_PAGERDUTY_INTEGRATION_KEY": "env:JOB_KEY",
        "SPARK_EXPECTATIONS_NOTIFICATIONS_PAGERDUTY_WEBHOOK_URL": environ["JOB_URL"],
        "SPARK_PD_ENVIRONMENT": "test",
        "SPARK_PD_OUTBOX_PATH": environ["JOB_OUTBOX"],
    }


@pytest.fixture
def start(environ: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a job, whose text follows the usual imports; it is gone when the test ends."""
    started: list[subprocess.Popen[str]] = []

    def go(body: str, *, under: list[str] | None = None, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        code = HEAD + textwrap.dedent(body)
        process = subprocess.Popen(
            [*(under or []), sys.executable, "-c", code],
            cwd=ROOT,
            env=env or environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        started.append(process)
        return process

    yield go
    for process in started:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def until_ready(process: subprocess.Popen[str]) -> None:
    """Wait until a job says that it is."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == "ready\n", (line, process.stderr.read() if process.stderr else "")


def finished(process: subprocess.Popen[str], seconds: float = 120.0) -> tuple[int, str]:
    """A job's exit code and what it wrote to stderr. A job that is to be ended sleeps far longer, so that it cannot end by itself."""
    _, errors = process.communicate(timeout=seconds)
    return process.returncode, errors


def triggers(sandbox: Sandbox) -> list[str]:
    """The dedup keys of all that opened or updated an incident."""
    return [event["dedup_key"] for event in sandbox.events if event["event_action"] == "trigger"]


def markers(folder: Path) -> list[str]:
    """The names of the markers that lie about."""
    return sorted(path.name for path in (folder / "open").glob("[!.]*"))
