"""Names in braces inside expectations: a product's parameters, and the named parts of a query in spark-expectations' delimiter form."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from spark_pd.model import Rule, names

FRAMES = ("source", "target")
"""What a query may name in braces without saying what it is: the rows that are checked, and those that stay."""
DELIMITER = "@"
# A letter class of a regular expression, \p{Lu}, is no parameter.
_FIELD = re.compile(r"(?<!\\p)(?<!\\P)\{([A-Za-z_]\w*)\}")


def fields(text: str) -> tuple[str, ...]:
    """The names in braces, each once, in their order."""
    return tuple(dict.fromkeys(_FIELD.findall(text)))


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with the values in place of their names; other names stay. A value is not looked into for names again."""
    return _FIELD.sub(lambda match: values.get(match[1], match[0]), text)


def expectation(rule: Rule, params: Mapping[str, str]) -> str:
    """The rule's expectation with its parameters, and its query's parts, in place. Raises ValueError that says what is wrong.

    Strict: a name in braces that nobody gives a value is a mistake. What is left in braces is `source` and `target`, in a query.
    """
    text, parts = (rule.expectation, {}) if rule.rule_type != "query_dq" else _split(rule)
    known = {**params, **{name: filled(part, params) for name, part in parts.items()}}
    left: Collection[str] = FRAMES if rule.rule_type == "query_dq" else ()
    given = {name: value for name, value in known.items() if name not in left or name in parts}
    result = filled(text, given)
    unknown = [name for whole in (text, *parts.values()) for name in fields(whole) if name not in known and name not in left]
    if unknown:
        expected = names([*known, *left]) or "none: there are no parameters (se.dq.rules.params)"
        raise ValueError(f"nothing is known of {names([f'{{{name}}}' for name in dict.fromkeys(unknown)])}; expected {expected}")
    return result


def _split(rule: Rule) -> tuple[str, dict[str, str]]:
    """A query's text and its named parts: `text@name@query@name@query`. Without a delimiter of its own, "@" need not be one."""
    text, *rest = rule.expectation.split(rule.query_dq_delimiter or DELIMITER)
    parts = dict(zip((name.strip() for name in rest[::2]), rest[1::2], strict=False))
    whole = len(rest) % 2 == 0 and len(parts) == len(rest) // 2 and set(parts) <= set(fields(text)) and bool(rest)
    if whole:
        return text, parts
    if rule.query_dq_delimiter is None or not rest:
        return rule.expectation, {}
    raise ValueError(
        f"its parts between {rule.query_dq_delimiter!r} do not fit; expected the condition with each part's name in braces, "
        f"then name{rule.query_dq_delimiter}query for each"
    )
