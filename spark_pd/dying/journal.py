"""What a job under `spark-pd exec` tells its parent of its runs: a file of lines, written by the job and read when it is dead."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = "SPARK_PD_EXEC_JOURNAL"  # the environment variable that names the file; the job's own children inherit it


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the runs of a job told: how many there were, the verdicts, and the markers of those that told none."""

    opened: int = 0
    verdicts: tuple[str, ...] = ()
    unmarked: int = 0
    """Runs without a marker that told no verdict: nothing can be said of them but that they were open."""
    markers: tuple[Path, ...] = field(default=())


def opened(run_id: str, marker: Path | None) -> None:
    """Tell that a run is open, and where its marker is. It tells nobody where there is no such parent, and never raises."""
    _append({"run": run_id, "marker": None if marker is None else str(marker)})


def ended(run_id: str, status: str) -> None:
    """Tell a run's verdict."""
    _append({"run": run_id, "verdict": status})


def read(path: Path) -> Told:
    """What was told in that file. A line that is not whole, as of a process that was killed over it, is left out."""
    markers: dict[str, str | None] = {}
    verdicts: dict[str, str] = {}
    with suppress(OSError):
        for line in path.read_text(encoding="ascii", errors="replace").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                told: Any = json.loads(line)
                if "verdict" in told:
                    verdicts[str(told["run"])] = str(told["verdict"])
                else:
                    markers[str(told["run"])] = told["marker"] if told["marker"] is None else str(told["marker"])
    silent = [marker for run, marker in markers.items() if run not in verdicts]
    return Told(
        opened=len(markers),
        verdicts=tuple(verdicts.values()),
        unmarked=silent.count(None),
        markers=tuple(Path(marker) for marker in silent if marker is not None),
    )


def _append(what: dict[str, str | None]) -> None:
    path = os.environ.get(VARIABLE)
    if not path:
        return
    # Not made where it is missing: this may be another machine than the parent's.
    with suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0))
        try:
            os.write(fd, json.dumps(what, ensure_ascii=True).encode("ascii") + b"\n")
        finally:
            os.close(fd)
