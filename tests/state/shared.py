"""Memories, and stores that forget where they are not to be found."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from spark_pd.delivery.state import FileStateStore
from spark_pd.model.incident_state import IncidentState

KEY = "spark_pd/prod/sales/sales.orders/failure"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)


def memory(key: str = KEY, **fields: Any) -> IncidentState:
    usual: dict[str, Any] = {
        "outcome": "firing",
        "run_started_at": NOW,
        "bad_runs": 1,
        "open_since": NOW,
        "paged_at": NOW,
        "severity": "error",
    }
    return IncidentState(dedup_key=key, **{**usual, **fields})


def saved(store: FileStateStore, *memories: IncidentState) -> bool:
    with store.hold([each.dedup_key for each in memories]) as held:
        return held.save(memories)


def found(store: FileStateStore, *keys: str) -> dict[str, IncidentState] | None:
    """What is remembered; None where that is not known."""
    with store.hold(keys or (KEY,)) as held:
        return dict(held.memories) if held.known else None


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder).parent) for path in folder.rglob("*") if path.is_file() and path.parent.name != "locks")
