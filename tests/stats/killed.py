"""The job of killed_job.py, killed, and what its tables have to hold then, and once it has run again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.jobs import ROOT
from tests.stats.killed_job import PLACES


def killed_by(folder: Path, format: str, place: str) -> None:
    """Run the job in a process that kills itself there. Skips the test where Delta cannot be had."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    job = subprocess.run(
        [sys.executable, "-m", "tests.stats.killed_job", str(folder), format, place],
        env=environ, cwd=folder, capture_output=True, text=True, timeout=290, check=False,
    )  # fmt: skip
    for line in job.stdout.splitlines():
        if line.startswith("UNAVAILABLE "):
            pytest.skip(line.removeprefix("UNAVAILABLE "))
    assert job.returncode == -signal.SIGKILL, job.stderr[-2000:]


def must_be_repaired(place: str, left: dict[str, Any], repaired: dict[str, Any], run_id: str) -> None:
    """The tables that were written first are whole; the run after, of that id, wrote all of them."""
    kept, tens = PLACES[place], list(range(0, 100, 10))
    target = [n for n in range(100) if n % 10]
    assert left["target"] == repaired["target"] == target
    assert left["stats"] == []
    assert [number for _, number in left["failed"]] == tens[:kept]
    # The error table is a log: what the dead run had written is still there, under its own id, and older.
    assert repaired["failed"][:kept] == left["failed"]
    assert repaired["failed"][kept:] == [[run_id, number] for number in tens]
    assert repaired["stats"] == [[run_id, "passed", 100]]
