"""Micro-batches, and the window of the last batches. Pure."""

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
    """Why checked rows could not be counted; None where they were counted, or Spark reported none."""

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
class BatchWindow:
    """The last batches that had rows, oldest first. All were counted by the same rules.

    Batches that could not be counted are shown between the others. They are not judged, and push no other batch out of the window.
    """

    rules: str = ""
    """A digest of the rules."""
    batches: tuple[Batch, ...] = ()

    def with_batch(self, batch: Batch, *, most: int) -> BatchWindow:
        """The window with one batch more, `most` at most. A batch that Spark replayed takes the place of its first run."""
        found = [b for b in self.batches if (b.query_id, b.batch_id) != (batch.query_id, batch.batch_id)]
        found.append(batch)
        counted = [place for place, b in enumerate(found) if b.counts is not None][-most:]
        uncounted = [place for place, b in enumerate(found) if b.counts is None and (not counted or place > counted[0])][-most:]
        return BatchWindow(self.rules, tuple(found[place] for place in sorted((*counted, *uncounted))))

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
            text = "no batch with rows yet"
        elif len(counted) == 1:
            text = f"batch {counted[0]}"
        else:
            text = f"the last {len(counted)} batches with rows, {counted[0]} to {counted[-1]}"
        left_out = ", ".join(str(batch.batch_id) for batch in self.uncounted)
        return f"{text}, without {left_out}, which could not be counted" if left_out else text


def summed(counts: Sequence[Counts]) -> Counts:
    """The counts of several batches as one."""
    return Counts(
        sum(c.rows for c in counts),
        sum(c.failed for c in counts),
        sum(c.dropped for c in counts),
        tuple(map(sum, zip(*(c.rules for c in counts), strict=True))),
    )
