"""Micro-batches, and the window of the last of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from spark_pd.checks.counts import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One micro-batch that completed, and the rows that its check counted."""

    query_id: str
    """Of the query, which a checkpoint keeps over restarts."""
    batch_id: int
    at: datetime
    """When its trigger started, aware."""
    seconds: float
    """That its trigger took."""
    counts: Counts | None
    """None where they are not known."""

    @property
    def input_count(self) -> int | None:
        """Rows that were checked."""
        return None if self.counts is None else self.counts.rows

    @property
    def error_count(self) -> int | None:
        """Rows that fail at least one rule."""
        return None if self.counts is None else self.counts.failed

    @property
    def dropped_count(self) -> int | None:
        """Rows that a `drop` rule dropped."""
        return None if self.counts is None else self.counts.dropped


@dataclass(frozen=True, slots=True)
class Window:
    """The last batches that had rows, oldest first. Their counts are those of the same rules."""

    rules: str = ""
    """A digest of the rules."""
    batches: tuple[Batch, ...] = ()

    def taking(self, batch: Batch, *, most: int) -> Window:
        """The window with a batch more, and no more than `most`. A batch that is in it and was replayed counts once: as last seen."""
        others = [b for b in self.batches if (b.query_id, b.batch_id) != (batch.query_id, batch.batch_id)]
        return Window(self.rules, (*others, batch)[-most:])

    @property
    def counts(self) -> Counts | None:
        """The rows of all its batches together; None where there are none."""
        known = [batch.counts for batch in self.batches if batch.counts is not None]
        return summed(known) if known else None

    def __str__(self) -> str:
        if not self.batches:
            return "no batch with rows yet"
        first, last = self.batches[0].batch_id, self.batches[-1].batch_id
        if len(self.batches) == 1:
            return f"batch {last}"
        return f"the last {len(self.batches)} batches with rows, {first} to {last}"


def summed(counts: Sequence[Counts]) -> Counts:
    """The counts of several batches as one."""
    return Counts(
        sum(c.rows for c in counts),
        sum(c.failed for c in counts),
        sum(c.dropped for c in counts),
        tuple(map(sum, zip(*(c.rules for c in counts), strict=True))),
    )
