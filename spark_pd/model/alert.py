"""A trigger's decision, and the alert that follows from it. Neither knows a channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

Outcome: TypeAlias = Literal["firing", "good", "none", "unknown"]
AlertState: TypeAlias = Literal["firing", "resolved"]
Severity: TypeAlias = Literal["critical", "error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "error", "warning", "info")
ANNOUNCEMENTS = frozenset({"start", "completion"})
"""The triggers that announce each run, good or bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a trigger concluded, and why: the answer to "why was I (not) paged?"."""

    trigger: str
    outcome: Outcome
    reason: str
    rule: str | None = None
    """The rule, where it is about a rule's own incident; None for the table's."""


@dataclass(frozen=True, slots=True)
class Link:
    """Where to look: a URL and what it shows."""

    href: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What a channel sends, in neutral words. `details` holds only what may leave the cluster."""

    trigger: str
    state: AlertState
    severity: Severity
    summary: str
    details: Mapping[str, Any] = field(default_factory=dict)
    dedup_key: str
    source: str
    """The application."""
    component: str
    """The table."""
    group: str | None = None
    """The product."""
    at: datetime
    """When it was found, aware."""
    links: tuple[Link, ...] = ()
    change: bool = False
    """Whether it is sent as a change event, which opens and closes no incident."""
    rule: str | None = None
    """The rule whose own incident it is about; None for the table's."""
    event: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Fields of its event that a channel's templates gave, instead of those that follow from the others. No secret is in it."""
