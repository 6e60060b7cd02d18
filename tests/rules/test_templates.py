"""Names in braces: parameters, the parts of a query, and what is no name."""

from __future__ import annotations

import pytest

from spark_pd import RulesError
from spark_pd.model import Rule
from spark_pd.rules.loading import load_rules
from spark_pd.rules.placeholders import expectation


def rule(text: str, rule_type: str = "row_dq", delimiter: str | None = None) -> Rule:
    return Rule(name="r", expectation=text, rule_type=rule_type, query_dq_delimiter=delimiter)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "params", "wanted"),
    [
        (rule("a > {least}"), {"least": "3"}, "a > 3"),
        (rule("env = '{env}' AND b = '{env}'"), {"env": "{least}"}, "env = '{least}' AND b = '{least}'"),
        (rule("name RLIKE '^\\p{Lu}[a-z]{2,3}$'"), {}, "name RLIKE '^\\p{Lu}[a-z]{2,3}$'"),
        (rule("(select count(*) from {source}) > {least}", "query_dq"), {"least": "3"}, "(select count(*) from {source}) > 3"),
        (
            rule(
                "((select count(*) from ({a}) x) - (select count(*) from ({b}) y)) < {most}@a@select * from {env}_s@b@select 1", "query_dq"
            ),
            {"env": "prod", "most": "2"},
            "((select count(*) from (select * from prod_s) x) - (select count(*) from (select 1) y)) < 2",
        ),
        (
            rule("(select count(*) from {source} where mail like '%@%') = 0", "query_dq"),
            {},
            "(select count(*) from {source} where mail like '%@%') = 0",
        ),
        (rule("(select count(*) from ({q})) > 0 ; q ; select 1", "query_dq", ";"), {}, "(select count(*) from ( select 1)) > 0 "),
    ],
)
def test_names_are_filled_in(given, params, wanted):
    assert expectation(given, params) == wanted


@pytest.mark.parametrize(
    ("given", "params", "said"),
    [
        (rule("a > {least}"), {"most": "3"}, "{least}"),
        (rule("a > {source}"), {}, "{source}"),
        (rule("(select count(*) from ({q})) > 0;q", "query_dq", ";"), {}, "are not well-formed"),
        (rule("(select count(*) from ({q})) > {least}@q@select * from {env}", "query_dq"), {}, "{least} and {env}"),
    ],
)
def test_what_nobody_gives_a_value_is_a_mistake(given, params, said):
    with pytest.raises(ValueError, match="expected") as raised:
        expectation(given, params)
    assert said in str(raised.value)


def test_rules_report_them_with_all_other_mistakes():
    rows = [
        {"rule": "one", "expectation": "a > {nothing}"},
        {"rule": "two", "expectation": "count(*) > 1", "rule_type": "agg_dq", "action_if_failed": "drop"},
        {"rule": "off", "expectation": "a > {nothing}", "is_active": False},
    ]
    with pytest.raises(RulesError) as raised:
        load_rules(rows, params={"env": "prod"})
    assert len(raised.value.mistakes) == 2
    assert any("'one'" in m and "{nothing}" in m and "env" in m for m in raised.value.mistakes)
    assert any("'two'" in m and "no rows to drop" in m for m in raised.value.mistakes)
