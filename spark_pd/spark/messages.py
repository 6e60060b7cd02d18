"""Walking Spark Connect's protocol messages, whatever their types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def fields(message: Any, name: str) -> Iterator[Any]:
    """The values of every scalar field of that name, at any depth."""
    for field, value in message.ListFields():
        if field.message_type is None:
            if field.name == name:
                yield value
        elif hasattr(value, "ListFields"):
            yield from fields(value, name)
        else:  # a list of messages, or a map with messages or scalars for values
            items = value.values() if hasattr(value, "values") else value
            yield from (found for item in items if hasattr(item, "ListFields") for found in fields(item, name))
