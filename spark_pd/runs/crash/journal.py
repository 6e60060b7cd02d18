"""A folder in which a job under `spark-pd exec` writes down its open runs: a file for each, which the parent reads after the job's end.

It stays small, however many runs there are: a run removes its file once its alerts went out, and all failed runs share one file.
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
class JournalContents:
    """What the runs of a job wrote down."""

    failed: bool = False
    """Whether one of them reported its own failure."""
    markers: tuple[Path, ...] = ()
    """Of the runs without a verdict."""
    sending: int = 0
    """Runs whose alerts are being sent."""
    unmarked: int = 0
    """Runs without a verdict and without a marker: all that is known is that they were open."""


def opened(run_id: str, marker: Path | None) -> None:
    """Write down that a run is open, and where its marker is. It does nothing where there is no such parent, and never raises."""
    _write(f"{run_id}{_SUFFIX}", "" if marker is None else str(marker))


def ended(run_id: str, status: str) -> None:
    """Write down that a run has its verdict."""
    if status in ("failed", "errored"):
        _write(_FAILED, "")
    _remove(f"{run_id}{_SUFFIX}")


def sending(run_id: str) -> None:
    """Write down that a run's alerts are being sent."""
    _write(f"{run_id}{_SENDING}", "")


def sent(run_id: str) -> None:
    """Write down that they are delivered, or that their deadline has passed."""
    _remove(f"{run_id}{_SENDING}")


def read(folder: Path) -> JournalContents:
    """What the folder holds."""
    markers: list[str] = []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        with suppress(OSError):  # its run has a verdict by now
            markers.append(os.fsdecode(path.read_bytes()))
    return JournalContents(
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


def _remove(name: str) -> None:
    folder = os.environ.get(VARIABLE)
    if folder:
        with suppress(OSError):
            Path(folder, name).unlink(missing_ok=True)
