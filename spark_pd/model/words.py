"""Names in sentences."""

from __future__ import annotations

from collections.abc import Sequence


def names(values: Sequence[str]) -> str:
    """Names for a sentence: `a, b and c`."""
    if len(values) < 2:
        return "".join(values)
    return f"{', '.join(values[:-1])} and {values[-1]}"
