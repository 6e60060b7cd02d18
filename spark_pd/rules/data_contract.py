"""A data contract of the Open Data Contract Standard 3.1 as the source of rules, owner and schedule.

What it cannot express here (texts, other engines' checks, nested properties' quality) is one warning that lists it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

KIND = "DataContract"
_OPERATORS = {
    "mustBe": "=",
    "mustNotBe": "<>",
    "mustBeGreaterThan": ">",
    "mustBeGreaterOrEqualTo": ">=",
    "mustBeLessThan": "<",
    "mustBeLessOrEqualTo": "<=",
    "mustBeBetween": "BETWEEN",
    "mustNotBeBetween": "NOT BETWEEN",
}
# options of logicalTypeOptions, and what must be true of a value that is not NULL
_OPTIONS = {
    "minLength": "length({column}) >= {value}",
    "maxLength": "length({column}) <= {value}",
    "minimum": "{column} >= {value}",
    "maximum": "{column} <= {value}",
    "exclusiveMinimum": "{column} > {value}",
    "exclusiveMaximum": "{column} < {value}",
    "multipleOf": "{column} % {value} = 0",
    "minItems": "size({column}) >= {value}",
    "maxItems": "size({column}) <= {value}",
    "pattern": "{column} RLIKE {value}",
}
_SILENT = frozenset({"format", "timezone", "defaultTimezone", "uniqueItems", "maxProperties", "minProperties", "required"})
_TIME = re.compile(r"(?P<time>([01]?\d|2[0-3]):[0-5]\d)(?P<zone>[+-]\d{2}:00)?", re.ASCII)
_DAYS, _HOURS = ("d", "day", "days"), ("h", "hr", "hour", "hours")


@dataclass(slots=True)
class Contract:
    """What a data contract gives."""

    rules: list[dict[str, Any]] = field(default_factory=list)
    """As spark-expectations' columns, with the contract's own table where it has several."""
    owner: str | None = None
    schedules: list[str] = field(default_factory=list)
    """In the words of `spark-pd watch`."""
    left_out: list[str] = field(default_factory=list)
    """What is in it and cannot be expressed here."""


def is_contract(document: object) -> bool:
    """Whether a YAML document is a data contract."""
    return isinstance(document, Mapping) and document.get("kind") == KIND


def read_contract(document: Mapping[str, Any]) -> Contract:
    """The rules, the owner and the schedules of a contract. Raises ValueError where it is none that can be read."""
    version = str(document.get("apiVersion", ""))
    if not version.startswith("v3."):
        raise ValueError(f"its apiVersion is {version or 'missing'}; expected v3.1.0 or another v3")
    found = Contract(owner=_owner(document.get("team")))
    objects = [each for each in _list(document.get("schema")) if isinstance(each, Mapping)]
    for each in objects:
        table = str(each.get("physicalName") or each.get("name") or "")
        start = len(found.rules)
        _of_object(each, table, found)
        if len(objects) > 1:
            for rule in found.rules[start:]:
                rule["table_name"] = table
    _of_sla(document.get("slaProperties"), [str(each.get("physicalName") or each.get("name")) for each in objects], found)
    return found


def _owner(team: object) -> str | None:
    """Version 3.1: a team with a name. Before: a list of members, of whom the owner has that role."""
    if isinstance(team, Mapping):
        return str(team["name"]) if team.get("name") else None
    for member in _list(team):
        if isinstance(member, Mapping) and str(member.get("role", "")).casefold() in ("owner", "data owner"):
            return str(member.get("username") or member.get("name") or "") or None
    return None


def _of_object(schema: Mapping[str, Any], table: str, found: Contract) -> None:
    keys = []
    for each in _list(schema.get("properties")):
        if isinstance(each, Mapping) and each.get("name"):
            name = str(each.get("physicalName") or each["name"])
            if each.get("primaryKey") is True:
                keys.append(name)
            _of_property(each, name, found)
    if keys:
        columns = ", ".join(map(_quoted, keys))
        _add(
            found, f"{'_'.join(keys)}_primary_key", f"count(*) = count(DISTINCT {columns})", "agg_dq", keys[0], "the primary key is unique"
        )
    for number, quality in enumerate(_list(schema.get("quality")), 1):
        _of_quality(quality, None, f"{table or 'table'}_quality_{number}", found)


def _of_property(given: Mapping[str, Any], name: str, found: Contract) -> None:
    column = _quoted(name)
    about = str(given.get("description") or "") or None
    if given.get("required") is True:
        _add(found, f"{name}_required", f"{column} IS NOT NULL", "row_dq", name, about)
    if given.get("unique") is True:
        _add(found, f"{name}_unique", f"count({column}) = count(DISTINCT {column})", "agg_dq", name, about)
    options = given.get("logicalTypeOptions")
    for option, value in options.items() if isinstance(options, Mapping) else ():
        if option in _OPTIONS and isinstance(value, (int, float, str)) and not isinstance(value, bool):
            holds = _OPTIONS[option].format(column=column, value=_literal(value))
            _add(found, f"{name}_{option}", f"{column} IS NULL OR {holds}", "row_dq", name, about)
        elif option not in _SILENT:
            found.left_out.append(f"{name}.logicalTypeOptions.{option}")
    for number, quality in enumerate(_list(given.get("quality")), 1):
        _of_quality(quality, name, f"{name}_quality_{number}", found)
    nested = [
        each for each in _list(given.get("properties")) if isinstance(each, Mapping) and (each.get("quality") or each.get("required"))
    ]
    found.left_out += [f"{name}.{each.get('name')} (nested)" for each in nested]


def _of_quality(given: object, name: str | None, usual: str, found: Contract) -> None:
    if not isinstance(given, Mapping):
        found.left_out.append(f"{usual} (not a mapping)")
        return
    rule = str(given.get("name") or given.get("id") or usual)
    about = str(given.get("description") or "") or None
    metric = given.get("metric") or given.get("rule")
    kind = str(given.get("type") or ("library" if metric else "text"))
    operators = [(operator, given[operator]) for operator in _OPERATORS if operator in given]
    if kind == "sql" and given.get("query"):
        query = str(given["query"]).strip().rstrip(";").replace("{object}", "{source}").replace("${object}", "{source}")
        query = query.replace("{property}", _quoted(name) if name else "{property}")
        compared = " AND ".join(f"({query}) {_comparison(*each)}" for each in operators) or f"({query})"
        _add(found, rule, compared, "query_dq", name, about)
        return
    if kind != "library" or not operators:
        found.left_out.append(f"{rule} ({kind}{'' if operators or kind != 'library' else ' without an operator'})")
        return
    arguments = given.get("arguments")
    bad = _bad_row(str(metric), name, arguments if isinstance(arguments, Mapping) else {})
    if bad is not None and operators == [("mustBe", 0)]:
        _add(found, rule, f"NOT ({bad})", "row_dq", name, about)
        return
    value = f"count_if({bad})" if bad is not None else _aggregate(str(metric), name, arguments if isinstance(arguments, Mapping) else {})
    if value is None:
        found.left_out.append(f"{rule} (metric {metric})")
        return
    if given.get("unit") == "percent":
        value = f"100.0 * {value} / count(*)"
    _add(found, rule, " AND ".join(f"{value} {_comparison(*each)}" for each in operators), "agg_dq", name, about)


def _bad_row(metric: str, name: str | None, arguments: Mapping[str, Any]) -> str | None:
    """What is true of a row that the metric counts; None for a metric that does not count rows one by one."""
    if name is None:
        return None
    column = _quoted(name)
    if metric == "nullValues":
        return f"{column} IS NULL"
    if metric == "missingValues" and isinstance(arguments.get("missingValues"), list):
        values = arguments["missingValues"]
        parts = [f"{column} IS NULL"] if None in values else []
        listed = ", ".join(_literal(each) for each in values if each is not None)
        parts += [f"({column} IS NOT NULL AND cast({column} AS string) IN ({listed}))"] if listed else []
        return " OR ".join(parts) or None
    if metric == "invalidValues":
        if isinstance(arguments.get("validValues"), list) and arguments["validValues"]:
            return f"{column} IS NOT NULL AND {column} NOT IN ({', '.join(map(_literal, arguments['validValues']))})"
        if isinstance(arguments.get("pattern"), str):
            return f"{column} IS NOT NULL AND NOT ({column} RLIKE {_literal(arguments['pattern'])})"
    return None


def _aggregate(metric: str, name: str | None, arguments: Mapping[str, Any]) -> str | None:
    if metric == "rowCount":
        return "count(*)"
    if metric == "duplicateValues":
        several = [str(each) for each in _list(arguments.get("properties"))]
        if several:
            return f"(count(*) - count(DISTINCT struct({', '.join(map(_quoted, several))})))"
        if name is not None:
            return f"(count({_quoted(name)}) - count(DISTINCT {_quoted(name)}))"
    return None


def _comparison(operator: str, value: Any) -> str:
    symbol = _OPERATORS[operator]
    if symbol.endswith("BETWEEN"):
        low, high = value if isinstance(value, list) and len(value) == 2 else (value, value)
        return f"{symbol} {_literal(low)} AND {_literal(high)}"
    return f"{symbol} {_literal(value)}"


def _add(found: Contract, name: str, expectation: str, kind: str, column: str | None, about: str | None) -> None:
    taken = {rule["rule"] for rule in found.rules}
    number = 2
    unique = name
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    rule = {"rule": unique, "expectation": expectation, "rule_type": kind, "column_name": column, "description": about}
    found.rules.append({key: value for key, value in rule.items() if value is not None})


def _of_sla(properties: object, tables: Sequence[str], found: Contract) -> None:
    """`frequency` of a day or an hour, and `timeOfAvailability`, are a schedule."""
    given = {str(each.get("property", "")).casefold(): each for each in _mappings(properties)}
    frequency, available = given.get("frequency"), given.get("timeofavailability")
    if available is None and frequency is None:
        return
    unit = str(frequency.get("unit", "")).casefold() if frequency is not None else "d"
    once = frequency is None or str(frequency.get("value")) in ("1", "1.0")
    if once and unit in _HOURS:
        found.schedules += [f"{table} hourly" for table in tables]
        return
    time = _TIME.fullmatch(str(available.get("value", "")).strip()) if available is not None else None
    if once and unit in _DAYS and time is not None:
        zone = _zone(time["zone"])
        found.schedules += [f"{table} every day by {time['time']}{f' {zone}' if zone else ''}" for table in tables]
        return
    found.left_out.append("slaProperties: expected a frequency of 1 d with a timeOfAvailability such as 09:00-08:00, or of 1 h")


def _zone(offset: str | None) -> str:
    """The IANA name of a whole offset: its sign is the other way round there."""
    if offset is None or int(offset[1:3]) == 0:
        return "" if offset is None else "UTC"
    return f"Etc/GMT{'+' if offset[0] == '-' else '-'}{int(offset[1:3])}"


def _mappings(value: object) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in _list(value) if isinstance(each, Mapping))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _quoted(name: str) -> str:
    return ".".join(f"`{part.replace('`', '``')}`" for part in name.split("."))


def _literal(value: Any) -> str:
    """A value as SQL has it."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, (int, float)):
        return repr(value)
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
