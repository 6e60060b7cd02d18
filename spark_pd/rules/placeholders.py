"""Names in braces in expectations: the parameters of a product, and the parts of a query in spark-expectations' delimiter form."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from spark_pd.model import Rule, names

FRAMES = ("source", "target")
"""Names that a query may use in braces without defining them: the checked rows, and the rows that are kept."""
DELIMITER = "@"
# \p{Lu}, a letter class of regular expressions, is not a parameter.
_FIELD = re.compile(r"(?<!\\p)(?<!\\P)\{([A-Za-z_]\w*)\}")


def fields(text: str) -> tuple[str, ...]:
    """The names in braces, each once, in their order."""
    return tuple(dict.fromkeys(_FIELD.findall(text)))


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with values instead of their names. Other names stay, and so do names inside values."""
    return _FIELD.sub(lambda match: values.get(match[1], match[0]), text)


def expectation(rule: Rule, params: Mapping[str, str]) -> str:
    """The rule's expectation with values instead of parameters and of a query's parts. Only `source` and `target` stay, in a query.

    Raises ValueError that says what is wrong, also where a name in braces has no value.
    """
    text, parts = (rule.expectation, {}) if rule.rule_type != "query_dq" else _split(rule)
    known = {**params, **{name: filled(part, params) for name, part in parts.items()}}
    left: Collection[str] = FRAMES if rule.rule_type == "query_dq" else ()
    given = {name: value for name, value in known.items() if name not in left or name in parts}
    result = filled(text, given)
    unknown = [name for whole in (text, *parts.values()) for name in fields(whole) if name not in known and name not in left]
    if unknown:
        expected = names([*known, *left]) or "none, since there are no parameters (se.dq.rules.params)"
        raise ValueError(f"it has no value for {names([f'{{{name}}}' for name in dict.fromkeys(unknown)])}; expected {expected}")
    return result


def _split(rule: Rule) -> tuple[str, dict[str, str]]:
    """A query's text and its named parts: `text@name@query@name@query`. Where the rule sets no delimiter, "@" may be plain text."""
    text, *rest = rule.expectation.split(rule.query_dq_delimiter or DELIMITER)
    parts = dict(zip((name.strip() for name in rest[::2]), rest[1::2], strict=False))
    whole = len(rest) % 2 == 0 and len(parts) == len(rest) // 2 and set(parts) <= set(fields(text)) and bool(rest)
    if whole:
        return text, parts
    if rule.query_dq_delimiter is None or not rest:
        return rule.expectation, {}
    raise ValueError(
        f"its parts between {rule.query_dq_delimiter!r} are not well-formed; expected the condition with each part's name in braces, "
        f"then name{rule.query_dq_delimiter}query for each"
    )
