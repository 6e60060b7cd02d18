from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any

import pytest

from spark_pd.model import Alert, Link, Secret
from spark_pd.pagerduty.event import BODY_LIMIT, encode, event
from spark_pd.pagerduty.json_values import plain
from spark_pd.sandbox import Sandbox

KEY = "0123456789abcdef0123456789ABCDEF"
Make = Callable[..., Alert]
Check = Callable[[dict[str, Any]], None]


class Colour(Enum):
    RED = "red"


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_a_firing_alert_fills_every_field(make_alert: Make, valid: Check) -> None:
    made = event(make_alert(), routing_key=KEY, client="spark_pd")
    valid(made)
    assert made == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": "spark_pd/prod/sales/sales.orders/error_drop_threshold",
        "client": "spark_pd",
        "client_url": "https://spark.example/app-1",
        "links": [
            {"href": "https://spark.example/app-1", "text": "Spark UI"},
            {"href": "https://wiki.example/runbook", "text": "Runbook"},
        ],
        "payload": {
            "summary": "sales.orders: 12 % of the rows were dropped, 10 % is the threshold",
            "source": "nightly",
            "severity": "error",
            "timestamp": "2026-11-20T08:30:00.000Z",
            "component": "sales.orders",
            "group": "sales",
            "class": "error_drop_threshold",
            "custom_details": {"dropped_count": 12, "rules": [{"rule": "positive", "failed_count": 12}]},
        },
    }


def test_a_resolve_has_the_key_of_its_trigger_and_no_payload(make_alert: Make) -> None:
    for dedup_key in ("a/b", "x" * 300, "two\nlines", ""):
        fired = event(make_alert(dedup_key=dedup_key), routing_key=KEY)
        resolved = event(make_alert(dedup_key=dedup_key, state="resolved"), routing_key=KEY)
        assert resolved == {"routing_key": KEY, "event_action": "resolve", "dedup_key": fired["dedup_key"]}


def test_long_dedup_keys_that_differ_at_their_end_stay_different(make_alert: Make) -> None:
    keys = {event(make_alert(dedup_key="x" * 300 + end), routing_key=KEY)["dedup_key"] for end in "ab"}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("summary", "sent"),
    [
        ("one\ntwo\r\nthree\tfour\x00\x1b[31m\u2028five", "one two three four [31m five"),
        ("x" * 1024, "x" * 1024),
        ("x" * 1025, "x" * 1021 + "..."),
        ("\u00fc" * 1025, "\u00fc" * 1021 + "..."),
        ("lone \ud800 surrogate", "lone ? surrogate"),
        (" \n ", "error_drop_threshold: sales.orders"),
    ],
)
def test_a_summary_is_one_line_within_its_limit(make_alert: Make, summary: str, sent: str) -> None:
    assert event(make_alert(summary=summary), routing_key=KEY)["payload"]["summary"] == sent


@pytest.mark.parametrize(
    ("source", "component", "sent"), [(" ", "sales.orders", "sales.orders"), ("", "", "spark_pd"), ("nightly", "", "nightly")]
)
def test_a_source_is_never_blank(make_alert: Make, source: str, component: str, sent: str) -> None:
    assert event(make_alert(source=source, component=component), routing_key=KEY)["payload"]["source"] == sent


@pytest.mark.parametrize(
    ("at", "sent"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 678901), "2026-01-02T03:04:05.678Z"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=30))), "2026-01-01T21:34:05.000Z"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), "0001-01-01T00:00:00.000Z"),
    ],
)
def test_a_timestamp_is_utc_with_a_z(make_alert: Make, at: datetime, sent: str) -> None:
    assert event(make_alert(at=at), routing_key=KEY)["payload"]["timestamp"] == sent


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (Decimal("12.50"), "12.50"),
        (Fraction(1, 4), 0.25),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, tzinfo=timezone.utc), "2026-01-02T03:00:00.000Z"),
        ({3, 1, 2}, [1, 2, 3]),
        ((1, "a"), [1, "a"]),
        (b"caf\xc3\xa9\xff", "caf\u00e9\ufffd"),
        (Colour.RED, "red"),
        ({1: "a", "1": "b", None: "c"}, {"1": "a", "1 (2)": "b", "None": "c"}),
        pytest.param(10**5000, "(an integer of 16610 bits)", id="more digits than Python prints"),
        (Mute(), "(a Mute that could not be read)"),
        (Secret("hunter2"), "Secret(****)"),
        ("\ud800\0", "? "),
    ],
)
def test_any_value_becomes_one_that_json_can_hold(value: object, held: object) -> None:
    assert plain(value) == held


def test_a_circle_ends() -> None:
    circle: list[object] = []
    circle.append(circle)
    assert "..." in json.dumps(plain(circle))


def test_an_event_within_the_limit_is_sent_as_it_is_and_measured_in_bytes(make_alert: Make) -> None:
    almost = event(make_alert(details={"text": "\u20ac" * 170_000}), routing_key=KEY)  # 510,000 bytes, 170,000 characters
    assert json.loads(encode(almost)) == almost
    over = event(make_alert(details={"text": "\u20ac" * 171_000}), routing_key=KEY)
    assert len(encode(over)) <= BODY_LIMIT
    assert "cut" in json.loads(encode(over))["payload"]["custom_details"]


def test_long_details_are_cut_and_say_how_much_was_left_out(make_alert: Make, valid: Check) -> None:
    details = {"rules": [{"rule": f"rule {n}", "text": "t" * 300} for n in range(2_000)], "rows": 7}
    sent = json.loads(encode(event(make_alert(details=details), routing_key=KEY)))
    valid(sent)
    shown = sent["payload"]["custom_details"]
    assert shown["rows"] == 7
    assert shown["rules"][-1] == "... 1000 more left out"
    assert shown["rules"][0] == {"rule": "rule 0", "text": "t" * 300}
    assert "bytes" in shown["cut"]


def test_samples_go_before_anything_else_is_cut(make_alert: Make, valid: Check) -> None:
    rules = [{"rule": f"rule {n}", "text": "t" * 9_000, "samples": [{"note": "s" * 200}] * 100} for n in range(30)]
    sent = json.loads(encode(event(make_alert(details={"failed_rules": rules, "rows": 7}), routing_key=KEY)))
    valid(sent)
    shown = sent["payload"]["custom_details"]
    assert shown["failed_rules"] == [{"rule": f"rule {n}", "text": "t" * 9_000} for n in range(30)]
    assert (shown["rows"], "samples were left out" in shown["cut"]) == (7, True)


def test_details_that_fit_in_no_way_are_left_out_with_a_note(make_alert: Make, valid: Check) -> None:
    deep: object = "x" * 90
    for _ in range(4):
        deep = [deep] * 10
    sent = json.loads(encode(event(make_alert(details={"deep": deep}), routing_key=KEY)))
    valid(sent)
    assert list(sent["payload"]["custom_details"]) == ["cut"]
    assert "left out" in sent["payload"]["custom_details"]["cut"]


def test_an_event_fits_a_limit_that_leaves_room_for_the_least(make_alert: Make, valid: Check) -> None:
    links = tuple(Link(f"https://x.example/{n}/" + "p" * 2000, "t" * 1000) for n in range(20))
    sent = encode(event(make_alert(links=links, details={"x": "y" * 1000}), routing_key=KEY), limit=1000)
    assert len(sent) <= 1000
    valid(json.loads(sent))


def test_links_that_no_browser_opens_are_left_out(make_alert: Make, valid: Check) -> None:
    refused = ["", "https://x.example/" + "p" * 3000, "https://x.example/a b", "javascript:alert(1)", "https://", "https://[x/"]
    links = (*(Link(href, "text") for href in refused), Link(" https://x.example ", ""))
    made = event(make_alert(links=links), routing_key=KEY)
    valid(made)
    assert made["links"] == [{"href": "https://x.example", "text": "https://x.example"}]
    assert "links" not in event(make_alert(links=()), routing_key=KEY)


def test_the_sandbox_shows_the_incident_as_it_was_told(make_alert: Make, sandbox: Sandbox) -> None:
    import requests

    body = encode(event(make_alert(), routing_key=KEY))
    assert requests.post(f"{sandbox.url}/v2/enqueue", data=body, headers={"Content-Type": "application/json"}, timeout=5).status_code == 202
    (incident,) = sandbox.open_incidents()
    assert (incident.severity, incident.details["dropped_count"]) == ("error", 12)
