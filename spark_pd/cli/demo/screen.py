"""What the demo shows, by rich: tables of a run's stats, of its decisions and of incidents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from spark_pd.model import Decision, RunStats
    from spark_pd.sandbox import Incident

STYLES = {
    "passed": "green",
    "failed": "red",
    "good": "green",
    "firing": "red",
    "resolved": "green",
    "triggered": "red",
    "critical": "bold red",
    "error": "red",
    "warning": "yellow",
}


def styled(word: str) -> str:
    """A word in the colour that it has everywhere in the demo."""
    style = STYLES.get(word)
    return f"[{style}]{escape(word)}[/]" if style else escape(word)


def number(value: int | None) -> str:
    """A count of rows; unknown where it is not known."""
    return "unknown" if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """A percentage, with two digits; unknown where it is not known."""
    return "unknown" if value is None else f"{value:.2f} %"


def show_stats(console: Console, stats: RunStats) -> None:
    """A run's counts, then each rule's."""
    seconds = (stats.ended_at - stats.started_at).total_seconds()
    counts = _table("statistic", "rows", "of the input", title=f"Run stats of {stats.table_name}: {styled(stats.status)}", right=(1, 2))
    counts.add_row("input", number(stats.input_count), "")
    counts.add_row("with an error", number(stats.error_count), percent(stats.error_percentage))
    counts.add_row("dropped", number(stats.dropped_count), percent(stats.error_drop_percentage))
    counts.add_row("written", number(stats.output_count), percent(stats.output_percentage))
    counts.caption = f"counted by {stats.counting}; {'exact' if stats.exact else 'not exact'}; {seconds:.1f} s"
    console.print(counts)
    rules = _table("rule", "if it fails", "status", "rows failed", "of the input", right=(3, 4))
    for rule in stats.rules:
        rules.add_row(
            escape(rule.name),
            rule.action_if_failed,
            styled(rule.status),
            number(rule.failed_count),
            percent(rule.failed_percentage),
        )
    console.print(rules)


def show_decisions(console: Console, decisions: Sequence[Decision]) -> None:
    """Why somebody was, or was not, paged: one line for each trigger."""
    table = _table("trigger", "outcome", "why", title="Decisions")
    for decision in decisions:
        table.add_row(escape(decision.trigger), styled(decision.outcome), escape(decision.reason))
    console.print(table)


def show_incidents(console: Console, title: str, incidents: Sequence[Incident]) -> None:
    """Incidents as PagerDuty has them."""
    table = _table("status", "severity", "summary", title=title)
    for incident in incidents:
        table.add_row(styled(incident.status), styled(incident.severity), escape(incident.summary))
    console.print(table)


def _table(*columns: str, title: str | None = None, right: Sequence[int] = ()) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", caption_justify="left", box=box.SIMPLE_HEAD)
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position in right else "left")
    return table
