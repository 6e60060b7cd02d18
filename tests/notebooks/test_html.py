"""What a notebook shows of a run, its stats and a monitor: all of it, and nothing of a name that is HTML itself."""

from __future__ import annotations

from datetime import datetime, timezone
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spark_pd
from spark_pd.model import RuleResult, RunStats, html

NOW = datetime(2026, 11, 20, tzinfo=timezone.utc)
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onmouseover='x", "</style><b>", "&lt;", "📦" * 50, "a" * 5000]


class Reader(HTMLParser):
    """Reads what a browser would: tags with attributes, and texts. Every tag has to end."""

    VOID = ("br", "img")

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def must_be_harmless(page: str) -> Reader:
    found = Reader(page)
    allowed = {"style", "section", "h4", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "p", "a", "br"}
    assert {tag for tag, _ in found.tags} <= allowed
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    assert all((attributes.get("href") or "https://").startswith(("https://", "http://")) for _, attributes in found.tags)
    return found


def stats_of(table: str, rule: str, failed: int | None = 1) -> RunStats:
    known = failed is not None
    result = RuleResult(
        name=rule,
        rule_type="row_dq",
        column_name=None,
        action_if_failed="drop",
        status="failed" if known else "unknown",
        failed_count=failed,
        failed_percentage=10.0 if known else None,
    )
    counts = {"input_count": 10 if known else None, "error_count": failed, "dropped_count": failed, "output_count": None}
    about = {"product_id": None, "table_name": table, "run_id": "r", "started_at": NOW, "ended_at": NOW}
    return RunStats(**about, **counts, status="passed", exact=known, counting="operator", rules=(result,))


@given(st.text() | st.sampled_from(HOSTILE), st.text() | st.sampled_from(HOSTILE))
def test_no_name_is_ever_html(table, rule):
    found = must_be_harmless(stats_of(table, rule)._repr_html_())
    assert "failed" in found.text


@pytest.mark.parametrize("href", ["javascript:alert(1)", "data:text/html,x", "//x", ""])
def test_a_link_that_no_browser_should_follow_is_a_text(href):
    assert Reader(html.link(href, "x")).tags == []


def test_unknown_is_shown_as_unknown_and_never_as_zero():
    text = must_be_harmless(stats_of("t", "r", None)._repr_html_()).text
    assert "unknown" in text
    assert " 0" not in text


def test_a_run_says_its_verdict_its_rules_who_was_paged_and_why_others_were_not(spark, pagerduty):
    monitor = spark_pd.install(spark, {**pagerduty.config, "spark.pd.on.ignored_rules": True})
    rules = [{"rule": "<b>small</b>", "expectation": "id < 5"}]
    with monitor.run("sales.orders", rules=rules) as run:
        assert "not ended yet" in must_be_harmless(run._repr_html_()).text
        run.check(spark.range(10)).write.format("noop").mode("overwrite").save()
    found = must_be_harmless(run._repr_html_())
    for part in ("bad (ignored_rules)", "<b>small</b>", "50 %", "pagerduty", "sent", "Why somebody was paged", "switched off: start"):
        assert part in found.text, part
    assert "bad (ignored_rules)" in repr(run)
    page = must_be_harmless(monitor._repr_html_())
    assert "on.rules.action.if.failed.set.ignore" in page.text
    assert pagerduty.key not in page.text
    monitor.uninstall()
