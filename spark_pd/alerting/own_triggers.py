"""Triggers of one's own: an expression over a run's facts, and how many runs within which time it takes. Pure but for the count."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.past_runs import PastRun, median
from spark_pd.alerting.trigger import Conclusion, Trigger
from spark_pd.model import percentage
from spark_pd.model.own_trigger import OwnTrigger
from spark_pd.settings.expression import Expression
from spark_pd.settings.own_triggers import PAST_FIELDS, STATS_FIELDS, expression_of

MOST_KEPT = 1000
"""Runs of one group that are remembered for a threshold; more are not needed."""


class Occurrences(Protocol):
    """Counts how often an expression held."""

    def add(self, group: str, run_id: str, at: datetime, within: float) -> int:
        """Note that it held for a run, once for each run; how often that was in the last `within` seconds, this run included."""

    def count(self, group: str, at: datetime, within: float) -> int:
        """How often it held in the last `within` seconds."""


class ProcessOccurrences:
    """Those of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, dict[str, float]] = {}

    def add(self, group: str, run_id: str, at: datetime, within: float) -> int:
        """As Occurrences.add."""
        with self._lock:
            held = self._found.setdefault(group, {})
            held[run_id] = at.timestamp()
            return recent(held, at, within)

    def count(self, group: str, at: datetime, within: float) -> int:
        """As Occurrences.count."""
        with self._lock:
            return recent(self._found.get(group, {}), at, within)


def recent(held: dict[str, float], at: datetime, within: float) -> int:
    """How many of these runs are of the last `within` seconds. Older ones are forgotten."""
    for run_id in [each for each, when in held.items() if when <= at.timestamp() - within] + list(held)[:-MOST_KEPT]:
        held.pop(run_id, None)
    return len(held)


def own_trigger(given: OwnTrigger, occurrences: Occurrences, owner_of: Callable[[str], str | None]) -> Trigger:
    """The trigger that the settings describe."""
    expression = None if given.when is None else expression_of(given.when)
    judge = partial(_judge, given=given, expression=expression, occurrences=occurrences, owner_of=owner_of)
    return Trigger(name=given.name, judge=judge, on=True, severity=given.severity)


def _judge(
    facts: RunFacts,
    settings: TriggerSettings,
    trigger: Trigger,
    *,
    given: OwnTrigger,
    expression: Expression | None,
    occurrences: Occurrences,
    owner_of: Callable[[str], str | None],
) -> Conclusion:
    if expression is None:
        return Conclusion("none", f"spark-pd watch judges whether runs of {given.absent} are absent")
    if facts.stats is not None and facts.stats.input_count == 0 and facts.status == "passed":
        return Conclusion("none", "the input was empty")
    values = Values(facts)
    held = expression.evaluate(values)
    shown = {name: values(name) for name in expression.names}
    said = ", ".join(f"{name} is {_shown(value)}" for name, value in shown.items())
    details = {"when": given.when, **{f"value of {name}": value for name, value in shown.items()}}
    if held is None:
        unknown = ", ".join(name for name, value in shown.items() if value is None) or "a value"
        return Conclusion("unknown", f"{expression.text}: {unknown} is not known")
    if given.threshold <= 1 or given.within is None:
        return Conclusion("firing" if held else "good", f"{expression.text}: {said}" if said else expression.text, details=details)
    group = f"{given.name}/{_group(given, facts, owner_of)}"
    at, within = facts.ended_at, given.within
    times = occurrences.add(group, facts.run_id, at, within) if held else occurrences.count(group, at, within)
    reason = f"{expression.text}: {times} of the {given.threshold} runs within {within:g} s that it takes; {said}"
    if held:
        return Conclusion("firing" if times >= given.threshold else "none", reason, details={**details, "times": times})
    return Conclusion("good" if times < given.threshold else "none", reason)


def _group(given: OwnTrigger, facts: RunFacts, owner_of: Callable[[str], str | None]) -> str:
    subject = facts.subject
    if given.for_each == "table":
        return subject.prefix
    value = owner_of(subject.table) if given.for_each == "owner" else getattr(subject, given.for_each)
    return f"{given.for_each}={value or '-'}"


def _shown(value: Any) -> str:
    return "not known" if value is None else f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


class Values:
    """The values of a run's names. Called with a name it gives the value, None where that is unknown."""

    def __init__(self, facts: RunFacts) -> None:
        self._facts = facts

    def __call__(self, name: str) -> Any:
        """The value of that name."""
        if name.startswith("rule("):
            return self._of_rule(name)
        section, dot, field = name.partition(".")
        if not dot:
            return self._of_run(name)
        if section == "lifecycle":
            activity = None if self._facts.lifecycle is None else self._facts.lifecycle.activity
            return getattr(activity, field, None)
        runs = () if self._facts.history is None else self._facts.history.runs
        if section == "previous":
            return _past(runs[0], field) if runs else None
        known = sorted(v for v in (_past(run, field) for run in self._facts.history.exact) if v is not None) if self._facts.history else []
        return median(known) if known else None

    def _of_run(self, name: str) -> Any:
        if name == "status":
            return self._facts.status
        stats = self._facts.stats
        return getattr(stats, name, None) if stats is not None and name in STATS_FIELDS else None

    def _of_rule(self, name: str) -> Any:
        text, _, field = name.rpartition(".")
        wanted = text[len("rule(") : -1]
        for result in () if self._facts.stats is None else self._facts.stats.rules:
            if repr(result.name) == wanted:
                return getattr(result, field, None)
        return None


_PAST: Mapping[str, Callable[[PastRun], Any]] = {
    "error_percentage": lambda run: percentage(run.error_count, run.input_count),
    "error_drop_percentage": lambda run: percentage(run.dropped_count, run.input_count),
    "output_count": lambda run: None if run.input_count is None or run.dropped_count is None else run.input_count - run.dropped_count,
}


def _past(run: PastRun, field: str) -> Any:
    if field not in PAST_FIELDS:
        return None
    return _PAST[field](run) if field in _PAST else getattr(run, field, None)
