"""A subject's earlier runs out of the stats table: its own rows only, the columns that are needed, the newest."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pyspark.sql import functions as F

from spark_pd.alerting.past_runs import PastRun
from spark_pd.spark.column_fitting import quoted
from spark_pd.spark.tables import Table, time_of

TYPES = {"exact": "boolean", "input_count": "bigint", "error_count": "bigint", "dropped_count": "bigint"}
"""Of columns that somebody may have made with another type; the others are texts."""
NEEDED = ("subject", "started_at", "meta_dq_run_id", "status", "exact", "input_count", "error_count", "dropped_count", "rules", "decisions")


def past_runs(table: Table, subject: str, *, most: int) -> tuple[PastRun, ...]:
    """The newest `most` runs of a subject (`Subject.prefix`), newest first. Empty where there is no table. Raises what Spark raises.

    A table that lacks columns of ours, as one that spark-expectations made, gives runs without what they would say.
    """
    newest = newest_runs(table, subject, most=most)
    return () if newest is None else tuple(_past(row.asDict(recursive=True)) for row in newest.collect())


def newest_runs(table: Table, subject: str, *, most: int) -> Any:
    """Their rows as a DataFrame. None where there are none for sure."""
    frame = table.read()
    if frame is None:
        return None
    there = {name.casefold(): F.col(quoted(name)) for name in frame.columns}
    if not {"subject", "started_at"} <= there.keys():
        return None
    # A number, since what a timestamp becomes in Python depends on the session's and the machine's time zones.
    columns = [F.unix_micros(there["started_at"].cast("timestamp_ltz")).alias("started_at")]
    plain = [name for name in NEEDED[2:] if name in there and name not in ("rules", "decisions")]
    columns += [there[name].cast(TYPES.get(name, "string")).alias(name) for name in plain]
    if "rules" in there:
        columns.append(F.expr("transform(rules, r -> named_struct('name', r.name, 'share', r.failed_percentage))").alias("rules"))
    if "decisions" in there:
        columns.append(F.expr("transform(decisions, d -> named_struct('trigger', d.trigger, 'outcome', d.outcome))").alias("decisions"))
    mine = frame.where((there["subject"] == F.lit(subject)) & there["started_at"].isNotNull())
    return mine.select(*columns).orderBy(F.col("started_at").desc()).limit(most)


def _past(row: Mapping[str, Any]) -> PastRun:
    decisions = row.get("decisions") or ()
    return PastRun(
        run_id=row.get("meta_dq_run_id") or "",
        started_at=time_of(row["started_at"]),
        status=row.get("status") or "unknown",
        exact=bool(row.get("exact")),
        input_count=row.get("input_count"),
        error_count=row.get("error_count"),
        dropped_count=row.get("dropped_count"),
        rules=MappingProxyType({each["name"]: each["share"] for each in row.get("rules") or () if each["share"] is not None}),
        firing=tuple(each["trigger"] for each in decisions if each["outcome"] == "firing"),
    )
