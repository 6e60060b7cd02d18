"""From a query's progress, as Spark reports it, to batches. Pure.

Progress comes in three forms: objects, mappings (PySpark 3.5), and mappings whose rows are values with a schema (3.5 over Connect).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from spark_pd.checks.counts import Counts, Reading, Unknown
from spark_pd.runs.streaming.batch_window import Batch
from spark_pd.runs.streaming.double_counting import BEGUN, DIFFERENT, reading_of


def value(progress: Any, name: str) -> Any:
    """The progress's value of that name."""
    return progress.get(name) if isinstance(progress, Mapping) else getattr(progress, name, None)


def ran(progress: Any) -> bool:
    """Whether a batch was executed: Spark also reports every few seconds that there was nothing to do."""
    return "addBatch" in (value(progress, "durationMs") or {})


def observed_names(progress: Any) -> tuple[str, ...]:
    """The names of what was observed."""
    return tuple(value(progress, "observedMetrics") or {})


def read_rows(progress: Any) -> bool:
    """Whether the batch read any rows from its sources."""
    rows = value(progress, "numInputRows")
    return bool(rows) or any(value(source, "numInputRows") for source in value(progress, "sources") or ())


def batch_of(progress: Any, observed: str | None) -> Batch:
    """The batch, with the counts that were observed under that name."""
    row = (value(progress, "observedMetrics") or {}).get(observed)
    durations = value(progress, "durationMs") or {}
    reading = None if row is None else _reading(row)
    return Batch(
        query_id=str(value(progress, "id")),
        batch_id=int(value(progress, "batchId")),
        at=_time(value(progress, "timestamp")),
        seconds=int(durations.get("triggerExecution", 0)) / 1_000,
        counts=reading if isinstance(reading, Counts) else None,
        unknown=reading.reason if isinstance(reading, Unknown) else None,
    )


def _reading(row: Any) -> Reading | None:
    """The counts of the metrics; None where one is missing."""
    values = dict(row) if isinstance(row, Mapping) else row.asDict()
    if "schema" in values:
        values = dict(zip((field["name"] for field in values["schema"]["fields"]), values["values"], strict=False))
    numbers = [values.get(f"m{n}") for n in range(sum(name not in (BEGUN, DIFFERENT) for name in values))]
    if None in numbers:
        return None
    return reading_of(Counts.of([int(number) for number in numbers if number is not None]), values)


def _time(text: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return datetime.now(timezone.utc)
