"""Earlier runs, as the history has them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from spark_pd.alerting.past_runs import PastRun

T0 = datetime(2026, 11, 20, 3, 0, tzinfo=timezone.utc)
"""A Friday."""


def run(days_ago: float, **fields: Any) -> PastRun:
    """A good run of 1,000 rows, so many days before T0."""
    usual: dict[str, Any] = {
        "run_id": f"r{days_ago:g}",
        "started_at": T0 - timedelta(days=days_ago),
        "status": "passed",
        "exact": True,
        "input_count": 1000,
        "error_count": 0,
        "dropped_count": 0,
    }
    return PastRun(**{**usual, **fields})


def days(count: int, **fields: Any) -> tuple[PastRun, ...]:
    """A run on each of the last days, newest first."""
    return tuple(run(n, **fields) for n in range(1, count + 1))
