from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.delivery.dispatch import token_bucket as b
from spark_pd.delivery.dispatch.token_bucket import Bucket
from spark_pd.settings import Settings

RATES = st.floats(1, 10_000)
BUCKETS = st.none() | st.builds(Bucket, st.floats(-1e4, 1e4), st.floats(-1e10, 1e10), st.floats(-1e10, 1e10), st.integers(0, 10_000))


@given(
    rate=st.sampled_from([1.0, 7.0, 60.0, 100.0, 960.0]),
    steps=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 40), st.booleans()), max_size=40),
)
def test_no_60_seconds_see_more_than_a_minute_and_the_burst(rate: float, steps: list[tuple[float, int, bool]]) -> None:
    bucket, now, given_out = None, 1e9, []
    for seconds, tries, urgent in steps:
        now += seconds
        for _ in range(tries):
            bucket, wait = b.take(bucket, rate, now, urgent=urgent)
            if not wait:
                given_out.append(now)
    for start in given_out:
        assert sum(start <= at < start + 60 for at in given_out) <= rate + b.burst(rate) + 1e-3


def test_with_the_default_rate_pagerdutys_120_a_minute_are_never_reached() -> None:
    rate = Settings().rate
    assert rate + b.burst(rate) < 120
    assert b.burst(rate) >= 40, "the runs of one hour's jobs should not wait for each other"


@given(rate=RATES, urgent=st.booleans())
def test_whoever_waits_as_long_as_he_was_told_gets_a_token_then_and_not_much_earlier(rate: float, urgent: bool) -> None:
    bucket, now = None, 1e9
    for _ in range(5000):
        bucket, wait = b.take(bucket, rate, now, urgent=urgent)
        if wait:
            break
    assert 0 < wait <= 60 * (1 + b.burst(rate)) / rate
    assert b.take(bucket, rate, now + wait / 2, urgent=urgent)[1] > 0
    assert b.take(bucket, rate, now + wait + 1e-3, urgent=urgent)[1] == 0


def test_resolves_leave_something_to_what_is_firing() -> None:
    bucket = None
    passed = 0
    while True:
        bucket, wait = b.take(bucket, 100, 0.0, urgent=False)
        if wait:
            break
        passed += 1
    assert passed == 11
    assert all(b.take(bucket, 100, 0.0, urgent=True)[1] == 0 for _ in range(4))
    # While both wait, each token that comes in is the firing one's.
    bucket = Bucket(0.0, 0.0)
    for now in range(1, 60):
        assert b.take(bucket, 100, now * 0.6, urgent=False)[1] > 0 or now > 4
        bucket, wait = b.take(bucket, 100, now * 0.6, urgent=True)
        assert wait == 0


@pytest.mark.parametrize(("asked", "seconds"), [(0, [1, 2, 4, 8, 16, 32, 60, 60]), (7, [7, 7, 7]), (3600, [60, 60])])
def test_a_429_closes_the_bucket_for_everybody_and_longer_each_time(asked: float, seconds: list[float]) -> None:
    bucket, now = None, 1e9
    for expected in seconds:
        bucket, closed = b.close(bucket, 100, now, asked)
        assert closed == pytest.approx(expected)
        assert b.take(bucket, 100, now + closed * 0.9, urgent=True)[1] > 0
        now += closed
        bucket, wait = b.take(bucket, 100, now, urgent=True)
        assert wait == 0
        assert b.take(bucket, 100, now, urgent=True)[1] > 0  # the first one is alone
    assert b.close(bucket, 100, now + 600, 0)[1] == pytest.approx(1)


@given(bucket=BUCKETS, rate=RATES, now=st.floats(-1e10, 1e10), urgent=st.booleans(), asked=st.floats(0, 1e9))
def test_a_clock_that_jumps_keeps_nobody_waiting_for_long(
    bucket: Bucket | None, rate: float, now: float, urgent: bool, asked: float
) -> None:
    after, wait = b.take(bucket, rate, now, urgent=urgent)
    assert 0 <= wait <= b.LONGEST + 60 * (1 + b.burst(rate)) / rate
    assert after.at == now or bucket is None
    shut, seconds = b.close(bucket, rate, now, asked)
    assert 0 < seconds <= b.LONGEST + 1e-3
    assert isinstance(b.is_scarce(shut, rate, now), bool)


@given(bucket=BUCKETS.filter(lambda bucket: bucket is not None))
def test_a_bucket_comes_back_from_json_as_it_was(bucket: Bucket) -> None:
    assert b.from_fields(json.loads(json.dumps(b.to_fields(bucket)))) == bucket


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tokens": 1},
        {"tokens": "x", "at": 1, "closed_until": 1, "strikes": 1},
        {"tokens": 1e999, "at": 1, "closed_until": 1, "strikes": 1},
    ],
)
def test_what_is_no_bucket_is_none(fields: dict[str, object]) -> None:
    assert b.from_fields(fields) is None
