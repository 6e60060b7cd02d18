"""A source of batches, and rules over it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyspark

DROP = {"rule": "positive", "expectation": "id > 0", "action_if_failed": "drop"}
IGNORE = {"rule": "below_90", "expectation": "id < 90", "action_if_failed": "ignore"}
RULES = [DROP, IGNORE]
ON = {
    "spark.pd.on.error_drop_threshold": True,
    "spark.pd.on.ignored_rules": True,
    "spark.expectations.notifications.error.drop.threshold": 20,
}
GOOD = (1, 2, 3, 4)
BAD = (1, 2, -3, -4)
LIMIT = 60.0
COUNTS_ONCE = tuple(int(part) for part in pyspark.__version__.split(".")[:2]) >= (4, 3)
"""Whether Spark itself counts what it computes again once (SPARK-58183)."""


class Source:
    """A folder of JSON files that a stream reads, one file a batch, in their order."""

    def __init__(self, spark: Any, folder: Path) -> None:
        self._spark = spark
        self.folder = folder
        self._files = 0
        (folder / "in").mkdir()

    def put(self, *batches: Iterable[int]) -> None:
        """Rows for so many batches."""
        for rows in batches:
            self._files += 1
            hidden = self.folder / f"_{self._files}"
            hidden.write_text("".join(json.dumps({"id": n}) + "\n" for n in rows))
            hidden.rename(self.folder / "in" / f"{self._files:04d}.json")

    def stream(self) -> Any:
        """The stream."""
        return self._spark.readStream.schema("id long").option("maxFilesPerTrigger", 1).json(str(self.folder / "in"))

    def start(self, df: Any, name: str | None = None, *, checkpoint: str = "checkpoint", now: bool = True) -> Any:
        """A query that writes it to a folder; it ends once it has read all there is, unless it is to go on."""
        writer = df.writeStream.format("parquet").option("checkpointLocation", str(self.folder / checkpoint))
        return self._started(writer.option("path", str(self.folder / f"out-{checkpoint}")), name, now)

    def each(self, function: Any, name: str | None = None) -> Any:
        """A query that gives each batch to a function."""
        writer = self.stream().writeStream.foreachBatch(function).option("checkpointLocation", str(self.folder / "checkpoint"))
        return self._started(writer, name, True)

    def _started(self, writer: Any, name: str | None, now: bool) -> Any:
        writer = writer.queryName(name) if name else writer
        return (writer.trigger(availableNow=True) if now else writer.trigger(processingTime="50 milliseconds")).start()

    def rows(self, checkpoint: str = "checkpoint") -> list[int]:
        """What was written."""
        return sorted(row.id for row in self._spark.read.parquet(str(self.folder / f"out-{checkpoint}")).collect())


def until(condition: Callable[[], object]) -> None:
    """Wait until that holds."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def outcomes(watched: Any) -> dict[str, str]:
    """What was decided, by trigger."""
    return {decision.trigger: decision.outcome for decision in watched.decisions}


def decided(watched: Any, trigger: str) -> tuple[str, str]:
    """What was decided of one trigger, and why."""
    return next((d.outcome, d.reason) for d in watched.decisions if d.trigger == trigger)


def open_triggers(pagerduty: Any) -> list[str]:
    """The triggers of the incidents that are open."""
    return sorted(incident.dedup_key.rpartition("/")[2] for incident in pagerduty.open_incidents())
