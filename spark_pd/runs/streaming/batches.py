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
    unknown: str | None = None
    """Why rows that were checked could not be counted; None where they were, or Spark told of none."""

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
    """The last batches that had rows, oldest first. Their counts are those of the same rules.

    Those that could not be counted are shown between the others, and are not part of what is judged: they push none of the others out.
    """

    rules: str = ""
    """A digest of the rules."""
    batches: tuple[Batch, ...] = ()

    def taking(self, batch: Batch, *, most: int) -> Window:
        """The window with a batch more, and no more than `most`. A batch that is in it and was replayed counts once: as last seen."""
        found = [b for b in self.batches if (b.query_id, b.batch_id) != (batch.query_id, batch.batch_id)]
        found.append(batch)
        counted = [place for place, b in enumerate(found) if b.counts is not None][-most:]
        uncounted = [place for place, b in enumerate(found) if b.counts is None and (not counted or place > counted[0])][-most:]
        return Window(self.rules, tuple(found[place] for place in sorted((*counted, *uncounted))))

    @property
    def uncounted(self) -> tuple[Batch, ...]:
        """Those whose rows could not be counted."""
        return tuple(batch for batch in self.batches if batch.counts is None)

    @property
    def counts(self) -> Counts | None:
        """The rows of all its batches together; None where there are none."""
        known = [batch.counts for batch in self.batches if batch.counts is not None]
        return summed(known) if known else None

    def __str__(self) -> str:
        counted = [batch.batch_id for batch in self.batches if batch.counts is not None]
        if not counted:
            said = "no batch with rows yet"
        elif len(counted) == 1:
            said = f"batch {counted[0]}"
        else:
            said = f"the last {len(counted)} batches with rows, {counted[0]} to {counted[-1]}"
        left_out = ", ".join(str(batch.batch_id) for batch in self.uncounted)
        return f"{said}, without {left_out}, which could not be counted" if left_out else said


def summed(counts: Sequence[Counts]) -> Counts:
    """The counts of several batches as one."""
    return Counts(
        sum(c.rows for c in counts),
        sum(c.failed for c in counts),
        sum(c.dropped for c in counts),
        tuple(map(sum, zip(*(c.rules for c in counts), strict=True))),
    )
