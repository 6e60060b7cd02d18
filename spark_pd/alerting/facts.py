"""What triggers are given: the facts of a run, and the settings of triggers. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from spark_pd.alerting.attempts import Attempt
from spark_pd.alerting.past_runs import History
from spark_pd.alerting.root_cause import Shown
from spark_pd.model import Link, Rule, RuleResult, RunStats, RunStatus, Severity, Subject
from spark_pd.model.lifecycle import Lifecycle
from spark_pd.rules.loading import NO_RULES

if TYPE_CHECKING:
    from spark_pd.alerting.trigger import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerSettings:
    """Which triggers are on, how severe they are, and when they fire, by name. A trigger that is missing has its own defaults."""

    on: Mapping[str, bool]
    severity: Mapping[str, Severity]
    error_drop_threshold: float
    """In percent."""
    warning_threshold: float | None = None
    """In percent of the dropped rows, below error_drop_threshold; from there on the alert is a warning. None: there is no warning."""
    by_priority: Mapping[str, Severity | None] = field(default_factory=lambda: MappingProxyType({}))
    """The severity of a failed rule by the rule's priority. None or missing: the trigger's severity."""
    page_on_unknown: bool = False
    changes: frozenset[str] = frozenset()
    """Triggers whose alerts are sent as change events, which open and close no incident."""
    limit: Mapping[str, float | None] = field(default_factory=lambda: MappingProxyType({}))
    """The number from which a trigger fires: sigmas, events, percent, seconds. None: never."""
    exceptions: Shown = "scrubbed"
    """How much of an exception is sent to PagerDuty."""
    custom_triggers: tuple[Trigger, ...] = ()
    """Triggers in addition to the built-in ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryFacts:
    """The state of a watched streaming query."""

    name: str
    completed: int | None = None
    """The last batch that completed since the query was started; None where none did."""
    ended: bool = False
    failure: str | None = None
    """Its exception, as far as it may leave the cluster. None where it did not end by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """All that is known of a run when its triggers are evaluated."""

    subject: Subject
    run_id: str
    status: RunStatus
    stats: RunStats | None
    """None where the run checked nothing."""
    unknown: str | None
    """Why the counts are unknown; None where they are known or nothing was checked."""
    failure: str | None
    """The exception that left the block, as far as it may leave the cluster. None where there was none."""
    reported_elsewhere: str | None = None
    """What else reports the failure, so that it is reported once. None: nothing does."""
    failed_rules: tuple[RuleResult, ...] = ()
    """The rules with action `fail` that stopped the run."""
    rules: tuple[Rule, ...] = ()
    rules_source: str = NO_RULES
    """Where the rules are from, as `source_of` in rules/loading.py says it."""
    started_at: datetime
    ended_at: datetime
    application: str
    application_id: str | None = None
    job_metadata: str | None = None
    links: tuple[Link, ...] = ()
    previous: Subject | None = None
    """The table's former name, whose incidents are closed."""
    history: History | None = None
    """The subject's earlier runs. None where there is no stats table."""
    lifecycle: Lifecycle | None = None
    """What the Spark listener saw. None where there is none."""
    no_lifecycle: str = "there is no Spark listener"
    """Why `lifecycle` is None, where it is."""
    reported_overrun: str | None = None
    """What was reported of the run taking too long, while it was running. None where nothing was."""
    attempt: Attempt | None = None
    """Which attempt of its job it is. None where that is not known."""
    platform: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Where it runs, in the platform's own names: a Databricks job and its run, a notebook."""
    unchecked: str = "the run checked nothing"
    """Why there are no stats, where there are none."""
    judged_elsewhere: bool = False
    """Whether the stats are missing because what it wrote is judged elsewhere: by the batches of a stream, the runs of an application."""
    owner: str | None = None
    """Who owns the table, where the run's rules say so (a data contract)."""
    query: QueryFacts | None = None
    """The streaming query, where the facts are of one. `stats` are then those of its last batches."""
