from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.delivery.dispatch import storm
from spark_pd.delivery.dispatch.storm import Told
from spark_pd.delivery.outbox.storm_members import Listing, Member

AT = datetime(2026, 11, 20, tzinfo=timezone.utc)
NOBODY, SOME, MORE = Listing(frozenset(), ""), Listing(frozenset({"a"}), "1"), Listing(frozenset({"a", "b"}), "2")


def member(n: int, severity: Any = "warning", trigger: str = "ignored_rules", component: str | None = None) -> Member:
    return Member(
        line=f"{n:016x}",
        dedup_key=f"key {n}",
        trigger=trigger,
        severity=severity,
        component=component or f"table_{n:03}",
        summary=f"table {n} is bad",
        source="nightly",
    )


@given(
    limit=st.integers(1, 5),
    steps=st.lists(st.tuples(st.sampled_from("abcdefghij"), st.floats(0, 40)), max_size=40),
)
def test_no_minute_lets_more_than_the_limit_through(limit: int, steps: list[tuple[str, float]]) -> None:
    recent: dict[str, Any] = {}
    now, through = 1e9, []
    for line, seconds in steps:
        now += seconds
        recent, too_many = storm.count(json.loads(json.dumps(recent)), line, now, limit)
        if not too_many:
            through.append((now, line))
        assert len(recent) <= 2 * limit
    for start, _ in through:
        # Who was let through may come again; he counts once.
        assert len({line for at, line in through if start <= at < start + 60}) <= 2 * limit
    # One after the other, no gaps: exactly the limit.
    fresh: dict[str, Any] = {}
    passed = 0
    for n in range(3 * limit):
        fresh, too_many = storm.count(fresh, str(n), now, limit)
        passed += not too_many
    assert passed == limit


def test_while_it_storms_on_nobody_new_goes_through_and_afterwards_all_do() -> None:
    recent: dict[str, Any] = {}
    passed = []
    for n in range(600):  # 2 a second for 5 minutes
        recent, too_many = storm.count(recent, str(n), n / 2, 60)
        if not too_many:
            passed.append(n)
    assert passed == list(range(60))
    _, too_many = storm.count(recent, "later", 300 + 60, 60)
    assert not too_many


def test_what_is_no_count_and_what_is_of_the_future_counts_for_nothing() -> None:
    recent = {"a": "x", "b": [1], "c": [2000.0, True], "d": [None, True], "e": {}}
    assert storm.count(recent, "z", 1000.0, 1) == ({"z": [1000.0, True]}, False)


@pytest.mark.parametrize(
    ("told", "listing", "early", "expected"),
    [
        (Told(), NOBODY, False, None),
        (Told(), SOME, False, ("open", 0)),
        (Told("k", "opening"), SOME, False, ("open", 0)),
        (Told("k", "opening"), NOBODY, False, ("close", 0)),  # it may have been opened
        (Told("k", "open", "1", 990), SOME, False, None),
        (Told("k", "open", "1", 990), MORE, False, ("update", 50)),
        (Told("k", "open", "1", 990), MORE, True, ("update", 0)),
        (Told("k", "open", "1", 990, updates=1), MORE, True, ("update", 50)),
        (Told("k", "open", "1", 900), MORE, False, ("update", 0)),
        (Told("k", "open", "1", 5000), MORE, False, ("update", 0)),  # the clock jumped back
        (Told("k", "open", "1", 999), NOBODY, False, ("close", 0)),
        (Told("k", "open", "1", 990, refused=True), NOBODY, True, ("close", 50)),
        (Told("k", "opening", "", 990, refused=True), SOME, True, ("open", 50)),
        (Told("k", "open", "1", 990, refused=True), MORE, True, ("update", 50)),
    ],
)
def test_what_is_told_next(told: Told, listing: Listing, early: bool, expected: tuple[str, float] | None) -> None:
    assert storm.next_step(told, listing, 1000.0, early=early) == expected
    assert storm.from_fields(json.loads(json.dumps(storm.to_fields(told)))) == told


@pytest.mark.parametrize("fields", [{"state": "broken"}, {"state": "open", "at": "x"}, {"updates": []}])
def test_what_is_broken_may_stand_for_an_open_incident(fields: dict[str, Any]) -> None:
    assert storm.next_step(storm.from_fields(fields), NOBODY, 0.0) == ("close", 0.0)
    assert storm.from_fields({}) == Told()


def test_the_incident_counts_by_trigger_names_the_worst_and_bounds_the_tables() -> None:
    members = [member(n) for n in range(200)] + [member(300, "error", "error_drop_threshold"), member(301, "info", "start", "table_001")]
    alert = storm.roll_up(members, dedup_key="k", environment="prod", at=AT, lasting=True)
    assert alert.summary == "[prod] storm of 202 alerts on 201 tables: 200 ignored_rules, 1 error_drop_threshold, 1 start"
    assert (alert.state, alert.severity, alert.dedup_key, alert.source) == ("firing", "error", "k", "nightly")
    assert alert.details["worst"] == "table 300 is bad"
    assert alert.details["by_severity"] == {"error": 1, "warning": 200, "info": 1}
    assert len(alert.details["tables"]) == 50
    assert alert.details["more_tables"] == 151
    assert alert.details["members"][0]["dedup_key"] == "key 300"
    assert len(json.dumps(dict(alert.details))) < 20_000
    assert "closing" not in alert.details
    assert "no outbox" in storm.roll_up(members, dedup_key="k", environment=None, at=AT, lasting=False).details["closing"]


def test_without_members_it_is_over() -> None:
    alert = storm.roll_up([], dedup_key="k", environment=None, at=AT, lasting=True)
    assert (alert.state, alert.dedup_key, alert.summary) == ("resolved", "k", "storm over: all of its alerts are good")


def test_the_key_is_readable_and_no_tables() -> None:
    assert storm.storm_key("prod", "1a2b3c4d") == "spark_pd/prod/-/outbox 1a2b3c4d/storm"
    assert storm.storm_key("a/b", "x") != storm.storm_key("a", "b/x")
