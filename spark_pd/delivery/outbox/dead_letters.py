"""Whether an alert that was handed over became a dead letter since: then nobody was told by it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from spark_pd.delivery.outbox.entry import incident_line, parse_name


def died_since(outbox: Path, channel: str, dedup_key: str, since: datetime) -> bool:
    """Whether there is a dead letter of this incident from `since` on, by the names of the files alone. Never raises."""
    line, earliest = incident_line(channel, dedup_key), int(since.timestamp() * 1e9)
    with suppress(OSError):
        names = [parse_name(path.name) for path in (outbox / "dead").iterdir() if line in path.name]
        return any(name is not None and name.line == line and name.stamp >= earliest for name in names)
    return False
