"""Run stats for a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_pd.model import html

if TYPE_CHECKING:
    from spark_pd.model.stats import RunStats

_KINDS = {"passed": "good", "failed": "bad", "errored": "bad"}


def stats_html(stats: RunStats) -> str:
    """The counts and the rules of a run."""
    verdict = html.marked(stats.status, _KINDS.get(stats.status, "none"))
    return html.page(f"{html.text(stats.table_name)}: {verdict}", counts_table(stats), rules_table(stats))


def counts_table(stats: RunStats) -> str:
    """How many rows there were, failed, were dropped and written."""
    rows = [
        ("input", html.text(stats.input_count), ""),
        ("failed a rule", html.text(stats.error_count), html.bar(stats.error_percentage)),
        ("dropped", html.text(stats.dropped_count), html.bar(stats.error_drop_percentage)),
        ("written", html.text(stats.output_count), ""),
    ]
    how = f"counted by {stats.counting}" if stats.exact else "the counts are not known exactly"
    return html.table(f"Rows ({how})", ("rows", "count", "of the input"), rows, numbers=frozenset({1}))


def rules_table(stats: RunStats) -> str:
    """Each rule, the worst first."""
    worst = sorted(stats.rules, key=lambda each: (each.status != "failed", -(each.failed_count or 0)))
    rows = [
        (
            html.text(each.name),
            html.marked(each.status, _KINDS.get(each.status, "none")),
            html.text(each.action_if_failed),
            html.text(each.failed_count) if each.rule_type == "row_dq" else html.text(each.observed),
            html.bar(each.failed_percentage) if each.rule_type == "row_dq" else "",
        )
        for each in worst
    ]
    return html.table("Rules", ("rule", "result", "action", "failed, or value", "of the input"), rows, numbers=frozenset({3}))
