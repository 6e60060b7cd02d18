"""A cause as Spark gives it becomes the root cause, as far as it may leave the cluster."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.alerting.root_cause import cause_of
from spark_pd.secrets.redaction import FULL_LIMIT, LIMIT

TASK = (
    "org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 1.0 failed 4 times, most recent failure: "
    "Lost task 0.3 in stage 1.0 (TID 7) (host executor driver): java.lang.ArithmeticException: / by zero\n\tat A.b(A.java:1)\n\n"
    "Driver stacktrace:"
)
PYTHON = (
    "Job aborted due to stage failure: Task 0 in stage 1.0 failed 4 times, most recent failure: Lost task 0.3 in stage 1.0 (TID 7) "
    "(host executor 1): org.apache.spark.api.python.PythonException: Traceback (most recent call last):\n"
    '  File "worker.py", line 1, in main\n    process()\n  File "udf.py", line 2, in f\nValueError: no such order: \'4711\'\n\n'
    "\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException(PythonRunner.scala:572)\n"
)
PYTHON_42 = (
    "org.apache.spark.api.python.PythonException: [PYTHON_EXCEPTION] An exception was thrown from the Python worker: "
    'Traceback (most recent call last):\n  File "job.py", line 9, in boom\n    raise ValueError(f"bad {x}")\n          ^^^^^^\n'
    "ValueError: bad=4711\n SQLSTATE: 38000"
)
CHAIN = (
    "org.apache.spark.SparkException: a\n\tat x(Y.scala:1)\nCaused by: java.lang.RuntimeException: b\n\tat x(Z.java)\n"
    "Caused by: java.net.ConnectException: refused\n\t... 3 more"
)


@pytest.mark.parametrize(
    ("text", "scrubbed", "of_class"),
    [
        (TASK, "java.lang.ArithmeticException: / by zero", "java.lang.ArithmeticException"),
        (PYTHON, "ValueError: no such order: '***'", "ValueError"),
        (PYTHON_42, "ValueError: bad=***", "ValueError"),
        (CHAIN, "java.net.ConnectException: refused", "java.net.ConnectException"),
        ("Slave lost", "Slave lost", None),
        ("Executor heartbeat timed out after 130000 ms", "Executor heartbeat timed out after 130000 ms", None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_the_root_cause_is_told(text, scrubbed, of_class):
    assert cause_of(text, "scrubbed") == scrubbed
    assert cause_of(text, "class") == of_class


@given(text=st.text(max_size=2_000))
def test_any_text_becomes_one_short_line_or_nothing(text):
    for shown, most in (("class", LIMIT), ("scrubbed", LIMIT), ("full", FULL_LIMIT)):
        cause = cause_of(text, shown)
        assert cause is None or (0 < len(cause) <= max(most, len(text)) and "\n" not in cause)


@given(secret=st.text("abcdefghij0123456789", min_size=6, max_size=30))
def test_a_value_in_a_cause_does_not_leave_the_cluster(secret):
    for text in (f"Caused by: java.sql.SQLException: login failed, password={secret}", f"X: bad '{secret}'\n\tat a.b(C.java)"):
        assert secret not in (cause_of(text, "scrubbed") or "")
        assert secret not in (cause_of(text, "class") or "")
