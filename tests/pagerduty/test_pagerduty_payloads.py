"""Any alert at all becomes an event that PagerDuty takes: valid by its OpenAPI, within its documented limits, and fit for the sandbox.

300 examples each; `make payloads` tries 10,000.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from enum import Enum
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_pd.delivery.outbox.entry import Entry, decode
from spark_pd.delivery.outbox.entry import encode as written
from spark_pd.model import Alert, Link, Secret
from spark_pd.pagerduty import change_event
from spark_pd.pagerduty.event import BODY_LIMIT, encode, event
from spark_pd.sandbox.events import alert_problems, change_problems, parse

KEY = "0123456789abcdef0123456789ABCDEF"
Check = Callable[[dict[str, Any]], None]
EXAMPLES = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.large_base_example],
    deadline=None,
    max_examples=max(300, settings().max_examples),
)


class Colour(Enum):
    RED = "red"


class Mute:
    """What a details' value may be at its worst."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Deep(dict[str, object]):
    """A mapping that holds itself."""

    def __init__(self) -> None:
        super().__init__()
        self["me"] = self


def row(values: list[object]) -> object:
    """A Spark row, which needs no session."""
    from pyspark.sql import Row

    return Row(**{f"c{n}": value for n, value in enumerate(values)})


def nested(depth: int) -> object:
    value: object = float("nan")
    for level in range(depth):
        value = [value] if level % 2 else {"x": value}
    return value


TEXT = st.text(st.characters(), max_size=40)  # with control characters and lone surrogates
LONG = st.builds(lambda text, times: (text or "x") * times, TEXT, st.integers(50, 2_000))
ODD_ZONES = (
    st.timezones()
    | st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
    | st.just(timezone(timedelta(hours=23, minutes=59, seconds=59, microseconds=999_999)))
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.fractions()
    | st.complex_numbers()
    | st.dates()
    | st.times()
    | st.datetimes()
    | st.datetimes(timezones=ODD_ZONES)
    | st.timedeltas()
    | st.uuids()
    | st.binary(max_size=20)
    | st.binary(max_size=20).map(bytearray)
    | st.binary(max_size=20).map(memoryview)
    | st.sampled_from([Colour.RED, Mute(), object(), 10**50, -(2**63), 10**4000, PurePosixPath("/x"), Secret("hunter2"), range(3), int])
    | st.sampled_from([float("nan"), float("inf"), float("-inf"), datetime.max, datetime.min, Deep(), b"\xff\xfe"])
    | TEXT
)
HASHABLE = st.none() | st.booleans() | st.integers() | st.floats() | st.tuples(st.integers()) | st.dates() | st.binary(max_size=4) | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.lists(inner, max_size=4).map(row)
        | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.sets(HASHABLE, max_size=4)
        | st.frozensets(HASHABLE, max_size=4)
    ),
    max_leaves=12,
)
HUGE = (
    st.integers(1, 200).map(lambda n: ["x" * 5_000] * n)
    | st.integers(1, 60_000).map(lambda n: list(range(n)))
    | st.integers(1, 3_000).map(lambda n: {f"field {i}": "\u20ac" * 100 for i in range(n)})
    | st.integers(1, 400_000).map(lambda n: "\u00fc" * n)
    | st.integers(1, 400_000).map(lambda n: '\x01"\\' * n)
    | st.integers(1, 2_000).map(nested)
)
LINKS = st.lists(
    st.builds(Link, href=TEXT | TEXT.map("https://x.example/{}".format) | LONG.map("https://x.example/{}".format), text=TEXT | LONG),
    max_size=25,
)
ALERTS = st.builds(
    Alert,
    trigger=TEXT | LONG,
    state=st.sampled_from(["firing", "resolved"]),
    severity=st.sampled_from(["critical", "error", "warning", "info", "loud", ""]),
    summary=TEXT | st.text(min_size=1000, max_size=1100) | LONG,
    details=st.dictionaries(HASHABLE, VALUES, max_size=5) | st.dictionaries(TEXT, HUGE, max_size=2),
    dedup_key=TEXT | st.text(min_size=250, max_size=300) | LONG,
    source=TEXT | LONG,
    component=TEXT | LONG,
    group=st.none() | TEXT | LONG,
    at=st.datetimes() | st.datetimes(timezones=ODD_ZONES),
    links=LINKS.map(tuple),
)


@EXAMPLES
@given(alert=ALERTS)
def test_any_alert_is_a_valid_event_within_the_limits(valid: Check, alert: Alert) -> None:
    made = event(alert, routing_key=KEY)
    body = encode(made)
    assert len(body) <= BODY_LIMIT
    sent = parse(body)
    assert sent is not None
    valid(sent)
    assert alert_problems(sent) == []
    if len(json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()) <= BODY_LIMIT:
        assert sent == made  # nothing is cut that fits
    assert encode(event(alert, routing_key=KEY)) == body  # an equal alert is an equal event
    fired, resolved = (event(replace(alert, state=state), routing_key=KEY)["dedup_key"] for state in ("firing", "resolved"))  # type: ignore[arg-type]
    assert fired == resolved


@EXAMPLES
@given(alert=ALERTS)
def test_any_alert_is_a_valid_change_event_within_the_limits(openapi_validator: Callable[[str], Any], alert: Alert) -> None:
    sent = parse(encode(change_event(alert, routing_key=KEY)))
    assert sent is not None
    openapi_validator("/change/enqueue").validate(sent)
    assert change_problems(sent) == []
    assert set(sent) <= {"routing_key", "payload", "links"}
    assert len(sent["payload"]["summary"]) <= 1024
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", sent["payload"]["timestamp"])


@EXAMPLES
@given(alert=ALERTS)
def test_any_alert_is_the_same_event_after_the_outbox(alert: Alert) -> None:
    """What the outbox gives back is what would have been sent, but for details beyond its own limit."""
    from spark_pd.model import Address

    severity = alert.severity if alert.severity in ("critical", "error", "warning", "info") else "error"
    alert = replace(alert, severity=severity)
    entry = Entry(id="0" * 12, stamp=1, address=Address(channel="pagerduty"), alert=alert)
    back = decode(written(entry)).alert
    first, second = event(alert, routing_key=KEY), event(back, routing_key=KEY)
    if "payload" in first and "cut" in second["payload"]["custom_details"]:
        first["payload"].pop("custom_details"), second["payload"].pop("custom_details")
    assert first == second


@pytest.mark.parametrize("depth", [1, 15, 16, 17, 1_000, 100_000])
def test_details_of_any_depth_end(depth: int, valid: Check) -> None:
    alert = Alert(
        trigger="t", state="firing", severity="error", summary="s", details={"deep": nested(depth)}, dedup_key="d", source="s",
        component="c", at=datetime(2026, 1, 1, tzinfo=timezone.utc),
    )  # fmt: skip
    sent = json.loads(encode(event(alert, routing_key=KEY)))
    valid(sent)
    assert len(json.dumps(sent["payload"]["custom_details"])) < 1_000
    assert "deep" in sent["payload"]["custom_details"]
