"""Jobs in a process of their own, for tests that need another session than the shared one: a script prints what it found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def environment() -> dict[str, str]:
    """That of a job."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}


def found_by(*command: str, folder: Path, seconds: float) -> dict[str, Any]:
    """What Python found by this command, run in `folder`: the JSON behind FOUND. Skips the test where it says what is UNAVAILABLE."""
    job = subprocess.run(
        [sys.executable, *command], env=environment(), cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
    )
    for line in job.stdout.splitlines():
        found = _found(line)
        if found is not None:
            return found
    raise AssertionError(job.stderr[-3000:])


class Answers:
    """What a job found, by scenario: it plays a scenario when a test first asks for it. Its process ends with the block.

    So many tests share one JVM, and a run of few of them takes the time of those few.
    """

    def __init__(self, *command: str, folder: Path) -> None:
        self._errors = folder / "stderr"
        self._known: dict[str, Any] = {}
        with self._errors.open("wb") as errors:
            self._job = subprocess.Popen(
                [sys.executable, *command],
                env=environment(),
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):  # with its JVM and Python workers
            os.killpg(self._job.pid, signal.SIGKILL)
        self._job.communicate()

    def __getitem__(self, scenario: str) -> Any:
        if scenario not in self._known:
            assert self._job.stdin is not None
            assert self._job.stdout is not None
            with suppress(BrokenPipeError):  # its stdout says why
                self._job.stdin.write(f"{scenario}\n")
                self._job.stdin.flush()
            for line in self._job.stdout:
                found = _found(line)
                if found is not None:
                    self._known.update(found)
                    break
            else:
                raise AssertionError(f"the job ended before it had played {scenario}: {self._errors.read_text(errors='replace')[-3000:]}")
        return self._known[scenario]


def answer(play: Callable[[str], Any]) -> None:
    """In a job: play each scenario that is asked for, and print what was found of it, or the traceback."""
    for line in sys.stdin:
        scenario = line.strip()
        try:
            found = play(scenario)
        except Exception:
            found = traceback.format_exc()
        print("\nFOUND " + json.dumps({scenario: found}), flush=True)


def _found(line: str) -> dict[str, Any] | None:
    if line.startswith("UNAVAILABLE "):
        pytest.skip(line.removeprefix("UNAVAILABLE ").strip())
    return dict(json.loads(line.removeprefix("FOUND "))) if line.startswith("FOUND ") else None
