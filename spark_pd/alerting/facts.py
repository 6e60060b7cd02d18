"""What triggers are given: the facts of a run, and what was asked of them. Frozen, and no more than values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from spark_pd.alerting.attempts import Attempt
from spark_pd.alerting.lifecycle_triggers import LIMITS
from spark_pd.alerting.past_runs import History
from spark_pd.alerting.root_cause import Shown
from spark_pd.alerting.unusual import ERRORS, VOLUME
from spark_pd.model import Link, Rule, RuleResult, RunStats, RunStatus, Severity, Subject
from spark_pd.model.lifecycle import Lifecycle
from spark_pd.rules.loading import NO_RULES

LIFECYCLE = frozenset({"start", "completion"})
"""Triggers that tell of a run, good or bad, and so may be told as changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerSettings:
    """Which triggers are on, how severe they are, and the thresholds in percent."""

    on: Mapping[str, bool]
    severity: Mapping[str, Severity]
    error_drop_threshold: float
    warning_threshold: float | None = None
    """Of the dropped rows as well, and below that one: from there on it is a warning. None: there is no warning."""
    by_priority: Mapping[str, Severity | None] = field(default_factory=lambda: MappingProxyType({}))
    """The severity of what rules of a priority failed; None, or no entry: the trigger's."""
    page_on_unknown: bool = False
    changes: frozenset[str] = frozenset()
    """Triggers whose alerts are changes: they open and close nothing."""
    limit: Mapping[str, float | None] = field(default_factory=lambda: MappingProxyType({VOLUME: 3.5, ERRORS: 3.5, **LIMITS}))
    """From which number on a trigger fires, of those that have one: sigmas, events, percent, seconds. None: never."""
    exceptions: Shown = "scrubbed"
    """What of an exception's message may leave the cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryFacts:
    """What became of a streaming query that is watched."""

    name: str
    completed: int | None = None
    """The last batch that completed since the query was started; None where none did."""
    ended: bool = False
    failure: str | None = None
    """What its exception was, as far as it may leave the cluster; None where it did not end by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """All that is known of a run when it is judged."""

    subject: Subject
    run_id: str
    status: RunStatus
    stats: RunStats | None
    """None where the run checked nothing."""
    unknown: str | None
    """Why the counts are unknown; None where they are known or nothing was checked."""
    failure: str | None
    """What the exception was, as far as it may leave the cluster; None where none left the block."""
    reported_elsewhere: str | None = None
    """Who else tells the failure, so that it is not told twice. None: nobody does."""
    failed_rules: tuple[RuleResult, ...] = ()
    """The rules with action `fail` that stopped the run."""
    rules: tuple[Rule, ...] = ()
    rules_source: str = NO_RULES
    """Where the rules are from: `rules.source_of`."""
    started_at: datetime
    ended_at: datetime
    application: str
    application_id: str | None = None
    job_metadata: str | None = None
    links: tuple[Link, ...] = ()
    previous: Subject | None = None
    """What the table was called before: its incidents are closed under that name."""
    history: History | None = None
    """The subject's earlier runs. None where there is no stats table."""
    lifecycle: Lifecycle | None = None
    """What the Spark listener saw. None where there is none."""
    no_lifecycle: str = "there is no Spark listener"
    """Why there is none, where there is none."""
    reported_overrun: str | None = None
    """When it was said of the run, while it ran, that it takes too long, and what became of that. None where nothing was."""
    attempt: Attempt | None = None
    """Which try of its job it is. None where nobody tells."""
    platform: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Where it runs, by the platform's own names: a Databricks job and its run, a notebook."""
    unchecked: str = "the run checked nothing"
    """Why there are no stats, where there are none."""
    judged_elsewhere: bool = False
    """Whether others judge what it wrote: the batches of a stream, the runs of an application."""
    query: QueryFacts | None = None
    """The streaming query, where the facts are of one: `stats` are then those of its last batches."""
