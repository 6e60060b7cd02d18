"""`monitor.report`: the run of another engine, with the counts that it gives. All behind it is as for any run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, get_args

from spark_pd.model import Counting, Rule, RuleResult, RunStatus, percentage
from spark_pd.model.errors import RuleFailed, UsageError
from spark_pd.model.rule import Action, RuleStatus, RuleType
from spark_pd.runs.run import Run
from spark_pd.runs.run_result import stopped_by
from spark_pd.secrets.redaction import scrub

_FIELDS = tuple(each.name for each in fields(RuleResult))
_WORDS = {"rule_type": get_args(RuleType), "action_if_failed": get_args(Action), "status": get_args(RuleStatus)}
COUNTS = ("input_count", "error_count", "dropped_count", "output_count")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What another engine found, as a run shows it; None is unknown. It stands where what a check found would."""

    input_count: int | None
    error_count: int | None
    dropped_count: int | None
    output_count: int | None
    rules: tuple[RuleResult, ...]
    unknown: str | None = None
    counting: Counting = "reported"
    failed: tuple[RuleResult, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was reported but that the run ended."""
        return not self.rules and self.input_count is None and self.error_count is None and self.dropped_count is None

    def found(self, *, written: bool) -> Report:
        """As a check's: what there is to know."""
        return self

    def close(self) -> None:
        """As a check's: there is nothing to free."""


class ReportedRun(Run):
    """A run without a block: its counts come from elsewhere, and its verdict is given at once."""

    _failure: str | None = None

    def conclude_with(self, report: Report, failure: BaseException | str | None) -> None:
        """Give the run its verdict by the report. It raises nothing but what `strict` asks for."""
        with self:
            self._checked = None if report.is_empty else report  # type: ignore[assignment]
            self._rules = tuple(_rule(each) for each in report.rules)
            broken = tuple(each for each in report.rules if each.action_if_failed == "fail" and each.status == "failed")
            error: BaseException | None = failure if isinstance(failure, BaseException) else None
            status: RunStatus = "passed"
            if isinstance(failure, str):
                self._failure, error = scrub(failure), RuntimeError(failure)
            if error is not None:
                status = "errored"
            elif broken:
                status, error = "failed", RuleFailed(stopped_by(self.table, broken), broken)
            if self._unjudged.acquire(blocking=False):
                self._judge(status, error)

    def _described(self, error: BaseException | None, status: RunStatus) -> str | None:
        return self._failure or super()._described(error, status)

    def _write_error_table(self) -> None:
        """Its rows are elsewhere."""


def report_of(
    *,
    input_count: object = None,
    error_count: object = None,
    dropped_count: object = None,
    output_count: object = None,
    rules: Iterable[RuleResult | Mapping[str, Any]] = (),
) -> Report:
    """The report of these counts and results. Raises UsageError with everything that is wrong with them."""
    mistakes: list[str] = []
    given = dict(zip(COUNTS, (input_count, error_count, dropped_count, output_count), strict=True))
    counts = {name: _count(name, value, mistakes) for name, value in given.items()}
    rows = counts["input_count"]
    for name in COUNTS[1:3]:
        value = counts[name]
        if rows is not None and value is not None and value > rows:
            mistakes.append(f"{name} is {value}, more than the input_count of {rows}")
    if counts["output_count"] is None and rows is not None and counts["dropped_count"] is not None:
        counts["output_count"] = max(0, rows - counts["dropped_count"])
    results = tuple(each for each in (_result(given, rows, mistakes) for given in rules) if each is not None)
    seen = {each.name for each in results}
    if len(seen) < len(results):
        mistakes.append("two results have one rule's name; a run has one result for each rule")
    if mistakes:
        raise UsageError(f"monitor.report: {'; '.join(mistakes)}")
    return Report(
        rules=results,
        input_count=rows,
        error_count=counts["error_count"],
        dropped_count=counts["dropped_count"],
        output_count=counts["output_count"],
    )


def _count(name: str, value: object, mistakes: list[str]) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        mistakes.append(f"{name} is {value!r}; expected a number of rows, 0 or more, or None where it is not known")
        return None
    return value


def _result(given: object, rows: int | None, mistakes: list[str]) -> RuleResult | None:
    if isinstance(given, RuleResult):
        return given
    if not isinstance(given, Mapping):
        mistakes.append(f"a rule's result is a {type(given).__name__}; expected a RuleResult or a mapping of its fields")
        return None
    values = dict(given)
    name = values.get("name")
    if not isinstance(name, str) or not name.strip():
        mistakes.append("a rule's result has no name")
        return None
    for field in [each for each in values if each not in _FIELDS]:
        nearest = get_close_matches(str(field), _FIELDS, n=1)
        mistakes.append(f"{name}: {field!r} is no field of a result{f'; did you mean {nearest[0]}?' if nearest else ''}")
        del values[field]
    failed = _count(f"{name}: failed_count", values.get("failed_count"), mistakes)
    usual: dict[str, Any] = {"rule_type": "row_dq", "column_name": None, "action_if_failed": "ignore", "failed_count": failed}
    usual["status"] = "unknown" if failed is None else "failed" if failed else "passed"
    usual["failed_percentage"] = percentage(failed, rows)
    made = {**usual, **{field: value for field, value in values.items() if value is not None}}
    for field, words in _WORDS.items():
        if made[field] not in words:
            mistakes.append(f"{name}: {field} is {made[field]!r}; expected one of {', '.join(words)}")
            return None
    return replace(RuleResult(**made), failed_count=failed)


def _rule(result: RuleResult) -> Rule:
    return Rule(
        name=result.name,
        expectation="",
        rule_type=result.rule_type,
        action_if_failed=result.action_if_failed,
        column_name=result.column_name,
    )
