"""Reads the runs of all scheduled subjects from the stats table and the state's table, in three queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyspark.sql import functions as F

from spark_pd.runs.schedules.late_judge import BegunRun, EndedRun, Known
from spark_pd.spark.tables import Table, time_of

MOST_ROWS = 50_000
"""Of all subjects together, the newest."""
_NEEDED = {"subject", "started_at", "ended_at", "status"}


@dataclass(frozen=True, slots=True)
class KnownRunsReader:
    """The tables that are read. A table that does not exist counts as one without runs."""

    stats: Table
    state: Table

    def read(self, since: Mapping[str, datetime]) -> dict[str, Known]:
        """What is known of each subject (`Subject.prefix`): of its runs those that ended from that time on. Raises what Spark raises.

        Raises LookupError, with what is missing, for a stats table that lacks the columns of ours that say when runs ended.
        """
        frame = self.stats.read()
        if frame is None:
            return {subject: Known() for subject in since}
        missing = _NEEDED - {name.casefold() for name in frame.columns}
        if missing:
            raise LookupError(f"it lacks the columns {', '.join(sorted(missing))}, which spark_pd's own runs write")
        ended, first = _ended(frame, since), _first(frame, list(since))
        begun = _begun(self.state, since, {run.run_id for runs in ended.values() for run in runs})
        return {
            subject: Known(ended=tuple(ended.get(subject, ())), begun=tuple(begun.get(subject, ())), first_at=first.get(subject))
            for subject in since
        }


def _ended(frame: Any, since: Mapping[str, datetime]) -> dict[str, list[EndedRun]]:
    there = {name.casefold() for name in frame.columns}
    reported = "exists(deliveries, d -> d.trigger = 'failure' AND d.state = 'firing' AND d.status IN ('sent', 'queued'))"
    rows = (
        frame.where(F.col("subject").isin(list(since)) & (F.expr("unix_micros(ended_at)") >= _micros(min(since.values()))))
        .select(
            "subject",
            "status",
            (F.col("meta_dq_run_id") if "meta_dq_run_id" in there else F.lit("")).alias("run_id"),
            # Numbers, since what a timestamp becomes in Python depends on the session's and the machine's time zones.
            F.expr("unix_micros(started_at)").alias("started_at"),
            F.expr("unix_micros(ended_at)").alias("ended_at"),
            (F.expr(reported) if "deliveries" in there else F.lit(False)).alias("reported"),
        )
        .where(F.col("started_at").isNotNull())
        .orderBy(F.col("ended_at").desc())
        .limit(MOST_ROWS)
        .collect()
    )
    found: dict[str, list[EndedRun]] = {}
    for row in reversed(rows):
        ended_at = time_of(row["ended_at"])
        if ended_at >= since[row["subject"]]:
            run = EndedRun(
                run_id=row["run_id"] or "",
                started_at=time_of(row["started_at"]),
                ended_at=ended_at,
                status=row["status"] or "unknown",
                reported=bool(row["reported"]),
            )
            found.setdefault(row["subject"], []).append(run)
    return found


def _first(frame: Any, subjects: Sequence[str]) -> dict[str, datetime]:
    rows = frame.where(F.col("subject").isin(subjects)).groupBy("subject").agg(F.expr("unix_micros(min(started_at))").alias("at")).collect()
    return {row["subject"]: time_of(row["at"]) for row in rows if row["at"] is not None}


def _begun(table: Table, since: Mapping[str, datetime], over: set[str]) -> dict[str, list[BegunRun]]:
    """The runs that recorded their start but no end, neither there nor in the stats table."""
    frame = table.read()
    if frame is None:
        return {}
    first = min(since.values())
    rows = (
        frame.where(F.col("subject").isin(list(since)) & (F.col("month") >= first.year * 100 + first.month))
        .groupBy("subject", "run_id")
        .agg(F.expr("unix_micros(min(at))").alias("at"), F.expr("bool_or(event = 'ended')").alias("ended"))
        .where("NOT ended")
        .orderBy(F.col("at").desc())
        .limit(MOST_ROWS)
        .collect()
    )
    found: dict[str, list[BegunRun]] = {}
    for row in reversed(rows):
        at = time_of(row["at"])
        if at >= since[row["subject"]] and row["run_id"] not in over:
            found.setdefault(row["subject"], []).append(BegunRun(run_id=row["run_id"], began_at=at))
    return found


def _micros(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000
