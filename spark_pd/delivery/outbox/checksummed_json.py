"""JSON with a version and a checksum, so that half a file is never taken for a whole one, nor another version's for ours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")


class OtherVersion(ValueError):
    """A file that is whole, and not for us to read or change."""


def compact(value: object) -> str:
    """The one way in which a value is written, so that its checksum can be told again. Raises ValueError for what JSON has no word for."""
    # ASCII alone: a lone surrogate in a name comes back as it was.
    return json.dumps(value, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"))


def seal(name: str, content: dict[str, Any]) -> bytes:
    """The content under that name, with its checksum beside it. Its "version" is the writer's to give."""
    return compact({"sha256": _digest(content), name: content}).encode("ascii") + b"\n"


def unseal(name: str, data: bytes, *, version: int, read: Callable[[dict[str, Any]], Value]) -> Value:
    """What `read` makes of the content that was sealed under that name.

    Raises OtherVersion for what another version wrote, ValueError for everything else that is wrong, saying what without quoting it.
    """
    try:
        outer = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is no whole JSON") from None
    if not isinstance(outer, dict) or not isinstance(outer.get(name), dict):
        raise ValueError("it is JSON of another shape")
    content: dict[str, Any] = outer[name]
    if outer.get("sha256") != _digest(content):
        raise ValueError("its checksum is not that of its content")
    if content.get("version") != version:
        raise OtherVersion("another version of spark_pd wrote it")
    try:
        return read(content)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ValueError(f"a field is missing or of another kind ({type(error).__name__})") from None


def text(value: object) -> str:
    """A field that is a text. Raises TypeError for everything else."""
    if not isinstance(value, str):
        raise TypeError
    return value


def optional(value: object) -> str | None:
    """A field that is a text or null. Raises TypeError for everything else."""
    return None if value is None else text(value)


def _digest(content: object) -> str:
    return hashlib.sha256(compact(content).encode("ascii")).hexdigest()
