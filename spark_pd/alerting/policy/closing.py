"""Whether a good run closes an incident: only where it found good what had failed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from spark_pd.alerting.policy.verdict import Verdict
from spark_pd.model import names
from spark_pd.model.incident_state import IncidentState
from spark_pd.rules.loading import CODE, NO_RULES


@dataclass(frozen=True, slots=True)
class Closing:
    """Whether a good run closes the incident, and what is to be said of it."""

    closes: bool
    reason: str | None = None
    absent: tuple[str, ...] = ()
    """The rules that failed and that this run, with its rules from code, does not have."""


def is_kept_elsewhere(source: str) -> bool:
    """Whether rules from there are kept in a file or table: what is not in it was removed."""
    return source not in (CODE, NO_RULES)


def closing(verdict: Verdict, before: IncidentState) -> Closing:
    """Whether a good run closes the incident that is remembered.

    A rule that failed and that the run did not evaluate keeps it open, unless it was removed: it is gone from the same file or table, or
    is missing in the rules from code for the second time in a row. One run alone may be another job, with fewer rules for the same table.
    """
    unseen = set(before.failing) - verdict.evaluated
    if not unseen:
        return Closing(True)
    given = unseen & verdict.rules
    if given:
        return Closing(False, f"it did not evaluate {_rules(given)}, which had failed")
    source = verdict.rules_source
    if source != before.rules_source:
        was = before.rules_source or NO_RULES
        return Closing(False, f"it did not evaluate {_rules(unseen)}, which had failed: its rules are from {source}, those were from {was}")
    if is_kept_elsewhere(source):
        return Closing(True, f"{_rules(unseen)}, which had failed, {_is(unseen)} in {source} no more")
    if source == CODE and unseen <= set(before.absent):
        return Closing(True, f"{_rules(unseen)}, which had failed, {_is(unseen)} not among the rules for the second time")
    reason = (
        f"it did not evaluate {_rules(unseen)}, which had failed; a second run without {'it' if len(unseen) == 1 else 'them'} closes it"
    )
    return Closing(False, reason, absent=tuple(sorted(unseen)))


def _rules(found: set[str]) -> str:
    some = sorted(found)
    shown = [*some[:3], f"{len(some) - 3} more"] if len(some) > 4 else some
    return f"{'rule' if len(some) == 1 else 'rules'} {names(shown)}"


def _is(found: set[str]) -> str:
    return "is" if len(found) == 1 else "are"
