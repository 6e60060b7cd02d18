"""What became of the SQL executions that touched a check, as the driver's listener saw them (executions.java)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from spark_pd.spark import java
from spark_pd.spark.attached import DRAIN_MILLIS, Attached


@dataclass(frozen=True, slots=True)
class Execution:
    """One SQL execution that ended and touched a check."""

    id: int
    root: int
    end: int
    """Its place among all ends: an execution nested in another ends before it."""
    succeeded: bool
    write: bool
    carried: bool
    """The check stands behind a cache or checkpoint that it reads; else its filter stands in the plan."""
    observed: tuple[int, ...] | None
    """The metrics observed under the check's name, where nothing in the plan may have stopped reading early."""
    text: str | None = None
    """The one text observed under that name instead, as hex digits."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that is known of a check's executions. `complete` says that no event was still under way."""

    executions: tuple[Execution, ...]
    ends: dict[int, int]
    complete: bool


def _execution(line: str) -> Execution:
    id_, root, end, succeeded, write, carried, observed = line.split("|")
    is_text = observed.startswith("x")  # checks/observed_aggregates.py
    return Execution(
        id=int(id_),
        root=int(root),
        end=int(end),
        succeeded=succeeded == "true",
        write=write == "true",
        carried=carried == "true",
        observed=tuple(int(n) for n in observed.split(",")) if observed and not is_text else None,
        text=observed[1:] if is_text else None,
    )


class Executions:
    """The listener of one SparkContext."""

    def __init__(self, spark: SparkSession) -> None:
        self._java: Any = java.construct(
            spark, java.load_class(spark, "spark_pd.spark", "executions.java", "spark_pd.Executions"), _scala_context(spark)
        )

    def watch(self, check: int) -> None:
        """Keep what happens to the check of that id from now on."""
        self._java.watch(check)

    def unwatch(self, check: int) -> None:
        """Forget the check."""
        self._java.unwatch(check)

    def ledger(self, check: int) -> Ledger:
        """What became of the check's executions so far. Waits until the listener has seen every event, at most DRAIN_MILLIS."""
        complete = bool(self._java.drained(DRAIN_MILLIS))
        executions = tuple(_execution(line) for line in str(self._java.records(check)).splitlines())
        pairs = (line.split(",") for line in str(self._java.ended()).splitlines())
        return Ledger(executions, {int(id_): int(end) for id_, end in pairs}, complete)

    def remove(self) -> None:
        """Take the listener off its context."""
        self._java.remove()


def _scala_context(spark: SparkSession) -> Any:
    context: Any = spark.sparkContext
    return context._jsc.sc()


_attached = Attached(Executions.remove)
release = _attached.release


def executions(spark: SparkSession) -> Executions:
    """The listener of the session's context, attached where it is not yet."""
    return _attached.get(spark.sparkContext, lambda: Executions(spark))
