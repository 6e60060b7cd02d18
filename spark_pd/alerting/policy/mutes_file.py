"""The mutes file: YAML that a platform team changes for all its jobs at once. It is read whenever an alert is about to go out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from spark_pd.alerting.policy.mute import Mute
from spark_pd.model.recurring_window import MuteWindow, parse_windows

logger = logging.getLogger("spark_pd.mutes")

LARGEST = 1_000_000  # bytes
PATIENCE = 1.0  # seconds that a run waits for the file: it may be on a disk that hangs
_TEXT = validate.Length(min=1, error="must not be empty")


class _Moment(fields.AwareDateTime):
    """A time with its zone; YAML gives some as text and some as a datetime."""

    default_error_messages = {  # noqa: RUF012 (marshmallow's own attribute)
        "invalid": "is no time such as 2026-12-01T06:00:00+01:00",
        "invalid_awareness": "has no time zone; expected a time such as 2026-12-01T06:00:00+01:00, or with Z at its end",
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        return super()._deserialize(value.isoformat() if isinstance(value, datetime) else value, attr, data, **kwargs)


class _Windows(fields.String):
    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[MuteWindow, ...]:  # type: ignore[override]
        try:
            windows = parse_windows(super()._deserialize(value, attr, data, **kwargs))
        except ValueError as error:
            raise ValidationError(str(error)) from None
        if not windows:
            raise ValidationError("must not be empty")
        return windows


class _MuteSchema(Schema):
    table = fields.String(validate=_TEXT)
    product_id = fields.String(validate=_TEXT)
    environment = fields.String(validate=_TEXT)
    triggers = fields.List(fields.String(validate=_TEXT))
    since = _Moment()
    until = _Moment()
    window = _Windows(data_key="window")
    reason = fields.String(required=True, validate=_TEXT)
    who = fields.String(validate=_TEXT)

    @validates_schema
    def _ends(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        # The mute that nobody remembers is the one without an end.
        if "until" not in data and "window" not in data:
            raise ValidationError("has neither until nor window, so it would never end", "until")


_SCHEMA = _MuteSchema()


class MutesFile:
    """A file of mutes. One that cannot be read mutes nothing, and neither does an entry with a mistake; each is warned of once."""

    def __init__(self, path: Path, *, patience: float = PATIENCE) -> None:
        self.path = path
        self._patience = patience
        self._warned: str | None = None
        self._reader: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"MutesFile({str(self.path)!r})"

    def read(self) -> tuple[Mute, ...]:
        """The mutes that are in it now. Never raises, and waits for a second at most."""
        found: list[bytes | str] = []
        before = self._reader
        if before is None or not before.is_alive():
            self._reader = threading.Thread(target=lambda: found.append(content_of(self.path)), name="spark_pd-mutes", daemon=True)
            try:
                self._reader.start()
                self._reader.join(self._patience)
            except RuntimeError:  # the interpreter ends
                self._reader = None
                found.append(content_of(self.path))
        content = found[0] if found else f"it could not be read within {self._patience:g} s"
        mutes, mistakes = ((), [content]) if isinstance(content, str) else parse_mutes(content)
        self._warn(mistakes)
        return mutes

    def _warn(self, mistakes: list[str]) -> None:
        said = "; ".join(mistakes)
        if said and said != self._warned:
            logger.warning("the mutes file %s is not right, and what is wrong in it mutes nothing: %s", self.path, said)
        self._warned = said


def content_of(path: Path) -> bytes | str:
    """A file's content, or why it cannot be had. Never raises."""
    try:
        with path.expanduser().open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in the path; a path below ~, and no home
        return f"it cannot be read ({getattr(error, 'strerror', None) or type(error).__name__})"
    return content if len(content) <= LARGEST else f"it has more than {LARGEST} bytes"


def parse_mutes(content: bytes) -> tuple[tuple[Mute, ...], list[str]]:
    """The mutes of a file's content, and every mistake in it. Never raises."""
    import yaml

    try:
        document = yaml.safe_load(content)
    except Exception as error:  # PyYAML raises more than its own errors
        mark = getattr(error, "problem_mark", None)
        return (), [f"it is not valid YAML{f' (line {mark.line + 1})' if mark else ''}"]
    if isinstance(document, Mapping) and set(document) == {"mutes"}:
        document = document["mutes"]
    if document is None:
        return (), []
    if not isinstance(document, list):
        return (), ["it holds no list of mutes; expected a list, or a mapping with the one key `mutes`"]
    mutes: list[Mute] = []
    mistakes: list[str] = []
    for number, entry in enumerate(document, 1):
        try:
            loaded: dict[str, Any] = dict(_SCHEMA.load(entry))
        except ValidationError as error:
            mistakes += [f"mute {number}: {name} {_first(found)}" for name, found in error.messages_dict.items()]
        except Exception as error:  # what YAML can hold and marshmallow does not expect
            mistakes.append(f"mute {number} is not right ({type(error).__name__})")
        else:
            triggers, windows = tuple(loaded.pop("triggers", ())), loaded.pop("window", ())
            mutes.append(Mute(**loaded, triggers=triggers, windows=windows))
    return tuple(mutes), mistakes


def _first(found: Any) -> str:
    """The first message that marshmallow has for a field, however deep in a list."""
    while isinstance(found, (list, Mapping)) and found:
        found = next(iter(found.values())) if isinstance(found, Mapping) else found[0]
    return str(found)
