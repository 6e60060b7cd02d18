"""The history of one subject for people and for programs: what the runs were, what is usual, and what changes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from spark_pd.alerting.baseline import POINTS_FLOOR, baseline_of
from spark_pd.alerting.past_runs import WINDOW, History, PastRun, bad_streak, flips, trend
from spark_pd.alerting.unusual import ROWS_FLOOR

VALUES: Mapping[str, Callable[[PastRun], float | None]] = {
    "input_count": lambda run: run.input_count,
    "error_percentage": lambda run: run.error_percentage,
    "error_drop_percentage": lambda run: run.drop_percentage,
}


def summary(history: History, limits: Mapping[str, float], at: datetime) -> dict[str, Any]:
    """All that is known, as JSON has it. limits: sigmas by value; at: when the run would start that is held against it."""
    streak = bad_streak(history.runs)
    return {
        "runs": [_run(run) for run in history.runs],
        "exact_runs": len(history.exact),
        "bad_runs_in_a_row": len(streak),
        "first_bad_run": streak[-1].run_id if streak else None,
        "changes_between_good_and_bad": {"count": flips(history.runs[:WINDOW]), "of_runs": min(WINDOW, len(history.runs))},
        "usual": {name: _usual(history, value, limits[name], at, name) for name, value in VALUES.items()},
    }


def _run(run: PastRun) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "started_at": run.started_at.isoformat(timespec="seconds"),
        "status": run.status,
        "exact": run.exact,
        "input_count": run.input_count,
        "error_percentage": _rounded(run.error_percentage),
        "error_drop_percentage": _rounded(run.drop_percentage),
        "firing": list(run.firing),
    }


def _usual(history: History, value: Callable[[PastRun], float | None], limit: float, at: datetime, name: str) -> dict[str, Any] | None:
    past = [(run.started_at, float(found)) for run in history.exact if (found := value(run)) is not None]
    rows = name == "input_count"
    baseline = baseline_of(past, at, least=history.least, floor=ROWS_FLOOR if rows else POINTS_FLOOR)
    if baseline is None:
        return None
    low, high = baseline.range(limit)
    return {
        "median": _rounded(baseline.median),
        "expected_from": _rounded(max(0.0, low)) if rows else 0.0,
        "expected_to": _rounded(high),
        "runs": baseline.runs,
        "same_weekday_only": baseline.weekday,
        "change_from_run_to_run": _rounded(trend([found for _, found in past])),
    }


def lines(facts: Mapping[str, Any], least: int) -> list[str]:
    """What `summary` gave, to be read."""
    out = [f"{'started (UTC)':20}  {'status':9}  {'exact':5}  {'rows':>13}  {'errors %':>8}  {'dropped %':>9}  fired"]
    for run in facts["runs"]:
        count, errors, dropped = run["input_count"], run["error_percentage"], run["error_drop_percentage"]
        out.append(
            f"{run['started_at'][:19].replace('T', ' '):20}  {run['status']:9}  {'yes' if run['exact'] else 'no':5}  "
            f"{'-' if count is None else f'{count:,}':>13}  {_shown(errors):>8}  {_shown(dropped):>9}  {', '.join(run['firing']) or '-'}"
        )
    out.append("")
    if facts["first_bad_run"]:
        bad = facts["bad_runs_in_a_row"]
        out.append(f"Bad since the run {facts['first_bad_run']}: {bad} bad run{'' if bad == 1 else 's'} in a row.")
    changes = facts["changes_between_good_and_bad"]
    out.append(f"Changes between good and bad in the last {changes['of_runs']} runs: {changes['count']}.")
    usual = {name: found for name, found in facts["usual"].items() if found is not None}
    if not usual:
        out.append(f"What is usual is not known yet: {facts['exact_runs']} exact runs, and it takes {least} (spark.pd.history.min_runs).")
    for name, found in usual.items():
        change = found["change_from_run_to_run"]
        out.append(
            f"{name}: median {found['median']:,g}, expected {found['expected_from']:,g} to {found['expected_to']:,g}, "
            f"from {found['runs']} runs{' of the same weekday' if found['same_weekday_only'] else ''}"
            f"{'' if change is None else f', changes by {change:+,g} a run'}"
        )
    return out


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
