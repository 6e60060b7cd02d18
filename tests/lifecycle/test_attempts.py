"""Which attempt of its job this is: by the settings, by Airflow, by YARN, or nobody tells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.lifecycle.attempts import AIRFLOW, Attempt, attempt_of, counted


@pytest.mark.parametrize(
    ("number", "most", "airflow", "yarn", "expected"),
    [
        (None, None, None, None, None),
        (None, 3, None, None, None),
        (2, None, None, None, Attempt(2)),
        (2, 3, "1", (1, 5), Attempt(2, 3)),
        (None, None, "2", None, Attempt(2)),
        (None, 3, "2", None, Attempt(2, 3)),
        (None, None, None, (1, 2), Attempt(1, 2)),
        (None, 4, None, (1, 2), Attempt(1, 4)),
        (None, None, "2", (1, 2), Attempt(1, 2)),  # YARN knows whether a retry follows
        (None, None, "2", (1, None), Attempt(2)),
        (None, None, "two", None, None),
        (None, None, "0", None, None),
    ],
)
def test_the_settings_win_and_then_who_knows_whether_a_retry_follows(number, most, airflow, yarn, expected):
    environ = {} if airflow is None else {AIRFLOW: airflow}
    assert attempt_of(number=number, most=most, environ=environ, yarn=yarn) == expected


@pytest.mark.parametrize(
    ("attempt", "words", "retried"),
    [
        (Attempt(1), "attempt 1", False),
        (Attempt(1, 3), "attempt 1 of 3, a retry follows", True),
        (Attempt(3, 3), "attempt 3 of 3", False),
        (Attempt(5, 3), "attempt 5 of 5", False),  # somebody ran it again by hand
    ],
)
def test_an_attempt_in_words(attempt, words, retried):
    assert (str(attempt), attempt.retried) == (words, retried)


@given(st.text(max_size=12))
def test_only_a_plain_number_from_1_on_is_counted(text):
    number = counted(text)
    assert number is None or (number > 0 and int(text) == number)
