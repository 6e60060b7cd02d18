"""The nouns: identity of incidents, percentages, secrets that do not show."""

from __future__ import annotations

import copy
import pickle
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.model import DEDUP_KEY_LIMIT, Secret, Subject, normalized_table, percentage

PART = st.none() | st.text(max_size=300)


@given(PART, PART, st.text(min_size=1, max_size=300), PART, PART, st.sampled_from(["failure", "ignored_rules"]))
def test_a_dedup_key_is_stable_and_within_pagerdutys_limit(environment, product, table, scope, job, trigger):
    subject = Subject(environment=environment, product_id=product, table=table, scope=scope, job=job)
    key = subject.dedup_key(trigger)
    assert 0 < len(key) <= DEDUP_KEY_LIMIT
    assert key == Subject(environment=environment, product_id=product, table=table, scope=scope, job=job).dedup_key(trigger)


TEXT = st.text("ab/%-=", min_size=1, max_size=4)


@given(st.tuples(TEXT, TEXT, TEXT, TEXT | st.none(), TEXT | st.none()), st.tuples(TEXT, TEXT, TEXT, TEXT | st.none(), TEXT | st.none()))
def test_two_subjects_have_one_key_only_if_they_are_equal(one, other):
    def key(parts: tuple[str | None, ...]) -> str:
        environment, product, table, scope, job = parts
        return Subject(environment=environment, product_id=product, table=str(table), scope=scope, job=job).dedup_key("failure")

    assert (key(one) == key(other)) is (one == other)


def test_long_subjects_that_differ_at_their_end_have_different_keys():
    keys = {Subject(environment=None, product_id=None, table="t" * 300 + c).dedup_key("failure") for c in string.ascii_lowercase}
    assert len(keys) == 26
    assert {len(k) for k in keys} == {DEDUP_KEY_LIMIT}


@pytest.mark.parametrize(
    ("name", "catalog", "expected"),
    [
        ("`Sales`.`Orders`", "spark_catalog", "sales.orders"),
        ("sales.orders", None, "sales.orders"),
        ("spark_catalog.sales.orders", "spark_catalog", "sales.orders"),
        ("sales.orders", "Main", "main.sales.orders"),
        ("other.sales.orders", "main", "other.sales.orders"),
        ("orders", "spark_catalog", "orders"),
    ],
)
def test_a_tables_name_is_the_same_however_it_is_written(name, catalog, expected):
    assert normalized_table(name, catalog) == expected
    assert normalized_table(expected, catalog) == expected


@pytest.mark.parametrize(("part", "whole", "expected"), [(1, 3, 33.33), (0, 0, 0.0), (None, 3, None), (3, None, None), (2, 3, 66.67)])
def test_percentages_are_rounded_to_two_and_unknown_stays_unknown(part, whole, expected):
    assert percentage(part, whole) == expected


def test_a_secret_shows_and_carries_nothing():
    secret = Secret("0123456789abcdef0123456789abcdef")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", repr([secret]), repr(pickle.dumps(secret))]
    assert not [s for s in shown if "0123456789" in s]
    assert secret.reveal() == "0123456789abcdef0123456789abcdef"
    assert copy.deepcopy([secret])[0].reveal() == secret.reveal()
    with pytest.raises(ValueError, match="pickle"):
        pickle.loads(pickle.dumps(secret)).reveal()
    assert secret == Secret("0123456789abcdef0123456789abcdef") != Secret("x")
