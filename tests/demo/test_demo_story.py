"""`spark-pd demo` as a user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_opens_incidents_resolves_them_and_leaves_nothing(tmp_path):
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "COLUMNS": "160"}
    command = [sys.executable, "-c", "from spark_pd.cli import main; main()", "demo"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "336,776 flights" in done.stdout
    # Which it is, is for the machine: whether Delta's jars can be had, and soon enough.
    as_delta, as_parquet = "They are written as a Delta table, by delta-spark ", "They are written as Parquet, not as a Delta table: "
    assert (as_delta in done.stdout) is not (as_parquet in done.stdout)
    assert "ivy" not in (done.stdout + done.stderr).lower()
    # What the CSV says, counted by hand once: 9,430 flights without a time in the air.
    assert "9,430" in done.stdout
    assert "opened 2 incidents, and the corrected run resolved them" in done.stdout
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
