"""Which batches told by themselves, as runs of this process, what ends their query: whoever watches it does not tell it again."""

from __future__ import annotations

import threading
from dataclasses import dataclass

MOST = 100
"""Starts of queries that are remembered: a job that restarts its queries in a loop fails without end."""


@dataclass(frozen=True, slots=True)
class ReportedBatch:
    """A batch whose run failed, and somebody was told."""

    table: str
    batch_id: int

    def __str__(self) -> str:
        return f"the run of its batch {self.batch_id} told it, as the failure of {self.table}"


class ReportedBatches:
    """By the id that each start of a query has: the last batch that left its function by an exception that was told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[str, ReportedBatch] = {}

    def add(self, query_run: str, batch: ReportedBatch) -> None:
        """Remember it."""
        with self._lock:
            self._of.pop(query_run, None)
            self._of[query_run] = batch
            while len(self._of) > MOST:
                del self._of[next(iter(self._of))]

    def ending(self, query_run: str, *, completed: int) -> ReportedBatch | None:
        """The batch that ended that start of a query, whose last completed batch is `completed` (-1: none did).

        None where nothing was told, or the query got over it: somebody caught the exception, and the batch completed.
        """
        with self._lock:
            batch = self._of.get(query_run)
        return batch if batch is not None and batch.batch_id > completed else None


reported_batches = ReportedBatches()
