"""Jobs in a process of their own, for tests that need another session than the shared one: a script prints what it found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def found_by(*command: str, folder: Path, seconds: float) -> dict[str, Any]:
    """What Python found by this command, run in `folder`: the JSON behind FOUND. Skips the test where it says what is UNAVAILABLE."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    job = subprocess.run(
        [sys.executable, *command], env=environment, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
    )
    for line in job.stdout.splitlines():
        if line.startswith("UNAVAILABLE "):
            pytest.skip(line.removeprefix("UNAVAILABLE "))
        if line.startswith("FOUND "):
            return dict(json.loads(line.removeprefix("FOUND ")))
    raise AssertionError(job.stderr[-3000:])
