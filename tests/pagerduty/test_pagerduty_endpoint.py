from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.model.errors import SettingsError
from spark_pd.pagerduty.endpoint import endpoint, is_loopback


@pytest.mark.parametrize(
    ("region", "url", "goal"),
    [
        ("us", None, "https://events.pagerduty.com/v2/enqueue"),
        ("eu", None, "https://events.eu.pagerduty.com/v2/enqueue"),
        ("eu", "  ", "https://events.eu.pagerduty.com/v2/enqueue"),
        ("us", "https://events.pagerduty.com/v2/enqueue", "https://events.pagerduty.com/v2/enqueue"),
        ("us", " https://events.pagerduty.com/v2/enqueue/ ", "https://events.pagerduty.com/v2/enqueue"),
        ("eu", "https://gate.example:8443", "https://gate.example:8443/v2/enqueue"),
        ("us", "https://gate.example/", "https://gate.example/v2/enqueue"),
        ("us", "https://gate.example/pagerduty", "https://gate.example/pagerduty/v2/enqueue"),
        ("us", "http://127.0.0.1:8080", "http://127.0.0.1:8080/v2/enqueue"),
        ("us", "http://127.9.9.9/v2/enqueue", "http://127.9.9.9/v2/enqueue"),
        ("us", "http://localhost:1", "http://localhost:1/v2/enqueue"),
        ("us", "http://[::1]:80", "http://[::1]:80/v2/enqueue"),
    ],
)
def test_an_endpoint_comes_from_the_region_or_the_url(region: str, url: str | None, goal: str) -> None:
    assert endpoint(region, url) == goal


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://events.pagerduty.com/v2/enqueue", "over plain http"),
        ("http://127.0.0.1.evil.example", "over plain http"),
        ("http://localhost.evil.example", "over plain http"),
        ("http://2130706433/", "over plain http"),
        ("http://10.0.0.1", "over plain http"),
        ("https://bob:hunter2@events.pagerduty.com", "user or a password"),
        ("http://127.0.0.1@evil.example", "user or a password"),
        ("https://evil.example\\@events.pagerduty.com", "user or a password"),
        ("https://events.pagerduty.com/v2/enqueue?key=hunter2", "query"),
        ("https://events.pagerduty.com/v2/enqueue?", "query"),
        ("https://events.pagerduty.com/#hunter2", "query or a fragment"),
        ("events.pagerduty.com", "not an https address"),
        ("ftp://events.pagerduty.com", "not an https address"),
        ("file:///etc/passwd", "not an https address"),
        ("https://", "not an https address"),
        ("https:///v2/enqueue", "not an https address"),
        ("https://events.pagerduty.com:99999", "cannot be read"),
        ("https://events.pagerduty.com:hunter2", "cannot be read"),
        ("https://[::1", "cannot be read"),
        ("https://events pagerduty.com", "cannot be read"),
        ("https://-x/", "cannot be read"),
        ("https://p\u00e4ger.example", "cannot be read"),
    ],
)
def test_a_url_that_might_give_the_key_away_is_refused_without_showing_it(url: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as caught:
        endpoint("us", url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(SettingsError, match="'apac': expected us or eu"):
        endpoint("apac", None)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:5/x", True),
        ("http://127.255.255.254", True),
        ("https://LOCALHOST", True),
        ("http://localhost.:80", True),
        ("http://[::1]/", True),
        ("http://128.0.0.1", False),
        ("http://0.0.0.0", False),
        ("http://[::2]", False),
        ("https://events.pagerduty.com", False),
        ("https://127.0.0.1.example", False),
        ("https://[", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_alone(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


@given(st.text() | st.builds("{}://{}".format, st.sampled_from(["http", "https"]), st.text()))
def test_any_url_is_made_safe_or_refused(url: str) -> None:
    try:
        goal = endpoint("us", url)
    except SettingsError:
        return
    parts = urlsplit(goal)
    assert parts.path.endswith("/v2/enqueue")
    assert parts.scheme == "https" or is_loopback(goal)
    assert (parts.username, parts.password, parts.query, parts.fragment) == (None, None, "", "")
