"""A function for foreachBatch in which each micro-batch is a run: checked before it is written, so that a `fail` rule stops the stream."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from spark_pd.model.errors import UsageError
from spark_pd.runs.streaming.reported_batches import ReportedBatch, reported_batches
from spark_pd.runs.write_target import WriteOptions

if TYPE_CHECKING:
    from spark_pd.runs.run import Run

NOT_OVER_CONNECT = (
    "monitor.foreach_batch needs classic Spark: over Spark Connect foreachBatch's function runs on the server, where this monitor is not; "
    "check the stream itself with run.check and monitor.watch, or call spark_pd.install(df.sparkSession, ...) inside a function of your own"
)


class ForeachBatch:
    """What `writeStream.foreachBatch` takes. `run` is the last batch's Run."""

    def __init__(self, table: str, make: Callable[[], Run], how: WriteOptions, write: Callable[[Any, int], object] | None) -> None:
        self._table = table
        self._make = make
        self._how = how
        self._write = write
        self.run: Run | None = None
        """The run of the last batch, complete once its block has ended; None before the first."""
        self.batch_id: int | None = None
        """The last batch's."""

    def __repr__(self) -> str:
        return f"ForeachBatch({self._table!r}, batch_id={self.batch_id})"

    def __call__(self, df: Any, batch_id: int) -> None:
        """Check the batch, and write the rows that stay. Raises RuleFailed, which ends the query, before anything is written."""
        query = _query_run_id(df)  # before the user's code can change the thread's properties
        run = self._make()
        self.run, self.batch_id = run, batch_id
        try:
            with run:
                self._check_and_write(run, df, batch_id)
        except BaseException:
            if query is not None and run.reported_failure:
                reported_batches.add(query, ReportedBatch(run.table, batch_id))
            raise

    def _check_and_write(self, run: Run, df: Any, batch_id: int) -> None:
        checked = run.check(df)
        if self._write is not None:
            self._write(checked, batch_id)
        else:
            run.write_with(checked, self._how)

    def __reduce__(self) -> str:
        raise UsageError(NOT_OVER_CONNECT)


def _query_run_id(df: Any) -> str | None:
    """The run id of the query whose batch this thread executes: Spark sets it as the job group, beside the query's id.

    None where it is not set: the function was called by hand, or Python's threads do not have JVM threads of their own.
    """
    with suppress(Exception):
        context = df.sparkSession.sparkContext
        if context.getLocalProperty("sql.streaming.queryId"):
            run_id: str | None = context.getLocalProperty("spark.jobGroup.id")
            return run_id
    return None
