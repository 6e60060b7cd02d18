"""Counts, percentages, durations and rules as reasons and summaries write them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from spark_pd.model import RuleResult, RunStatus

RULES_IN_SUMMARY = 3


def plural(count: int, noun: str) -> str:
    """Such as `1 row`, `8,255 rows`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def percent(part: int, whole: int) -> str:
    """A percentage with two decimals, cut off rather than rounded: 9.996 % is below 10 % and must not be shown as 10 %."""
    hundredths = 10_000 * part // whole
    return "less than 0.01 %" if part and not hundredths else f"{hundredths / 100:g} %"


def number(value: float) -> str:
    """A threshold as it was written: 10, 15.5."""
    return f"{value:.10g}"


def duration(seconds: float) -> str:
    """Such as `0.4 s`, `59 s`, `10 min`, `1 h 40 min`, `2 d 1 h`: at most two units, the rest cut off."""
    if seconds < 10 and seconds != int(seconds):
        return f"{int(seconds * 10) / 10:g} s"
    parts: list[str] = []
    rest = int(seconds)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part) or "0 s"


def named(results: Sequence[RuleResult]) -> str:
    """The first rules with what they failed: `a (8,255 rows, 2.45 %), b (1 row, 0.01 %) and 4 more`."""

    def one(result: RuleResult) -> str:
        if result.failed_count is None:
            return result.name
        errors = f"; not evaluable for {plural(result.evaluation_errors, 'row')}" if result.evaluation_errors else ""
        share = "" if result.failed_percentage is None else f", {result.failed_percentage:g} %"
        return f"{result.name} ({plural(result.failed_count, 'row')}{share}{errors})"

    more = len(results) - RULES_IN_SUMMARY
    return ", ".join(one(r) for r in results[:RULES_IN_SUMMARY]) + (f" and {more} more" if more > 0 else "")


def ended(status: RunStatus) -> str:
    """How a run with that status ended, after `it` or `the run`."""
    return {
        "passed": "passed",
        "failed": "was stopped by a rule",
        "errored": "ended with an error",
        "cancelled": "was cancelled",
        "unknown": "ended with unknown counts",
    }[status]
