"""From a list, a file, a DataFrame or a table to a tuple of Rule, with every mistake in one error.

The keys are spark-expectations' columns. A NULL in an optional column means its default.
"""

from __future__ import annotations

import csv
import difflib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError, validate
from marshmallow import fields as mf

from spark_pd.model import PRIORITIES, Rule, names, normalized_table
from spark_pd.model.errors import RulesError, UsageError
from spark_pd.rules.data_contract import is_contract, read_contract
from spark_pd.rules.placeholders import expectation, filled

_log = logging.getLogger("spark_pd.rules")

FILES = (".yaml", ".yml", ".json", ".csv")
RULE_TYPES = ("row_dq", "agg_dq", "query_dq")
ACTIONS = ("ignore", "drop", "fail")
INCIDENTS = ("table", "rule")
HASHES = ("id_hash", "expectation_hash")  # columns that spark-expectations computes for its own use
CODE, NO_RULES = "code", "nowhere"  # the source of rules that are not from a file or table


class _Boolean(mf.Boolean):
    """true and false only, as a boolean or as text (the values of a CSV are texts)."""

    truthy = {True, "true", "True", "TRUE"}  # noqa: RUF012 (marshmallow's own attribute)
    falsy = {False, "false", "False", "FALSE"}  # noqa: RUF012

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class _Threshold(mf.Float):
    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class _Word(mf.String):
    """One of a few words, in any case."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return str(super()._deserialize(value, attr, data, **kwargs)).strip().lower()


_TEXT = validate.Length(min=1, error="must not be empty")
_PERCENT = validate.Range(0, 100, error="is {input}; expected 0 to 100")


def _one_of(words: Sequence[str]) -> validate.OneOf:
    return validate.OneOf(words, error="is {input!r}; expected one of {choices}")


class _RuleSchema(Schema):
    rule = mf.String(required=True, validate=_TEXT)
    expectation = mf.String(required=True, validate=_TEXT)
    rule_type = mf.String(validate=_one_of(RULE_TYPES))
    action_if_failed = mf.String(validate=_one_of(ACTIONS))
    column_name = mf.String()
    tag = mf.String()
    description = mf.String()
    priority = _Word(validate=_one_of(PRIORITIES))
    is_active = _Boolean()
    product_id = mf.String()
    table_name = mf.String()
    enable_for_source_dq_validation = _Boolean()
    enable_for_target_dq_validation = _Boolean()
    enable_error_drop_alert = _Boolean()
    error_drop_threshold = _Threshold(validate=_PERCENT)
    query_dq_delimiter = mf.String()
    enable_querydq_custom_output = _Boolean()
    warning_threshold = _Threshold(validate=_PERCENT)
    incident = _Word(validate=_one_of(INCIDENTS))


_SCHEMA = _RuleSchema()
COLUMNS = tuple(_SCHEMA.fields)


def load_rules(
    source: Any, *, spark: Any = None, product_id: str | None = None, table: str | None = None, params: Mapping[str, str] | None = None
) -> tuple[Rule, ...]:
    """The rules of `source`: a list of mappings or Rule, a DataFrame, the path of a .yaml, .yml, .json or .csv file, or a table's name.

    None gives no rules. Where the caller names a product or table, the rules of other products or tables are left out. `params` replace
    their names in braces.
    Raises RulesError with every mistake, and UsageError for anything that is not a source of rules.
    """
    if source is None:
        return ()
    where, rows = _rows(source, spark)
    rules: list[Rule] = []
    mistakes: list[str] = []
    for place, row in enumerate(rows, 1):
        found = _rule(row, f"{where}, rule {place}")
        if isinstance(found, Rule):
            rules.append(_placed(found, params or {}))
        else:
            mistakes += found
    wanted = [rule for rule in rules if _for(rule, product_id, table)]
    mistakes += [
        f"{where}: {n} rules are named {name!r}; expected a different name for each rule"
        for name, n in Counter(r.name for r in wanted).items()
        if n > 1
    ]
    mistakes += [f"{where}: rule {rule.name!r} {mistake}" for rule in wanted for mistake in _contradictions(rule)]
    ready: list[Rule] = []
    for rule in wanted:
        try:
            ready.append(replace(rule, expectation=expectation(rule, params or {})) if rule.is_active else rule)
        except ValueError as error:
            mistakes.append(f"{where}: rule {rule.name!r}: {error}")
    if mistakes:
        raise RulesError(mistakes)
    for note in idle(ready):
        _log.warning("%s: %s", where, note)
    return tuple(ready)


def idle(rules: Iterable[Rule]) -> list[str]:
    """What the active rules set without effect, one sentence for each kind: it may stand in spark-expectations' tables."""
    active = [rule for rule in rules if rule.is_active]
    alerts = [rule.name for rule in active if rule.enable_error_drop_alert and rule.rule_type != "row_dq"]
    outputs = [rule.name for rule in active if rule.enable_querydq_custom_output]
    notes = []
    if alerts:
        notes.append(f"enable_error_drop_alert is for rules of type row_dq, so it does nothing for {names(alerts)}")
    if outputs:
        kept = "the rows of a query's parts are not stored, only its value is"
        notes.append(f"enable_querydq_custom_output does nothing for {names(outputs)}: {kept}")
    return notes


def _contradictions(rule: Rule) -> list[str]:
    """Where a rule's columns contradict each other."""
    found = []
    whole = rule.rule_type != "row_dq"
    if rule.action_if_failed == "drop" and whole:
        found.append(f"is of type {rule.rule_type} and has no rows to drop; expected action_if_failed ignore or fail")
    if rule.warning_threshold is not None and (whole or not rule.enable_error_drop_alert):
        found.append("has a warning_threshold that is never compared; expected type row_dq and enable_error_drop_alert true")
    elif rule.warning_threshold is not None and rule.warning_threshold >= (rule.error_drop_threshold or 0):
        alarm = rule.error_drop_threshold or 0
        found.append(f"has the warning_threshold {rule.warning_threshold:g}; expected less than its error_drop_threshold, {alarm:g}")
    if rule.incident == "rule" and rule.action_if_failed != "ignore" and (whole or not rule.enable_error_drop_alert):
        found.append(
            "asks for an incident of its own, which could never open; expected action_if_failed ignore, "
            "or enable_error_drop_alert true for a rule of type row_dq"
        )
    return found


def source_of(source: Any) -> str:
    """Where rules come from, to compare the sources of two runs: `table <name>`, `file <path>`, `code` or `nowhere`. No I/O."""
    if source is None:
        return NO_RULES
    if isinstance(source, Path) or (isinstance(source, str) and source.lower().endswith(FILES)):
        return f"file {source}"
    return f"table {normalized_table(source)}" if isinstance(source, str) else CODE


def _placed(rule: Rule, params: Mapping[str, str]) -> Rule:
    """The rule with the parameters in its name, table and product: `orders_{env}`."""
    places = ("name", "product_id", "table_name")
    texts: dict[str, Any] = {name: filled(text, params) for name in places if (text := getattr(rule, name)) is not None}
    return replace(rule, **texts)


def _for(rule: Rule, product_id: str | None, table: str | None) -> bool:
    other_product = rule.product_id is not None and product_id is not None and rule.product_id != product_id
    other_table = rule.table_name is not None and table is not None and normalized_table(rule.table_name) != normalized_table(table)
    return not (other_product or other_table)


def _rows(source: Any, spark: Any) -> tuple[str, Iterable[Any]]:
    """Where the rules come from, for messages, and each rule as it is there."""
    if isinstance(source, Path) or (isinstance(source, str) and source.lower().endswith(FILES)):
        return str(source), _file_rows(Path(source))
    if isinstance(source, str):
        if spark is None:
            raise UsageError(
                f"the rules {source!r} are a table, which needs a Spark session; expected a file ending in {', '.join(FILES)}, or a list"
            )
        try:
            return f"table {source}", _frame_rows(spark.table(source))
        except Exception as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise RulesError([f"the rules table {source!r} could not be read: {first}"]) from error
    if hasattr(source, "collect") and hasattr(source, "columns"):
        return "the rules DataFrame", _frame_rows(source)
    if isinstance(source, Sequence):
        return "the rules", source
    raise UsageError(f"rules are {type(source).__name__}; expected a list, a DataFrame, the path of a file or the name of a table")


def _frame_rows(frame: Any) -> list[dict[str, Any]]:
    return [row.asDict() for row in frame.collect()]


def _file_rows(path: Path) -> Sequence[Any]:
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RulesError([f"the rules file {path} could not be read: {error}"]) from error
    if path.suffix.lower() == ".csv":
        return list(csv.DictReader(text.splitlines(), restkey="(more fields than the header has)"))
    try:
        if path.suffix.lower() == ".json":
            content = json.loads(text)
        else:
            import yaml

            content = yaml.safe_load(text)
    except Exception as error:
        raise RulesError([f"the rules file {path} is not valid {path.suffix[1:].upper()}: {error}"]) from error
    if is_contract(content):
        return _contract_rows(content, path)
    if isinstance(content, Mapping) and set(content) == {"rules"}:
        content = content["rules"]
    if not isinstance(content, list):
        raise RulesError(
            [f"the rules file {path} does not contain a list of rules; expected a list, or a mapping with the one key 'rules'"]
        )
    return content


def _contract_rows(content: Mapping[str, Any], path: Path) -> Sequence[Any]:
    """The rules of a data contract; what it has beside them that cannot be checked here is one warning."""
    try:
        contract = read_contract(content)
    except ValueError as error:
        raise RulesError([f"the data contract {path}: {error}"]) from error
    if contract.left_out:
        _log.warning("%s: this cannot be expressed as rules and is not checked: %s", path, ", ".join(contract.left_out))
    return contract.rules


def owner_in(source: Any) -> str | None:
    """The owner that a data contract names; None for every other source of rules, and where it cannot be read."""
    if not (isinstance(source, (str, Path)) and str(source).lower().endswith((".yaml", ".yml"))):
        return None
    try:
        path = Path(source).expanduser()
        return _owner_in(path, path.stat().st_mtime_ns)
    except Exception:  # the rules' own loading says what is wrong with it
        return None


@lru_cache(maxsize=64)
def _owner_in(path: Path, changed: int) -> str | None:
    import yaml

    content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    return read_contract(content).owner if is_contract(content) else None


def _missing(value: Any) -> bool:
    # NULL, an empty CSV field, or the NaN that pandas makes of a NULL
    return value is None or value == "" or (isinstance(value, float) and value != value)


def _rule(row: Any, where: str) -> Rule | list[str]:
    """The rule that a row is, or its mistakes."""
    if isinstance(row, Rule):
        row = {("rule" if name == "name" else name): value for name, value in asdict(row).items()}
    if not isinstance(row, Mapping):
        return [f"{where}: expected a mapping with the keys rule and expectation, not {type(row).__name__}"]
    given = {str(key): value for key, value in row.items() if not _missing(value) and key not in HASHES}
    if given.get("rule"):
        where = f"{where} ({given['rule']!r})"
    try:
        loaded: dict[str, Any] = dict(_SCHEMA.load(given))
    except ValidationError as error:
        messages: Mapping[str, Any] = error.messages_dict
        return [f"{where}: {_message(key, given, found)}" for key, found in messages.items()]
    loaded["name"] = loaded.pop("rule")
    return Rule(**loaded)


def _message(key: str, given: Mapping[str, Any], found: Any) -> str:
    if key not in COLUMNS:
        near = difflib.get_close_matches(key, COLUMNS, 1, 0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(COLUMNS)}"
        return f"{key!r} is not a column of a rule; {hint}"
    if key not in given:
        return f"{key!r} is missing"
    return f"{key} {' '.join(found) if isinstance(found, list) else found} (it is {given[key]!r})"


assert {f.name for f in fields(Rule)} - {"name"} == set(COLUMNS) - {"rule"}
