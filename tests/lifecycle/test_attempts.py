"""Which attempt of its job this is: by the settings, by Airflow, by YARN, or nobody tells."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.alerting.attempts import AIRFLOW, Attempt, attempt_of, counted
from spark_pd.delivery.outbox import Outbox
from spark_pd.model import Subject
from spark_pd.runs.crash.guard import Guard
from spark_pd.runs.crash.journal import JournalContents
from spark_pd.runs.crash.marker import death_alert, decode, encode
from spark_pd.runs.crash.markers_folder import Markers
from spark_pd.runs.crash.open_runs import open_runs
from spark_pd.runs.exec import judge
from spark_pd.runs.exec.child_process import Ending

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


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
    assert number is None or (number > 0 and int(text.strip()) == number)


RETRIED = "attempt 1 of 3, a retry follows"
ORDERS = Subject(environment="prod", product_id=None, table="sales.orders")


class OpenRun:
    """As much of a run as is looked after."""

    run_id = "r"
    table = "sales.orders"
    patience = 1.0


def test_a_run_whose_process_died_says_which_attempt_it_was(tmp_path):
    markers = Markers.beside(Outbox(tmp_path))
    guard = Guard(watching=True, markers=markers, severity="warning", attempt=RETRIED, application="nightly", on_signal=False)
    guard.opened(OpenRun(), ORDERS, NOW, lambda alerts: None)
    try:
        (marker,) = [decode(path.read_bytes()) for path in tmp_path.rglob("*.json")]
    finally:
        open_runs.drop("r")
    assert decode(encode(marker)) == marker
    alert = death_alert(marker, "its process died", at=NOW)
    assert (alert.severity, alert.summary) == ("warning", f"[prod] sales.orders failed ({RETRIED}): its process died")
    assert alert.details["attempt"] == RETRIED


def test_an_application_that_failed_under_exec_says_which_attempt_it_was():
    ending = Ending(3)
    told = judge(ending, JournalContents(), left_open=0)
    alert = told.alert(ORDERS, severity="warning", ending=ending, started_at=NOW, at=NOW, host="h", pid=1, attempt=RETRIED)
    assert alert is not None
    assert alert.summary.startswith(f"[prod] sales.orders failed ({RETRIED}): ")
    assert alert.details["attempt"] == RETRIED
