"""The section `triggers` of a settings file: triggers of one's own. Every mistake of all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from functools import cache
from typing import Any, get_args

from spark_pd.model import SEVERITIES, RunStats
from spark_pd.model.lifecycle import Activity
from spark_pd.model.own_trigger import ForEach, OwnTrigger
from spark_pd.settings.expression import Expression, ExpressionError, parse
from spark_pd.settings.fields import shown
from spark_pd.settings.trigger_definitions import TRIGGERS

SECTION = "triggers"
_FIELDS = ("name", "when", "severity", "channels", "threshold", "within", "for_each", "absent")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)", re.ASCII)
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}

STATS_FIELDS = (
    *(each.name for each in fields(RunStats) if each.name not in ("rules", "started_at", "ended_at")),
    "error_percentage",
    "output_percentage",
    "success_percentage",
    "error_drop_percentage",
)
PAST_FIELDS = (
    "status",
    "input_count",
    "error_count",
    "dropped_count",
    "output_count",
    "error_percentage",
    "error_drop_percentage",
)
_MEDIANS = tuple(name for name in PAST_FIELDS if name != "status")
RULE_FIELDS = ("failed_count", "failed_percentage", "observed", "status", "evaluation_errors")
KNOWN = (
    *STATS_FIELDS,
    *(f"lifecycle.{each.name}" for each in fields(Activity)),
    *(f"previous.{name}" for name in PAST_FIELDS),
    *(f"median.{name}" for name in _MEDIANS),
)


@cache
def expression_of(text: str) -> Expression:
    """The expression, with the names that runs have. Raises ExpressionError."""
    return parse(text, KNOWN, RULE_FIELDS)


def read_triggers(section: object, label: str, channels: Sequence[str], mistakes: list[str]) -> tuple[OwnTrigger, ...]:
    """The triggers of the section; what is wrong with them is added to `mistakes`."""
    if section is None:
        return ()
    if not isinstance(section, list):
        mistakes.append(f"triggers (from {label}) is {shown(section)}; expected a list")
        return ()
    found = [each for each in (_trigger(n, given, label, channels, mistakes) for n, given in enumerate(section, 1)) if each is not None]
    names = [each.name for each in found]
    for name in sorted({name for name in names if names.count(name) > 1}):
        mistakes.append(f"triggers (from {label}) has {name!r} {names.count(name)} times; expected each name once")
    return tuple(found)


def _trigger(number: int, given: object, label: str, channels: Sequence[str], mistakes: list[str]) -> OwnTrigger | None:
    where = f"triggers[{number}]"
    before = len(mistakes)

    def wrong(field: str, value: object, expected: str) -> None:
        """Note a mistake."""
        mistakes.append(f"{where}{field} (from {label}) is {shown(value)}; expected {expected}")

    if not isinstance(given, Mapping):
        wrong("", given, f"a mapping of {', '.join(_FIELDS)}")
        return None
    for field in [each for each in given if each not in _FIELDS]:
        nearest = get_close_matches(str(field), _FIELDS, n=1)
        mistakes.append(f"{where} (from {label}) has no field {shown(field)}; {f'did you mean {nearest[0]}?' if nearest else 'see docs'}")
    values: dict[str, Any] = {}
    name = given.get("name")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None or name in TRIGGERS or name == "late":
        wrong(".name", name, "a name of its own in lower case, such as many_drops, that is no built-in trigger's")
    when, absent = given.get("when"), _absent(given.get("absent"), wrong)
    if (when is None) == (absent is None):
        wrong("", name, "either `when` or `absent`")
    if when is not None:
        try:
            expression_of(when if isinstance(when, str) else "")
            values["when"] = when
        except ExpressionError as error:
            mistakes.append(f"{where}.when (from {label}): {error}")
    severity = given.get("severity", "error")
    if severity not in SEVERITIES:
        wrong(".severity", severity, f"one of {', '.join(SEVERITIES)}")
    named = given.get("channels") or []
    named = named if isinstance(named, list) else [named]
    for channel in named:
        if channel not in channels:
            wrong(".channels", channel, f"names of channels ({', '.join(channels) or 'there is none'})")
    threshold = given.get("threshold", 1)
    if isinstance(threshold, bool) or not isinstance(threshold, int) or not 1 <= threshold <= 1000:
        wrong(".threshold", threshold, "a number of runs from 1 to 1000")
    within = _length(given.get("within"), wrong)
    if isinstance(threshold, int) and threshold > 1 and within is None:
        wrong(".within", given.get("within"), "a time beside the threshold, such as 1h")
    if absent is not None and within is None:
        wrong(".within", given.get("within"), "a time beside `absent`, such as 26h")
    for_each = given.get("for_each", "table")
    if for_each not in get_args(ForEach):
        wrong(".for_each", for_each, f"one of {', '.join(get_args(ForEach))}")
    if len(mistakes) > before:
        return None
    return OwnTrigger(
        name=str(name),
        severity=severity,
        channels=tuple(named),
        threshold=threshold,
        within=within,
        for_each=for_each,
        absent=absent,
        **values,
    )


def _absent(given: object, wrong: Any) -> str | None:
    if given is None:
        return None
    table = given.get("table") if isinstance(given, Mapping) and set(given) == {"table"} else None
    if not isinstance(table, str) or not table.strip():
        wrong(".absent", given, "the table that is to have runs, such as {table: sales.orders}")
        return "-"
    return table.strip()


def _length(given: object, wrong: Any) -> float | None:
    if given is None:
        return None
    match = _LENGTH.fullmatch(given.strip()) if isinstance(given, str) else None
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= 366 * 86_400:
        wrong(".within", given, "a time such as 90s, 30m, 1h or 7d")
        return None
    return seconds
