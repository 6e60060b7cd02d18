"""A trigger of one's own, as the settings describe it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from spark_pd.model.alert import Severity

ForEach: TypeAlias = Literal["table", "product_id", "environment", "owner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTrigger:
    """Fires where `when` holds, from `threshold` runs `within` so many seconds on; or where a table has no run `within` that time."""

    name: str
    when: str | None = None
    severity: Severity = "error"
    channels: tuple[str, ...] = ()
    """Where its alerts go, whatever the routes say. Empty: as the routes say."""
    threshold: int = 1
    within: float | None = None
    """Seconds."""
    for_each: ForEach = "table"
    """What runs are counted together."""
    absent: str | None = None
    """The table of which no run came; `spark-pd watch` judges that."""
