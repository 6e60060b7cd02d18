"""A rule, and its result in a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

RuleType: TypeAlias = Literal["row_dq", "agg_dq", "query_dq"]
Action: TypeAlias = Literal["ignore", "drop", "fail"]
RuleStatus: TypeAlias = Literal["passed", "failed", "unknown"]
Side: TypeAlias = Literal["source", "target"]
IncidentOf: TypeAlias = Literal["table", "rule"]
Priority: TypeAlias = Literal["low", "medium", "high"]
PRIORITIES: tuple[Priority, ...] = ("low", "medium", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A named expectation: a SQL boolean that should be true of every row. NULL counts as failed.

    The fields are spark-expectations' columns, with `name` for its column `rule`; `warning_threshold` and `incident` are ours.
    """

    name: str
    expectation: str
    rule_type: RuleType = "row_dq"
    action_if_failed: Action = "ignore"
    column_name: str | None = None
    tag: str | None = None
    description: str | None = None
    priority: Priority | None = None
    """None means medium, spark-expectations' default."""
    is_active: bool = True
    product_id: str | None = None
    table_name: str | None = None
    enable_for_source_dq_validation: bool = True
    enable_for_target_dq_validation: bool = True
    enable_error_drop_alert: bool = False
    """Whether the trigger error_drop_threshold looks at this rule's own failed rows; row rules only."""
    error_drop_threshold: float | None = None
    """Percent of the input that fails the rule, from which on it is an alarm. None means 0, spark-expectations' default: any row."""
    query_dq_delimiter: str | None = None
    enable_querydq_custom_output: bool = False
    """Accepted, without effect: the rows of a query's parts are not stored."""
    warning_threshold: float | None = None
    """Percent, below error_drop_threshold, from which on it is a warning. None: no warning."""
    incident: IncidentOf = "table"
    """Whether its failures are part of the table's incidents, or have incidents of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """The result of one rule in one run. `failed_count` is a number of rows; None where it is not known."""

    name: str
    rule_type: RuleType
    column_name: str | None
    action_if_failed: Action
    status: RuleStatus
    failed_count: int | None
    failed_percentage: float | None
    evaluation_errors: int | None = None
    """Of the rows that failed a row rule, those for which it could not be evaluated. None where the way of counting cannot tell."""
    reason: str | None = None
    """Why the result of a rule over the whole data is unknown, where it could not be evaluated."""
    observed: object = None
    """The value that an aggregate or a query gave; None for row rules."""
    judged_on: Side | None = None
    """Where an aggregate was evaluated: on all checked rows (source), or on those that are kept (target). None for other rules."""
    samples: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    """Some of the rows that failed a row rule, by column, if asked for. Values that may not be shown are ***."""

    @classmethod
    def of(
        cls,
        rule: Rule,
        status: RuleStatus,
        *,
        failed_count: int | None = None,
        failed_percentage: float | None = None,
        evaluation_errors: int | None = None,
        reason: str | None = None,
        observed: object = None,
        judged_on: Side | None = None,
    ) -> RuleResult:
        """The result of that rule."""
        return cls(
            name=rule.name,
            rule_type=rule.rule_type,
            column_name=rule.column_name,
            action_if_failed=rule.action_if_failed,
            status=status,
            failed_count=failed_count,
            failed_percentage=failed_percentage,
            evaluation_errors=evaluation_errors,
            reason=reason,
            observed=observed,
            judged_on=judged_on,
        )
