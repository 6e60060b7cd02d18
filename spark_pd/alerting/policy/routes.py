"""Which channels an alert goes to, and why: the routes of the settings, in order. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property

from spark_pd.alerting.policy.verdict import Verdict
from spark_pd.model import Severity, Subject
from spark_pd.model.routing import ChannelSettings, Directions, Owner, Route, TableNotes

_OF_ALERT = frozenset({"severity", "tag", "rule"})
"""Match fields that a resolved alert may not have in common with the firing one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """What routes are decided by. A field that is None, or empty, fits no pattern."""

    subject: Subject
    trigger: str
    severity: Severity | None = None
    rules: frozenset[str] = frozenset()
    """The rules that failed, by name."""
    tags: frozenset[str] = frozenset()
    owner: str | None = None
    """Who owns the table by the run's rules, which is stronger than what the settings say of the table."""

    @classmethod
    def of(cls, verdict: Verdict, severity: Severity | None) -> Routed:
        """What a verdict's alert of that severity is routed by."""
        rules = frozenset(verdict.failing) if verdict.rule is None else frozenset({verdict.rule})
        return cls(subject=verdict.subject, trigger=verdict.trigger, severity=severity, rules=rules, tags=verdict.tags, owner=verdict.owner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Which channels, which routes led there, and why."""

    channels: tuple[str, ...]
    routes: tuple[Route, ...]
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join((*self.reasons, f"channels: {', '.join(self.channels) or 'none'}"))


class Router:
    """Decides by the settings' routes. `default`: the channels where no route matches."""

    def __init__(self, directions: Directions, *, default: tuple[str, ...], environment: str | None) -> None:
        self._directions = directions
        self._default = default
        self._environment = environment
        self._matchers = [(route, _matcher(route.match)) for route in directions.routes]

    def explain(self, routed: Routed) -> Explanation:
        """Where an alert goes, and why."""
        matched: list[Route] = []
        reasons: list[str] = []
        values = self._values(routed)
        for number, (route, matches) in enumerate(self._matchers, 1):
            if not matches(values):
                continue
            matched.append(route)
            reasons.append(f"route {number} matches: {route}")
            if not route.goes_on:
                break
        found = self._taking((name for route in matched for name in route.channels), reasons)
        if not found:
            reasons.append("no route leads to a channel" if matched else "no route matches")
            found = self._taking(self._default, reasons)
        return Explanation(channels=found, routes=tuple(matched), reasons=tuple(reasons))

    def channels(self, routed: Routed) -> tuple[str, ...]:
        """Where an alert goes."""
        return self.explain(routed).channels

    def possible(self, routed: Routed) -> tuple[str, ...]:
        """Where alerts of this incident may have gone, whatever their severity and rules were: where its resolve goes if nobody knows."""
        names: list[str] = []
        values = self._values(routed)
        for route, _ in self._matchers:
            if not _matcher({name: each for name, each in route.match.items() if name not in _OF_ALERT})(values):
                continue
            names += route.channels
            if not route.goes_on and not _OF_ALERT & route.match.keys():
                return self._taking(names, [])
        return self._taking([*names, *self._default], [])

    def owner_of(self, table: str) -> Owner | None:
        """Who owns the table; None where nobody is known."""
        name = next((each.owner for each in self.notes_of(table) if each.owner is not None), None)
        return None if name is None else self._directions.owners.get(name)

    def runbook_of(self, table: str) -> str | None:
        """The table's runbook, else its owner's; None where there is none."""
        own = next((each.runbook for each in self.notes_of(table) if each.runbook is not None), None)
        owner = self.owner_of(table)
        return own or (owner.runbook if owner is not None else None)

    def notes_of(self, table: str) -> tuple[TableNotes, ...]:
        """What the settings say of a table, the first that fits first."""
        folded = table.casefold()
        exact, patterns = self._tables
        found = [*exact.get(folded, ()), *(each for each in patterns if each[1](folded))]
        return tuple(notes for _, _, notes in sorted(found, key=lambda each: each[0]))

    @cached_property
    def _tables(self) -> tuple[dict[str, list[_Table]], list[_Table]]:
        """Tables by their exact names, and by patterns: most of thousands are exact."""
        exact: dict[str, list[_Table]] = {}
        patterns: list[_Table] = []
        for place, notes in enumerate(self._directions.tables):
            folded = notes.pattern.casefold()
            entry = (place, _pattern(folded), notes)
            if _is_exact(folded):
                exact.setdefault(folded, []).append(entry)
            else:
                patterns.append(entry)
        return exact, patterns

    def _taking(self, names: Iterable[str], reasons: list[str]) -> tuple[str, ...]:
        """The channels of these that take alerts of this environment, each once."""
        found = []
        for name in dict.fromkeys(names):
            channel: ChannelSettings | None = self._directions.channels.get(name)
            wanted = None if channel is None else channel.environment
            if wanted is None or wanted == self._environment:
                found.append(name)
            else:
                reasons.append(f"channel {name} takes alerts of the environment {wanted} only, and this is {self._environment or 'none'}")
        return tuple(found)

    def _values(self, routed: Routed) -> Mapping[str, tuple[str, ...]]:
        subject = routed.subject
        known = self.owner_of(subject.table)
        owner = routed.owner or (None if known is None else known.name)
        one = {
            "environment": subject.environment,
            "product_id": subject.product_id,
            "table": subject.table.casefold(),
            "scope": subject.scope,
            "job": subject.job,
            "owner": owner,
            "trigger": routed.trigger,
            "severity": routed.severity,
        }
        values = {name: (value,) for name, value in one.items() if value is not None}
        return {**values, "rule": tuple(sorted(routed.rules)), "tag": tuple(sorted(routed.tags))}


_Table = tuple[int, Callable[[str], object], TableNotes]


def _matcher(match: Mapping[str, tuple[str, ...]]) -> Callable[[Mapping[str, tuple[str, ...]]], bool]:
    """Whether values fit: for each field, one of the values fits one of the patterns."""
    fields = [
        (name, [_pattern(pattern.casefold() if name == "table" else pattern) for pattern in patterns]) for name, patterns in match.items()
    ]

    def matches(values: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether they fit."""
        return all(any(fits(value) for value in values.get(name, ()) for fits in patterns) for name, patterns in fields)

    return matches


def _is_exact(pattern: str) -> bool:
    return not any(each in pattern for each in "*?[")


def _pattern(pattern: str) -> Callable[[str], object]:
    return pattern.__eq__ if _is_exact(pattern) else re.compile(translate(pattern)).match
