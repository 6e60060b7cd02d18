"""A master or a worker of a standalone cluster, from the pyspark package."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

START_SECONDS = 60


class Daemon:
    """One process of the cluster, with its children; all are gone when the block ends."""

    def __init__(self, folder: Path, name: str, host: str, *arguments: object) -> None:
        import pyspark

        home = Path(pyspark.__file__).parent
        environment = {
            **os.environ,
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": host,
            "SPARK_NO_DAEMONIZE": "1",
            "SPARK_DAEMON_JAVA_OPTS": os.environ["SPARK_SUBMIT_OPTS"],
            "SPARK_WORKER_DIR": str(folder / name),
            "SPARK_LOCAL_DIRS": str(folder / f"{name}-local"),
            "PYSPARK_PYTHON": sys.executable,
        }
        self._log = folder / f"{name}.log"
        command = [str(home / "bin" / "spark-class"), *map(str, arguments), "--host", host, "--webui-port", "0"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):  # a test may have killed it
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def group(self) -> int:
        """The process group of it and its children, such as a worker's executors."""
        return self._process.pid

    def says(self, pattern: str) -> str:
        """What the pattern finds in the log, as soon as it does."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            found = re.search(pattern, self._log.read_text(errors="replace"))
            if found:
                return found[0]
            time.sleep(0.1)
        raise AssertionError(f"{pattern!r} is not in the log: {self._log.read_text(errors='replace')[-2000:]}")


def worker(folder: Path, master: str, number: int) -> Daemon:
    """A worker with one core at 127.0.0.<number>; its executors keep their files in `folder`."""
    arguments = ("org.apache.spark.deploy.worker.Worker", "--cores", 1, "--memory", "1g", master)
    return Daemon(folder, f"worker-{number}", f"127.0.0.{number}", *arguments)
