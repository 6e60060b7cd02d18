"""The batches whose runs reported the failure that ends their query, so that the query's watch does not report it again."""

from __future__ import annotations

import threading
from dataclasses import dataclass

MOST = 100
"""Starts of queries that are kept: a job may restart its queries in a loop."""


@dataclass(frozen=True, slots=True)
class ReportedBatch:
    """A batch whose run failed, and reported it."""

    table: str
    batch_id: int

    def __str__(self) -> str:
        return f"the run of its batch {self.batch_id} reported it as the failure of {self.table}"


class ReportedBatches:
    """By the run id of each start of a query: the last batch whose exception was reported."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[str, ReportedBatch] = {}

    def add(self, query_run: str, batch: ReportedBatch) -> None:
        """Keep it."""
        with self._lock:
            self._of.pop(query_run, None)
            self._of[query_run] = batch
            while len(self._of) > MOST:
                del self._of[next(iter(self._of))]

    def ending(self, query_run: str, *, completed: int) -> ReportedBatch | None:
        """The batch that ended that start of a query, whose last completed batch is `completed` (-1: none did).

        None where nothing was reported, or the batch completed after all, since the user's code caught the exception.
        """
        with self._lock:
            batch = self._of.get(query_run)
        return batch if batch is not None and batch.batch_id > completed else None


reported_batches = ReportedBatches()
