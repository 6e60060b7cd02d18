"""Breaches: thresholds that were reached, by the rows that were dropped or by those that one rule failed. Pure.

A threshold is reached at the limit itself, compared exactly: 9.996 % is below 10, and 0.1 + 0.2 never decides. No row is no breach.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

from spark_pd.model import Rule, RunStats

Level: TypeAlias = Literal["alarm", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One threshold that was reached. `rows` of the `input` are more than it allows."""

    rule: str | None
    """The rule whose own threshold it is; None for the rows that were dropped."""
    level: Level
    limit: float
    """In percent."""
    rows: int
    input: int

    def __str__(self) -> str:
        share = f"{percent(self.rows, self.input)} of the rows"
        count = f"({self.rows:,} of {self.input:,})"
        limit = f"{'warning ' if self.level == 'warning' else ''}threshold {number(self.limit)} %"
        if self.rule is None:
            return f"{share} were dropped {count}, {limit}"
        return f"rule {self.rule} failed for {share} {count}, its {limit}"


def of_table(stats: RunStats, alarm: float, warning: float | None) -> tuple[Breach, ...]:
    """The table's own breach, by its dropped rows; empty where there is none, or the counts are not known."""
    return _breach(None, stats.dropped_count, stats.input_count, alarm, warning)


def of_rules(stats: RunStats, rules: Iterable[Rule]) -> tuple[Breach, ...]:
    """The breaches of the rules' own thresholds, alarms first, then by rows."""
    failed = {result.name: result.failed_count for result in stats.rules}
    found = [
        breach
        for rule in rules
        if has_threshold(rule)
        for breach in _breach(rule.name, failed.get(rule.name), stats.input_count, rule.error_drop_threshold or 0.0, rule.warning_threshold)
    ]
    return tuple(sorted(found, key=lambda breach: (breach.level != "alarm", -breach.rows)))


def has_threshold(rule: Rule) -> bool:
    """Whether the rule has a threshold of its own that somebody looks at."""
    return rule.is_active and rule.rule_type == "row_dq" and rule.enable_error_drop_alert


def told(breaches: Sequence[Breach], most: int) -> str:
    """The first so many for a sentence."""
    more = len(breaches) - most
    return "; ".join(map(str, breaches[:most])) + (f"; and {more} more rules" if more > 1 else "; and 1 more rule" if more == 1 else "")


def percent(part: int, whole: int) -> str:
    """A percentage with two decimals, cut off rather than rounded: 9.996 % is not shown as the 10 that it is below."""
    hundredths = 10_000 * part // whole
    return "less than 0.01 %" if part and not hundredths else f"{hundredths / 100:g} %"


def number(value: float) -> str:
    """A threshold as it was written: 10, 15.5."""
    return f"{value:.10g}"


def _breach(rule: str | None, rows: int | None, input_: int | None, alarm: float, warning: float | None) -> tuple[Breach, ...]:
    """The alarm, else the warning, else nothing."""
    if not rows or not input_:
        return ()
    levels: tuple[tuple[Level, float | None], ...] = (("alarm", alarm), ("warning", warning))
    for level, limit in levels:
        if limit is not None and 100 * rows >= Fraction(str(limit)) * input_:
            return (Breach(rule=rule, level=level, limit=limit, rows=rows, input=input_),)
    return ()
