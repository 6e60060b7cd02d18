"""What a job under `spark-pd exec` tells its parent of its runs: a folder that holds a file for each open run, read when the job is dead.

It stays small, however many runs there are: a run whose alerts went out takes its file away, and leaves one word for all that failed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "SPARK_PD_EXEC_JOURNAL"  # the environment variable that names the folder; the job's own children inherit it
_FAILED = "failed"
_SUFFIX, _SENDING = ".open", ".sending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the runs of a job told."""

    failed: bool = False
    """Whether one of them told its own failure."""
    markers: tuple[Path, ...] = ()
    """Of the runs that told no verdict."""
    sending: int = 0
    """Runs whose alerts are on their way."""
    unmarked: int = 0
    """Runs that told no verdict and have no marker: nothing can be said of them but that they were open."""


def opened(run_id: str, marker: Path | None) -> None:
    """Tell that a run is open, and where its marker is. It tells nobody where there is no such parent, and never raises."""
    _write(f"{run_id}{_SUFFIX}", "" if marker is None else str(marker))


def ended(run_id: str, status: str) -> None:
    """Tell a run's verdict."""
    if status in ("failed", "errored"):
        _write(_FAILED, "")
    folder = os.environ.get(VARIABLE)
    if folder:
        with suppress(OSError):
            Path(folder, f"{run_id}{_SUFFIX}").unlink(missing_ok=True)


def sending(run_id: str) -> None:
    """Tell that a run's alerts are on their way."""
    _write(f"{run_id}{_SENDING}", "")


def sent(run_id: str) -> None:
    """Tell that they are delivered, or their time is over."""
    folder = os.environ.get(VARIABLE)
    if folder:
        with suppress(OSError):
            Path(folder, f"{run_id}{_SENDING}").unlink(missing_ok=True)


def read(folder: Path) -> Told:
    """What was told in that folder."""
    markers: list[str] = []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        with suppress(OSError):  # its run has a verdict by now
            markers.append(os.fsdecode(path.read_bytes()))
    return Told(
        failed=(folder / _FAILED).exists(),
        markers=tuple(Path(marker) for marker in markers if marker),
        sending=sum(1 for _ in folder.glob(f"*{_SENDING}")),
        unmarked=markers.count(""),
    )


def _write(name: str, text: str) -> None:
    folder = os.environ.get(VARIABLE)
    if folder:
        # The folder is not made where it is missing: this may be another machine than the parent's.
        with suppress(OSError):
            Path(folder, name).write_bytes(os.fsencode(text))
