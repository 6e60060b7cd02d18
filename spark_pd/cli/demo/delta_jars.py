"""Whether the demo can write Delta: its jars are looked for in a process of their own, which is quiet and cannot hang the demo.

python -m spark_pd.cli.demo.delta_jars    prints the jars, one line of JSON
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

MARK = "JARS "


@dataclass(frozen=True, slots=True)
class Delta:
    """Delta's jars, or why there are none."""

    jars: tuple[str, ...] = ()
    version: str = ""
    missing: str = ""


class Search:
    """A search that is under way."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._seconds = seconds
        self._child: subprocess.Popen[str] | None = None
        if importlib.util.find_spec("delta") is not None:
            # Ivy says at length what it does, and a repository that does not answer keeps it for minutes.
            self._child = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )

    def result(self) -> Delta:
        """What was found; waits for it until the seconds are over."""
        if self._child is None:
            return Delta(missing="the package delta-spark is not installed, or there is none for this PySpark")
        try:
            said, _ = self._child.communicate(timeout=max(0.0, self._ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            return Delta(missing=f"its jars could not be had within {self._seconds:g} s; is there a network?")
        for line in said.splitlines():
            if line.startswith(MARK):
                version, *jars = json.loads(line.removeprefix(MARK))
                return Delta(tuple(jars), version)
        return Delta(missing="its jars could not be had; is there a network, and a Delta for this PySpark?")

    def close(self) -> None:
        """End it, with the JVM that it started."""
        if self._child is not None and self._child.poll() is None:
            with suppress(OSError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.communicate()


@contextmanager
def search(seconds: float) -> Iterator[Search]:
    """Look for Delta's jars, beside what the block does; ended with the block."""
    found = Search(seconds)
    try:
        yield found
    finally:
        found.close()


def main() -> None:
    """Have Spark fetch the jars as a session would, or find them where it keeps them, and say where they are. It starts no session."""
    from importlib.metadata import version

    from delta import configure_spark_with_delta_pip
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    packages = configure_spark_with_delta_pip(SparkSession.builder)._options["spark.jars.packages"]
    SparkContext._ensure_initialized(conf=SparkConf(loadDefaults=False).set("spark.jars.packages", packages))
    jars = (SparkConf().get("spark.jars") or "").split(",")
    print(MARK + json.dumps([version("delta-spark"), *jars]), flush=True)


if __name__ == "__main__":
    main()
