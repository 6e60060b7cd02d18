"""Who is told: channels, the routes to them, owners, and what is known of tables. As the settings have them; no key is in any of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from spark_pd.model.alert import SEVERITIES, Severity
from spark_pd.model.secret import Secret, SecretReference

MATCH_FIELDS = ("environment", "product_id", "table", "scope", "job", "owner", "tag", "trigger", "severity", "rule")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """One named channel: a key, or the name of the service whose first Events API v2 integration has it."""

    name: str
    integration_key: Secret | SecretReference | None = None
    service: str | None = None
    region: Literal["us", "eu"] | None = None
    """None: the settings' region."""
    url: str | None = None
    """None: the region's own host, or the settings' URL."""
    environment: str | None = None
    """It takes alerts of that environment only. None: of every one."""
    severity: Mapping[Severity, Severity] = field(default_factory=dict)
    """From an alert's severity to the one that this channel sends; what is not in it stays as it is."""
    template: Mapping[str, Any] = field(default_factory=dict)

    def severity_of(self, severity: Severity) -> Severity:
        """The severity that this channel sends for an alert's."""
        return self.severity.get(severity, severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What matches goes to these channels. Each field of `match` holds patterns, of which one has to fit (`*` and `?` as in a shell)."""

    channels: tuple[str, ...]
    match: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    goes_on: bool = False
    """Whether later routes are looked at too (`continue: true`)."""

    def __str__(self) -> str:
        what = ", ".join(f"{name} {' or '.join(patterns)}" for name, patterns in self.match.items()) or "everything"
        return f"{what} -> {', '.join(self.channels)}{', and on' if self.goes_on else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who owns tables: the channels that reach them, and where their runbook is."""

    name: str
    channels: tuple[str, ...] = ()
    runbook: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNotes:
    """What the settings say of the tables that a pattern fits."""

    pattern: str
    owner: str | None = None
    runbook: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Directions:
    """Channels, routes, owners and tables together. Empty: the one channel of the integration key's setting gets everything."""

    channels: Mapping[str, ChannelSettings] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    owners: Mapping[str, Owner] = field(default_factory=dict)
    tables: tuple[TableNotes, ...] = ()


def every(severity: Severity) -> Mapping[Severity, Severity]:
    """The map that makes one severity of all."""
    return dict.fromkeys(SEVERITIES, severity)
