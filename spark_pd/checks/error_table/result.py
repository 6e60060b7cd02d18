"""What became of the error table in one run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorTable:
    """What became of the error table in one run. Nothing of it changes the job's result."""

    name: str
    """Its name or path."""
    written: bool
    """Whether rows were appended."""
    rows: int | None
    """How many; None where that is not known."""
    exact: bool
    """Whether it now has just the rows that failed among those that the run counted."""
    read_again: bool = False
    """Whether the input was read once more for them; else they were kept as they were counted."""
    reason: str | None = None
    """Why nothing was written, or why `exact` is False. None where rows were written and are exact."""
