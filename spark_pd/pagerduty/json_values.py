"""Any Python value as one that JSON can hold: PagerDuty refuses a whole event for one NaN in its details."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime, timezone
from enum import Enum
from typing import TypeAlias

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"

DEPTH = 16  # levels; deeper is a mistake or a circle
_LARGEST = 2**63  # beyond it many JSON readers lose the value, and Python refuses to print the longest at all


def plain(value: object, _depth: int = 0) -> Plain:
    """The value in JSON's types, its strings fit for UTF-8. What JSON has no word for becomes its text. Never raises."""
    try:
        return _plain(value, _depth)
    except Exception:
        return f"(a {type(value).__qualname__} that could not be read)"


def text(value: str) -> str:
    """The string without lone surrogates (UTF-8 cannot carry them) and NUL (stores cannot)."""
    return str.__str__(value).encode("utf-8", "replace").decode("utf-8").replace("\0", " ")


def timestamp(at: datetime) -> str:
    """ISO 8601 in UTC with a `Z`, to the millisecond. A time without a zone is taken as UTC."""
    try:
        utc = at.astimezone(timezone.utc) if at.tzinfo is not None else at
    except OverflowError:  # the first and the last day that Python knows
        utc = at
    return utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _plain(value: object, depth: int) -> Plain:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return plain(value.value, depth + 1)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, numbers.Integral):
        whole = int(value)
        return whole if abs(whole) < _LARGEST else f"(an integer of {whole.bit_length()} bits)"
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if math.isfinite(number) else str(number)
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return text(value.decode("utf-8", "replace"))
    if isinstance(value, (Mapping, Set, Sequence)):
        return "..." if depth >= DEPTH else _collection(value, depth + 1)
    return text(str(value))


def _collection(value: Mapping[object, object] | Set[object] | Sequence[object], depth: int) -> Plain:
    if isinstance(value, Mapping):
        fields: dict[str, Plain] = {}
        for key, item in value.items():
            fields[_unused(str(plain(key, depth)), fields)] = plain(item, depth)
        return fields
    items = [plain(item, depth) for item in value]
    # A set has no order of its own: two equal alerts are to be two equal events.
    return sorted(items, key=repr) if isinstance(value, Set) else items


def _unused(name: str, taken: Mapping[str, object]) -> str:
    """The name, numbered where another key has the same text (1 and "1")."""
    unused, n = name, 2
    while unused in taken:
        unused, n = f"{name} ({n})", n + 1
    return unused
