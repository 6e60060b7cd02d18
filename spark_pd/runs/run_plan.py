"""What a run is given when it is made, and the facts of it that follow from that alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from spark_pd.alerting.attempts import Attempt
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.model import Subject
from spark_pd.rules.loading import source_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """All that a run is given when it is made; none of it changes, and no two runs share more than this."""

    table: str
    subject: Subject
    previous: Subject | None
    rules: Any
    policy: TriggerSettings
    exceptions: str
    deadline: float
    strict: bool
    application: str
    application_id: str | None
    job_metadata: str | None
    links: tuple[Any, ...]
    attempt: Attempt | None = None
    platform: Mapping[str, str] = field(default_factory=dict)

    @property
    def rules_source(self) -> str:
        """Where its rules are from."""
        return source_of(self.rules)

    def facts(self, run_id: str, started_at: datetime) -> RunFacts:
        """What is known of its run before anything is known of what the run did."""
        return RunFacts(
            subject=self.subject,
            run_id=run_id,
            status="passed",
            stats=None,
            unknown=None,
            failure=None,
            rules_source=self.rules_source,
            started_at=started_at,
            ended_at=started_at,
            application=self.application,
            application_id=self.application_id,
            job_metadata=self.job_metadata,
            links=self.links,
            previous=self.previous,
            attempt=self.attempt,
            platform=self.platform,
        )
