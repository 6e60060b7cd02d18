from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.pagerduty.answer import RETRY_AFTER_LIMIT, Answer, Fault, verdict

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("code", "action", "reason"),
    [
        (202, "accepted", "accepted"),
        (200, "failed", "not 202"),
        (201, "failed", "not 202"),
        (204, "failed", "not 202"),
        (301, "failed", "redirect"),
        (302, "failed", "redirect"),
        (307, "failed", "redirect"),
        (308, "failed", "redirect"),
        (400, "refused", "bad request"),
        (401, "refused", "integration key"),
        (403, "refused", "integration key"),
        (404, "refused", "webhook url"),
        (405, "refused", "webhook url"),
        (408, "retry", "408"),
        (410, "refused", "refused"),
        (413, "shrink", "too large"),
        (422, "refused", "refused"),
        (429, "retry", "too many"),
        (500, "retry", "500"),
        (501, "retry", "501"),
        (502, "retry", "502"),
        (503, "retry", "503"),
        (504, "retry", "504"),
        (599, "retry", "599"),
        (600, "refused", "refused"),
    ],
)
def test_each_status_has_its_verdict(code: int, action: str, reason: str) -> None:
    said = verdict(Answer(status_code=code))
    assert said.action == action
    assert reason in said.reason
    assert action == "accepted" or str(code) in said.reason


@pytest.mark.parametrize(
    ("fault", "action"),
    [
        ("timeout", "retry"),
        ("reset", "retry"),
        ("refused", "retry"),
        ("dns", "retry"),
        ("connection", "retry"),
        ("proxy", "retry"),
        ("tls", "retry"),
        ("certificate", "failed"),
        ("request", "failed"),
    ],
)
def test_each_fault_has_its_verdict(fault: Fault, action: str) -> None:
    said = verdict(fault)
    assert (said.action, said.wait) == (action, 0.0)
    assert said.reason


def test_no_fault_is_forgotten() -> None:
    assert all(verdict(fault).reason for fault in get_args(Fault))


def test_an_event_that_is_too_large_is_made_smaller_only_once() -> None:
    assert verdict(Answer(status_code=413), shrunk=True).action == "refused"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"status": "invalid event", "message": "Event object is invalid", "errors": ["'payload.source' is missing or blank", "x"]},
            "Event object is invalid; 'payload.source' is missing or blank; x",
        ),
        ({"message": "Event object is invalid"}, "Event object is invalid"),
        ({"errors": ["only this", 7, None]}, "only this"),
        ({"message": "two\nlines", "errors": "no list"}, "two lines"),
        ([1, 2], "bad request"),
        ({}, "bad request"),
    ],
)
def test_a_refusal_keeps_the_words_of_pagerduty(body: Any, words: str) -> None:
    assert verdict(Answer(status_code=400, body=json.dumps(body))).reason == f"PagerDuty answered 400: {words}"


@pytest.mark.parametrize("body", ["", "<html>no</html>", "{", "[" * 100_000, "\x00", "NaN"])
def test_a_refusal_without_words_is_a_bad_request(body: str) -> None:
    assert verdict(Answer(status_code=400, body=body)).reason == "PagerDuty answered 400: bad request"


def test_the_words_of_a_refusal_are_bounded() -> None:
    assert len(verdict(Answer(status_code=400, body=json.dumps({"message": "x" * 9000}))).reason) < 400


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, 0.0),
        ("", 0.0),
        ("7", 7.0),
        (" 0.5 ", 0.5),
        ("-3", 0.0),
        ("nan", 0.0),
        ("inf", RETRY_AFTER_LIMIT),
        ("86400", RETRY_AFTER_LIMIT),
        ("soon", 0.0),
        ("Fri, 20 Nov 2026 12:00:09 GMT", 9.0),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0.0),
        ("Fri, 20 Nov 2099 11:00:00 GMT", RETRY_AFTER_LIMIT),
        ("Fri, 99 Nov 2026 11:00:00 GMT", 0.0),
    ],
)
@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_honoured_within_bounds(code: int, header: str | None, wait: float) -> None:
    assert verdict(Answer(status_code=code, retry_after=header, at=NOW)).wait == wait


@given(code=st.integers(100, 999), header=st.none() | st.text(), body=st.text(), shrunk=st.booleans())
def test_any_answer_has_a_verdict(code: int, header: str | None, body: str, shrunk: bool) -> None:
    said = verdict(Answer(status_code=code, retry_after=header, body=body, at=NOW), shrunk=shrunk)
    assert said.action in ("accepted", "retry", "shrink", "failed", "refused")
    assert 0 <= said.wait <= RETRY_AFTER_LIMIT
    assert (said.action == "accepted") == (code == 202)
