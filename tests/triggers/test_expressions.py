"""Expressions of triggers of one's own: what they mean, what has no meaning, and that nothing in them is executed."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.settings.expression import LONGEST, ExpressionError, parse
from spark_pd.settings.own_triggers import KNOWN, RULE_FIELDS, expression_of

VALUES = {"input_count": 1000, "dropped_count": 50, "status": "passed", "exact": True, "error_count": None, "previous.input_count": 500}
VALUES["rule('it''s').failed_count".replace("''", "\\'")] = 3
VALUES["rule('a').failed_count"] = 7


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("dropped_count > 49", True),
        ("dropped_count >= 50 and input_count > 1000", False),
        ("10 < dropped_count < 100", True),
        ("100 * dropped_count / input_count == 5", True),
        ("status == 'passed'", True),
        ("status in ['failed', 'errored']", False),
        ("status not in ('failed', 'errored')", True),
        ("not exact", False),
        ("exact", True),
        ("rule('a').failed_count == 7", True),
        ('rule("b").failed_count > 0', None),
        ("previous.input_count * 2 == input_count", True),
        ("error_count > 0", None),
        ("error_count > 0 and dropped_count > 100", False),
        ("error_count > 0 or dropped_count > 10", True),
        ("error_count > 0 and dropped_count > 10", None),
        ("not error_count > 0", None),
        ("error_count in [1, 2]", None),
        ("dropped_count / (input_count - 1000) > 1", None),
        ("status > 5", None),
        ("status == 5", False),
        ("-dropped_count < 0", True),
    ],
)
def test_what_an_expression_means(text, means):
    assert parse(text).evaluate(VALUES.get) is means


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("input_count >", "cannot be read"),
        ("input_coutn > 1", "did you mean input_count?"),
        ("rule('a').failed_cuont > 1", "no 'failed_cuont'"),
        ("previous.run_id == 'x'", "previous.run_id"),
        ("input_count", None),
        ("input_count + 1", "no condition"),
        ("__import__('os').system('true')", "a name is a field"),
        ("rule('a')", "a name is a field"),
        ("rule(input_count).failed_count > 1", "a name is a field"),
        ("rule('a', 'b').failed_count > 1", "a name is a field"),
        ("(lambda: 1)() > 0", "a name is a field"),
        ("[x for x in (1,)] == 1", "ListComp has no meaning"),
        ("input_count ** 99 > 1", "BinOp has no meaning"),
        ("input_count is None", "use =="),
        ("f'{input_count}' == 'x'", "JoinedStr has no meaning"),
        ("status == None", "None has no meaning"),
        ("status.__class__ == 'x'", "status.__class__"),
        ("input_count.real.imag > 1", "a name is a field"),
        ("1j > 0", "has no meaning"),
        ("input_count > 1" + " and input_count > 1" * 200, "characters"),
        ("1" + "+1" * 200 + " > 0", "more than 300 parts"),
        ("(" * 300 + "1" + ")" * 300, "cannot be read"),
    ],
)
def test_what_has_no_meaning_is_said(text, said):
    if said is None:
        assert parse(text, KNOWN, RULE_FIELDS).evaluate(VALUES.get) is True
        return
    with pytest.raises(ExpressionError, match=said.replace("?", r"\?")):
        parse(text, KNOWN, RULE_FIELDS)


def test_an_expression_survives_a_pickle():
    again = pickle.loads(pickle.dumps(expression_of("dropped_count > 49")))
    assert again.evaluate(VALUES.get) is True


@given(st.text(max_size=60) | st.text("inputcount_ <>=!()+-*/'\"[],.0123456789andornot", max_size=60))
def test_no_text_does_anything_but_be_an_expression_or_an_error(text):
    try:
        found = parse(text, KNOWN, RULE_FIELDS)
    except ExpressionError:
        return
    assert len(text) <= LONGEST
    assert found.evaluate(lambda name: None) in (True, False, None)


_numbers = st.none() | st.integers(-5, 5)


@given(_numbers, _numbers)
def test_what_is_known_agrees_with_python_and_unknown_in_is_unknown_out(left, right):
    values = {"input_count": left, "error_count": right}
    found = parse("input_count > error_count or input_count == error_count").evaluate(values.get)
    assert found is (None if left is None or right is None else left >= right)
