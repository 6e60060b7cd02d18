"""Where the error table is, by its pattern and the target's name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.checks.error_table.location import Place, beside


@pytest.mark.parametrize(
    ("pattern", "target", "expected"),
    [
        ("{table}_error", "orders", "orders_error"),
        ("{table}_error", "sales.orders", "sales.orders_error"),
        ("{table}_error", "main.sales.orders", "main.sales.orders_error"),
        ("{table}_error", "`sa-les`.`or-ders`", "`sa-les`.`or-ders_error`"),
        ("{table}_error", "sales.`a.b`", "sales.`a.b_error`"),
        ("{table}_error", "sales.`ti``ck`", "sales.`ti``ck_error`"),
        ("err_{table}", "main.sales.orders", "main.sales.err_orders"),
        ("quality.{table}_error", "main.sales.orders", "quality.orders_error"),
        ("quality.{table}_error", "sales.`or-ders`", "quality.`or-ders_error`"),
        ("quality.`{table}-error`", "sales.orders", "quality.`orders-error`"),
        ("{table}_error", "/data/orders", "/data/orders_error"),
        ("{table}_error", "s3://bucket/sales/orders/", "s3://bucket/sales/orders_error"),
        ("/errors/{table}", "/data/orders", "/errors/orders"),
        ("/errors/{table}", "sales.`or-ders`", "/errors/or-ders"),
        ("quality.{table}_error", "/data/or-ders", "quality.`or-ders_error`"),
    ],
)
def test_the_error_table_is_beside_its_target_unless_the_pattern_says_where(pattern: str, target: str, expected: str) -> None:
    assert beside(pattern, Place(target, "delta")) == Place(expected, "delta")


@given(st.lists(st.text("ab`. -_é\U0001f600", min_size=1), min_size=1, max_size=3))
def test_any_quoted_name_stays_one_with_as_many_parts(parts: list[str]) -> None:
    def quoted(name: str) -> str:
        return "`" + name.replace("`", "``") + "`"

    target = ".".join(map(quoted, parts))
    assert beside("{table}_error", Place(target)).name == ".".join([*map(quoted, parts[:-1]), quoted(parts[-1] + "_error")])
