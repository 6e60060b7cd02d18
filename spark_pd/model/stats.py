"""Run stats: what one run counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from spark_pd.model.rule import RuleResult

RunStatus: TypeAlias = Literal["passed", "failed", "errored", "cancelled", "unknown"]
Counting: TypeAlias = Literal["operator", "observation", "two_pass", "reported"]
"""How rows were counted; `reported`: by another engine (`monitor.report`)."""


def percentage(part: int | None, whole: int | None) -> float | None:
    """100 * part / whole, rounded to 2 (spark-expectations' formula: 0.0 of an empty input). None where either is unknown."""
    if part is None or whole is None:
        return None
    return round(100 * part / whole, 2) if whole else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStats:
    """The counts of the data that one run wrote, in rows; percentages are of the input, rounded to 2. Unknown is None, never 0."""

    product_id: str | None
    table_name: str
    run_id: str
    started_at: datetime
    ended_at: datetime
    status: RunStatus
    input_count: int | None
    error_count: int | None
    """Rows that fail at least one active row rule, whatever its action."""
    dropped_count: int | None
    output_count: int | None
    exact: bool
    counting: Counting
    rules: tuple[RuleResult, ...]

    @property
    def error_percentage(self) -> float | None:
        """error_count of input_count, in percent."""
        return percentage(self.error_count, self.input_count)

    @property
    def output_percentage(self) -> float | None:
        """output_count of input_count, in percent."""
        return percentage(self.output_count, self.input_count)

    @property
    def success_percentage(self) -> float | None:
        """Rows without any failed rule, in percent of input_count."""
        if self.input_count is None or self.error_count is None:
            return None
        return percentage(self.input_count - self.error_count, self.input_count)

    @property
    def error_drop_percentage(self) -> float | None:
        """dropped_count of input_count, in percent."""
        return percentage(self.dropped_count, self.input_count)

    def _repr_html_(self) -> str:
        from spark_pd.model.stats_html import stats_html

        return stats_html(self)

    def rule(self, name: str) -> RuleResult:
        """The result of the rule with that name. Raises KeyError where the run had none."""
        for result in self.rules:
            if result.name == name:
                return result
        raise KeyError(f"no rule named {name!r} in this run; it had {[r.name for r in self.rules]}")
