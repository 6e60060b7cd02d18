"""What a counter found: counts, or why they are unknown. Unknown is never zero."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows: of the input, failing any rule, dropped, and failing each rule of the plan in its order."""

    rows: int
    failed: int
    dropped: int
    rules: tuple[int, ...]
    errors: tuple[int, ...] | None = field(default=None, compare=False)
    """Of the rows that fail each rule, those for which it could not be evaluated; None where that is not known."""

    @classmethod
    def of(cls, numbers: Sequence[int], errors: Sequence[int] | None = None) -> Counts:
        """From one sequence: rows, failed, dropped, then the rules'."""
        rows, failed, dropped, *rules = numbers
        return cls(rows, failed, dropped, tuple(rules), None if errors is None else tuple(errors))

    @classmethod
    def none(cls, rules: int) -> Counts:
        """The counts of an empty input."""
        return cls(0, 0, 0, (0,) * rules)


@dataclass(frozen=True, slots=True)
class Unknown:
    """The counts are not known, and why."""

    reason: str
    written: bool = field(default=False, compare=False)
    """Whether all of the checked data was written nevertheless: then the failing rows can be reported."""


Reading: TypeAlias = Counts | Unknown

NEVER_WRITTEN = "the checked data was not seen to be written: write what run.check returned (or use run.write) before the block ends"
NOT_ALL_READ = (
    "the write did not read all of the checked data (a limit, a join or a filter that stopped early), so its counts are not known"
)
UNSTABLE = (
    "the input gave different rows when it was computed twice (it is not deterministic), so the counts of what was written are not known"
)
CHANGED = (
    "the input was another before and after the write (its source changed, or the write replaced it), so the counts of what was written "
    "are not known; to check a table that is overwritten in place, write to another table or checkpoint it first"
)
STILL_RUNNING = "Spark had not reported all of the block's queries when it ended"


def check_id() -> int:
    """A random id of a check, as its marker in plans: no literal of a user's query is equal to it."""
    return (1 << 60) | secrets.randbits(59)
