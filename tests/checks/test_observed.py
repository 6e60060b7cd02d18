"""The part of an expectation that is the value found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.checks.observed_value import observed_part


@pytest.mark.parametrize(
    ("expectation", "part"),
    [
        ("avg(price) > 10", "avg(price)"),
        ("count(distinct id) between 1 and 10", "count(distinct id)"),
        ("count(*) NOT BETWEEN 1 AND 10", "count(*)"),
        ("(sum(a) + sum(b)) / count(*) <= 0.5", "(sum(a) + sum(b)) / count(*)"),
        ("((max(day) >= DATE '2024-01-01'))", "max(day)"),
        ("min(name) = 'a > b'", "min(name)"),
        ("sum(CASE WHEN a > 1 AND b < 2 THEN 1 ELSE 0 END) == 0", "sum(CASE WHEN a > 1 AND b < 2 THEN 1 ELSE 0 END)"),
        ("sum(`odd > name`) <> 3", "sum(`odd > name`)"),
        ("max(x) IS NOT NULL", "max(x)"),
        ("first(kind) in ('a', 'b')", "first(kind)"),
        ("count(*) > 0 -- at least > one", "count(*)"),
        ("(select count(*) from t) - (select count(*) from s) < 3", "(select count(*) from t) - (select count(*) from s)"),
        ("avg(a) > 1 AND avg(b) > 1", None),
        ("avg(a) > 1 OR avg(b) > 1", None),
        ("NOT avg(a) > 1", None),
        ("every(a)", None),
        ("> 1", None),
        ("(avg(a)) > (1)", "(avg(a))"),
        ("", None),
        ("((", None),
    ],
)
def test_the_part_in_front_of_the_comparison(expectation, part):
    assert observed_part(expectation) == part


@given(st.text(alphabet="ab()'`\"<>= \n-*/[]", max_size=40))
def test_any_text_is_read(text):
    part = observed_part(text)
    assert part is None or (part and part in text)
