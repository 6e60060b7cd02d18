"""Which thresholds were reached, by the dropped rows or by the rows that failed one rule. Pure.

A threshold is reached at the limit itself. Fractions are compared, not floats: 9.996 % is below 10 %. Zero rows reach no threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

from spark_pd.alerting.wording import number, percent, plural
from spark_pd.model import Rule, RunStats

Level: TypeAlias = Literal["alarm", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One threshold that was reached: `rows` of the `input` are too many."""

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
    """The table's own breach, by its dropped rows. Empty where there is none, or the counts are not known."""
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
    """Whether the rule has a threshold of its own that is compared."""
    return rule.is_active and rule.rule_type == "row_dq" and rule.enable_error_drop_alert


def first(breaches: Sequence[Breach], most: int) -> str:
    """The first `most` breaches in one sentence, and how many more there are."""
    more = len(breaches) - most
    return "; ".join(map(str, breaches[:most])) + (f"; and {plural(more, 'more rule')}" if more > 0 else "")


def _breach(rule: str | None, rows: int | None, input_: int | None, alarm: float, warning: float | None) -> tuple[Breach, ...]:
    """The alarm, else the warning, else nothing."""
    if not rows or not input_:
        return ()
    levels: tuple[tuple[Level, float | None], ...] = (("alarm", alarm), ("warning", warning))
    for level, limit in levels:
        if limit is not None and 100 * rows >= Fraction(str(limit)) * input_:
            return (Breach(rule=rule, level=level, limit=limit, rows=rows, input=input_),)
    return ()
