"""Templates of event fields: Jinja2 in its sandbox, strict on missing names, and with so few means that none runs long or grows large.

A template has texts, `{{ }}`, `{% if %}`, `{% for %}`, comparisons, arithmetic on numbers, a few filters, and `secret("env:NAME")`. It has
no assignments, macros, includes or method calls.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

FIELDS = ("summary", "source", "component", "group", "class", "severity", "dedup_key", "client", "client_url", "links", "custom_details")
NAMES = frozenset({"event", "alert", "run", "stats", "rules", "owner", "table", "secret"})
PREFIX = "spark.pd.template."
MOST_CHARACTERS = 64 * 1024
MOST_SECONDS = 0.1
_LONGEST = 20_000  # characters of one template
_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "first", "float", "int", "join", "last", "length", "list", "lower", "max", "min", "round",
    "sort", "string", "sum", "title", "tojson", "trim", "truncate", "unique", "upper",
)  # fmt: skip
_NODES = frozenset(
    {
        "Template", "Output", "TemplateData", "Name", "Getattr", "Getitem", "Const", "Filter", "Test", "If", "For", "CondExpr", "Compare",
        "Operand", "And", "Or", "Not", "Concat", "Add", "Sub", "Mul", "Div", "FloorDiv", "Neg", "Pos", "Call", "List", "Tuple", "Dict",
        "Pair", "Keyword",
    }
)  # fmt: skip
_DEEPEST_LOOP = 2
_LONGEST_LOOP = 200


class TemplateError(ValueError):
    """What is wrong with a template, for the one who wrote it."""


def check_template(text: str) -> tuple[str, ...]:
    """The references of the secrets that a template asks for. Raises TemplateError for one that cannot be used."""
    from jinja2 import TemplateSyntaxError, meta

    if len(text) > _LONGEST:
        raise TemplateError(f"it has {len(text)} characters; expected {_LONGEST} at most")
    try:
        tree = _environment().parse(text)
    except TemplateSyntaxError as error:
        raise TemplateError(f"line {error.lineno}: {error.message}") from None
    except (RecursionError, ValueError, OverflowError):
        raise TemplateError("it nests too deeply, or has a number that is too large") from None
    references: list[str] = []
    _check(tree, 0, references)
    unknown = sorted(meta.find_undeclared_variables(tree) - NAMES)
    if unknown:
        raise TemplateError(f"there is no {unknown[0]!r}; there is {', '.join(sorted(NAMES))}")
    return tuple(dict.fromkeys(references))


def _check(node: Any, loops: int, references: list[str]) -> None:
    from jinja2 import nodes

    kind = type(node).__name__
    if kind not in _NODES:
        raise TemplateError(f"{kind} is not allowed; there are if, for, comparisons, arithmetic, a few filters and secret()")
    if isinstance(node, nodes.For):
        loops += 1
        if loops > _DEEPEST_LOOP or node.recursive:
            raise TemplateError(f"loops nest {_DEEPEST_LOOP} deep at most")
    if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
        raise TemplateError(f"there is no filter {node.name!r}; there is {', '.join(_FILTERS)}")
    if isinstance(node, nodes.Call):
        call = node.node
        arguments = [each.value for each in node.args if isinstance(each, nodes.Const)]
        if not (isinstance(call, nodes.Name) and call.name == "secret" and len(node.args) == 1 and isinstance((arguments or [0])[0], str)):
            raise TemplateError("only secret('env:NAME'), with the reference as a text, can be called")
        references.append(arguments[0])
    for child in node.iter_child_nodes():
        _check(child, loops, references)


def render(text: str, values: Mapping[str, Any]) -> str:
    """The template with these values. Raises TemplateError where it fails, grows too large or takes too long."""
    problem = "it failed"
    try:
        out: list[str] = []
        size, until = 0, time.monotonic() + MOST_SECONDS
        for part in _compiled(text).generate(**{**values, "_until": until}):
            size += len(part)
            out.append(part)
            if size > MOST_CHARACTERS or time.monotonic() > until:
                problem = f"it is cut off at {MOST_CHARACTERS} characters or {MOST_SECONDS:g} s"
                break
        else:
            return "".join(out)
    except Exception as error:  # a template is somebody's program: whatever it raises, an alert goes out
        problem = f"{type(error).__name__}: {error}"[:300]
    raise TemplateError(problem)


@cache
def _compiled(text: str) -> Any:
    return _environment().from_string(text)


@cache
def _environment() -> Any:
    from jinja2 import StrictUndefined
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment):
        """Jinja2's sandbox, where attributes are the keys of mappings alone and arithmetic is on numbers."""

        intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

        def getattr(self, obj: Any, attribute: str) -> Any:
            """The key of a mapping; nothing else has attributes."""
            return self.getitem(obj, attribute)

        def getitem(self, obj: Any, argument: Any) -> Any:
            """An item of a mapping or a list."""
            if isinstance(obj, (dict, list, tuple)):
                try:
                    return obj[argument]
                except (LookupError, TypeError):
                    pass
            return self.undefined(obj=obj, name=str(argument))

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            """Arithmetic, on numbers alone."""
            if not all(isinstance(each, (int, float)) and abs(each) < 1e300 for each in (left, right)):
                raise SecurityError(f"{operator} is for numbers")
            return super().call_binop(context, operator, left, right)

    environment = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in _FILTERS}
    environment.filters["tojson"] = _to_json
    return environment


def _to_json(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, default=str)


def short(values: Any) -> Any:
    """A value for templates: mappings, lists of a bounded length, texts and numbers."""
    if isinstance(values, Mapping):
        return {str(name): short(value) for name, value in list(values.items())[:_LONGEST_LOOP]}
    if isinstance(values, (list, tuple)):
        return [short(each) for each in values[:_LONGEST_LOOP]]
    if values is None or isinstance(values, (bool, int, float)):
        return values
    return str(values)[:8192]


def texts(value: object) -> Iterator[str]:
    """Every text in a field's template, also inside lists and mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from texts(name)
            yield from texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from texts(each)


def check_templates(given: Mapping[str, object], where: str, label: str, mistakes: list[str]) -> dict[str, Any]:
    """The templates of a channel, or of all; what is wrong with them is added to `mistakes`."""
    from difflib import get_close_matches

    found: dict[str, Any] = {}
    for field, value in given.items():
        if field not in FIELDS:
            nearest = get_close_matches(str(field), FIELDS, n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"there is {', '.join(FIELDS)}"
            mistakes.append(f"{where} (from {label}) has no field {field!r}; {hint}")
            continue
        if not isinstance(value, (str, list, Mapping)) or (field not in ("links", "custom_details") and not isinstance(value, str)):
            mistakes.append(f"{where}.{field} (from {label}) is a {type(value).__name__}; expected a text")
            continue
        try:
            for text in texts(value):
                check_template(text)
        except ModuleNotFoundError:
            mistakes.append(f"{where} (from {label}) needs Jinja2: pip install 'spark-pd[templates]'")
            return {}
        except TemplateError as error:
            mistakes.append(f"{where}.{field} (from {label}): {error}")
            continue
        found[field] = value
    return found
