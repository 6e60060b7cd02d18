"""Facts of runs as the listener and the checks tell them, made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.triggers import TRIGGERS, decide
from spark_pd.model import RunStats, Subject
from spark_pd.model.lifecycle import Activity, Lifecycle, LifecycleEvent
from spark_pd.settings import Settings

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
SETTINGS = Settings()
POLICY = TriggerSettings(on=dict.fromkeys(TRIGGERS, True), severity=SETTINGS.severity, error_drop_threshold=100.0, limit=SETTINGS.limit)
BOOM = (
    "org.apache.spark.SparkException: Job aborted.\nCaused by: java.io.IOException: no space for 'alice@example.com'\n\tat x.Y.z(Y.java:1)"
)


def event(kind: str, **fields: Any) -> LifecycleEvent:
    return LifecycleEvent(kind=kind, at=NOW, **fields)  # type: ignore[arg-type]


def lifecycle(*events: LifecycleEvent, others: tuple[LifecycleEvent, ...] = (), incomplete: str | None = None, **counts: int) -> Lifecycle:
    return Lifecycle(activity=Activity(**counts), events=events, unattributed=others, incomplete=incomplete)


def facts(
    seen: Lifecycle | None = None, *, status: str = "passed", seconds: float = 1.0, stats: RunStats | None = None, **fields: Any
) -> RunFacts:
    usual = {
        "subject": Subject(environment="prod", product_id="p", table="sales.orders"), "run_id": "r", "status": status, "stats": stats,
        "unknown": None, "failure": "ValueError: no" if status == "errored" else None, "started_at": NOW,
        "ended_at": NOW + timedelta(seconds=seconds), "application": "nightly", "lifecycle": seen,
    }  # fmt: skip
    return RunFacts(**{**usual, **fields})


def stats(rows: int | None, kept: int | None, status: str = "passed") -> RunStats:
    return RunStats(
        product_id="p", table_name="sales.orders", run_id="r", started_at=NOW, ended_at=NOW, status=status,  # type: ignore[arg-type]
        input_count=rows, error_count=0, dropped_count=None if rows is None or kept is None else rows - kept, output_count=kept,
        exact=rows is not None, counting="operator", rules=(),
    )  # fmt: skip


def decided(some: RunFacts, trigger: str, **limits: float) -> tuple[str, str]:
    """What that trigger concludes, and why."""
    policy = replace(POLICY, limit={**POLICY.limit, **limits})
    return next((e.decision.outcome, e.decision.reason) for e in decide(some, policy) if e.trigger.name == trigger)
