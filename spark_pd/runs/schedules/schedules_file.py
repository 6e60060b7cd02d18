"""A YAML file of schedules, and those of a command line. Every mistake of all of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from spark_pd.alerting.policy.mutes_file import content_of
from spark_pd.model.errors import SettingsError
from spark_pd.rules.data_contract import is_contract, read_contract
from spark_pd.runs.schedules.schedule import Schedule
from spark_pd.runs.schedules.schedule_grammar import EXAMPLE, parse_schedule, parse_when

_TEXT = validate.Length(min=1, error="must not be empty")


class _EntrySchema(Schema):
    table = fields.String(required=True, validate=_TEXT)
    when = fields.String(required=True, validate=_TEXT)
    product_id = fields.String(validate=_TEXT)
    scope = fields.String(validate=_TEXT)
    job = fields.String(validate=_TEXT)


_SCHEMA = _EntrySchema()


def schedules_of(texts: Sequence[str], file: Path | None) -> tuple[Schedule, ...]:
    """The schedules of a command line and of a file. Raises SettingsError with every mistake, and where each is."""
    entries: list[tuple[str, Any]] = [(f"schedule {number} of the command line", text) for number, text in enumerate(texts, 1)]
    mistakes: list[str] = []
    if file is not None:
        listed, mistakes = _listed(file)
        entries += [(f"schedule {number} of {file}", entry) for number, entry in enumerate(listed, 1)]
    found: dict[tuple[str, ...], tuple[str, Schedule]] = {}
    for place, entry in entries:
        schedule, wrong = _parsed(entry)
        mistakes += [f"{place} ({_named(entry)}): {one}" for one in wrong]
        if schedule is None:
            continue
        identity = (
            schedule.table.replace("`", "").casefold(),
            *(part or "" for part in (schedule.product_id, schedule.scope, schedule.job)),
        )
        if identity in found:
            mistakes.append(
                f"{place} ({_named(entry)}): {found[identity][0]} is about the same runs; expected one schedule for each table, scope and "
                "job: for several times a day use cron, such as cron 0 6,18 * * *"
            )
        found.setdefault(identity, (place, schedule))
    if not entries and not mistakes:
        mistakes.append(f'there is no schedule; give one, such as "{EXAMPLE}", or a file of them by --schedules')
    if mistakes:
        raise SettingsError(mistakes)
    return tuple(schedule for _, schedule in found.values())


def _listed(file: Path) -> tuple[list[Any], list[str]]:
    """The entries of a file, and what is wrong with it as a whole."""
    import yaml

    content = content_of(file)
    if isinstance(content, str):
        return [], [f"the schedules file {file}: {content}"]
    try:
        document = yaml.safe_load(content)
    except Exception as error:  # PyYAML raises more than its own errors
        mark = getattr(error, "problem_mark", None)
        return [], [f"the schedules file {file} is not valid YAML{f' (line {mark.line + 1})' if mark else ''}"]
    if is_contract(document):
        return _of_contract(document, file)
    if isinstance(document, Mapping) and set(document) == {"schedules"}:
        document = document["schedules"]
    if not isinstance(document, list) or not document:
        return [], [f"the schedules file {file} holds no list of schedules; expected a list, or a mapping with the one key `schedules`"]
    return document, []


def _of_contract(document: Mapping[str, Any], file: Path) -> tuple[list[Any], list[str]]:
    """The schedules that a data contract promises."""
    try:
        found = read_contract(document).schedules
    except ValueError as error:
        return [], [f"the data contract {file}: {error}"]
    wanted = "expected slaProperties with a frequency of 1 d and a timeOfAvailability such as 09:00-08:00"
    return list(found), [] if found else [f"the data contract {file} promises no schedule; {wanted}"]


def _parsed(entry: Any) -> tuple[Schedule | None, Sequence[str]]:
    if isinstance(entry, str):
        return parse_schedule(entry)
    if not isinstance(entry, Mapping):
        return None, [f"it is no text such as {EXAMPLE!r}, and no mapping with table and when"]
    try:
        loaded: dict[str, Any] = dict(_SCHEMA.load(entry))
    except ValidationError as error:
        return None, [f"{name}: {_first(found)}" for name, found in error.messages_dict.items()]
    except Exception as error:  # what YAML can hold and marshmallow does not expect
        return None, [f"it is not right ({type(error).__name__})"]
    schedule, wrong = parse_when(loaded.pop("table"), loaded.pop("when"))
    return (None, wrong) if schedule is None else (replace(schedule, **loaded), ())


def _named(entry: Any) -> str:
    """An entry in a message: the text as it was given, or its table."""
    return repr(entry if isinstance(entry, str) else entry.get("table") if isinstance(entry, Mapping) else entry)


def _first(found: Any) -> str:
    while isinstance(found, (list, Mapping)) and found:
        found = next(iter(found.values())) if isinstance(found, Mapping) else found[0]
    return str(found)
