"""What a setting is: its names, what it may be, its default, and what it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spark_pd.settings.fields import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting. `field` is where Settings keeps it; `on.start` is the entry `start` of its field `on`."""

    name: str
    field: str
    kind: Kind
    default: Any
    doc: str
    also: tuple[str, ...] = ()
    """Equal names."""
    masked: bool = False
    """Whether its value may not be shown."""
    narrows: bool = False
    """Whether every source's list holds, not the strongest's alone: what one source leaves out, no other can allow."""
