"""The expressions of triggers of one's own, such as `error_drop_percentage >= 5 and input_count > 1000`.

Python's own parser reads them, and a walk over a few kinds of nodes evaluates them: nothing is ever executed. There are numbers, texts,
names, `rule("name").field`, comparisons, + - * /, `and`, `or`, `not`, `in` with a list of constants, and parentheses.

What is unknown (None) makes unknown what depends on it: a comparison with it is unknown, `unknown and False` is False, `unknown or True`
is True (three values, as in SQL).
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, TypeAlias

Value: TypeAlias = "float | str | bool | None"
Lookup: TypeAlias = Callable[[str], Any]
"""The value of a dotted name, such as `input_count`, `previous.input_count` or `rule('a').failed_count`; None where it is unknown."""

LONGEST = 2000  # characters
MOST_NODES = 300
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class ExpressionError(ValueError):
    """What is wrong with an expression, for the one who wrote it."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that was read and checked. `evaluate` gives True, False, or None where it is not known."""

    text: str
    names: tuple[str, ...]
    """The names that it asks for, each once, in order."""
    _tree: Any = None

    def evaluate(self, lookup: Lookup) -> bool | None:
        """Its truth. Never raises for what `lookup` gives: values that cannot be compared are unknown."""
        value = _value(self._tree, lookup)
        return None if value is None else bool(value)

    def __reduce__(self) -> tuple[Any, ...]:
        return parse, (self.text, None, None)


def parse(text: str, known: Sequence[str] | None = None, rule_fields: Sequence[str] | None = None) -> Expression:
    """Read an expression. known: the names that there are (dotted), rule_fields: those of `rule("name")`; None: any.

    Raises ExpressionError, which says what is wrong and what there is.
    """
    if not isinstance(text, str) or not text.strip():
        raise ExpressionError("it is empty; expected such as 'error_drop_percentage >= 5 and input_count > 1000'")
    if len(text) > LONGEST:
        raise ExpressionError(f"it has {len(text)} characters; expected {LONGEST} at most")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ExpressionError("it cannot be read; expected such as \"status == 'errored' or dropped_count > 100\"") from None
    nodes = list(ast.walk(tree))
    if len(nodes) > MOST_NODES:
        raise ExpressionError(f"it has more than {MOST_NODES} parts; split it into several triggers")
    names: dict[str, None] = {}
    _check(tree, names, known, rule_fields)
    if not isinstance(tree, (ast.Compare, ast.BoolOp, ast.Name, ast.UnaryOp)) or isinstance(
        getattr(tree, "op", None), (ast.USub, ast.UAdd)
    ):
        raise ExpressionError("it is no condition; expected a comparison, such as 'dropped_count > 100'")
    return Expression(text.strip(), tuple(names), tree)


def _check(node: ast.AST, names: dict[str, None], known: Sequence[str] | None, rule_fields: Sequence[str] | None) -> None:
    """Raise ExpressionError for whatever has no meaning here."""
    if isinstance(node, ast.Constant):
        if not isinstance(node.value, (bool, int, float, str)) or isinstance(node.value, complex):
            raise ExpressionError(f"{node.value!r} has no meaning here; expected a number, a text, True or False")
        return
    if isinstance(node, (ast.Name, ast.Attribute, ast.Call)):
        name = _name(node)
        field = name.rpartition(".")[2]
        if name.startswith("rule("):
            _must_be(field, rule_fields, f"a rule's result has no {field!r}")
        else:
            _must_be(name, known, f"there is no {name!r}")
        names[name] = None
        return
    children: list[ast.AST]
    if isinstance(node, ast.BoolOp):
        children = list(node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub, ast.UAdd)):
        children = [node.operand]
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        children = [node.left, node.right]
    elif isinstance(node, ast.Compare):
        children = [node.left]
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, (ast.In, ast.NotIn)):
                if not isinstance(right, (ast.List, ast.Tuple)) or not all(isinstance(each, ast.Constant) for each in right.elts):
                    raise ExpressionError("`in` takes a list of constants, such as status in ['failed', 'errored']")
                children += right.elts
            elif type(op) in _COMPARISONS:
                children.append(right)
            else:
                raise ExpressionError("`is` has no meaning here; use == or !=")
    else:
        raise ExpressionError(
            f"{type(node).__name__} has no meaning here; there are comparisons, + - * /, and, or, not, in, and rule('name').failed_count"
        )
    for child in children:
        _check(child, names, known, rule_fields)


def _must_be(name: str, known: Sequence[str] | None, problem: str) -> None:
    if known is not None and name not in known:
        nearest = get_close_matches(name, known, n=1)
        raise ExpressionError(f"{problem}; " + (f"did you mean {nearest[0]}?" if nearest else f"there is {', '.join(known)}"))


def _name(node: ast.AST) -> str:
    """The dotted name that a node asks for. Raises ExpressionError for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        value = node.value
        if isinstance(value, ast.Name):
            return f"{value.id}.{node.attr}"
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "rule" and not value.keywords:
            arguments = value.args
            if len(arguments) == 1 and isinstance(arguments[0], ast.Constant) and isinstance(arguments[0].value, str):
                return f"rule({arguments[0].value!r}).{node.attr}"
    raise ExpressionError("a name is a field, such as input_count or previous.input_count, or rule('name').failed_count")


def _value(node: ast.AST, lookup: Lookup) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, (ast.Name, ast.Attribute)):
        return lookup(_name(node))
    if isinstance(node, ast.BoolOp):
        return _logic([_value(each, lookup) for each in node.values], stops=isinstance(node.op, ast.Or))
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand, lookup)
        if isinstance(node.op, ast.Not):
            return None if value is None else not value
        number = _number(value)
        return None if number is None else -number if isinstance(node.op, ast.USub) else number
    if isinstance(node, ast.BinOp):
        left, right = _number(_value(node.left, lookup)), _number(_value(node.right, lookup))
        if left is None or right is None or (isinstance(node.op, ast.Div) and right == 0):
            return None
        return _ARITHMETIC[type(node.op)](left, right)
    assert isinstance(node, ast.Compare)
    left = _value(node.left, lookup)
    found = []
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        if isinstance(right_node, (ast.List, ast.Tuple)):
            values = [each.value for each in right_node.elts if isinstance(each, ast.Constant)]
            found.append(None if left is None else (left in values) is isinstance(op, ast.In))
            continue
        right = _value(right_node, lookup)
        found.append(_compared(_COMPARISONS[type(op)], left, right))
        left = right
    return _logic(found, stops=False)


def _logic(values: Sequence[Any], *, stops: bool) -> bool | None:
    """`or` (stops at True) or `and` (stops at False) of three values."""
    known = [bool(value) for value in values if value is not None]
    if stops in known:
        return stops
    return not stops if len(known) == len(values) else None


def _number(value: Any) -> Any:
    """The value where it is a number; None for anything else."""
    return value if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) else None


def _compared(comparison: Callable[[Any, Any], bool], left: Any, right: Any) -> bool | None:
    """The comparison; None where either is unknown, or they are of kinds that have no order."""
    if left is None or right is None:
        return None
    both = [isinstance(each, (int, float, Decimal)) for each in (left, right)]
    if comparison not in (operator.eq, operator.ne) and (both[0] is not both[1] or not (both[0] or isinstance(left, str))):
        return None
    return comparison(left, right)
