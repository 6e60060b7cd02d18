"""What the user asks of one run, and the plan that a monitor makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spark_pd.alerting.facts import RunFacts
from spark_pd.model import Subject, normalized_table
from spark_pd.rules.loading import owner_in, source_of
from spark_pd.runs.session_context import SessionContext


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """The arguments of `monitor.run`; those of `foreach_batch` and `with_expectations` that are about the run."""

    table: str
    rules: Any = None
    product_id: str | None = None
    scope: str | None = None
    job: str | None = None
    previous_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """All that a run is given when it is made; none of it changes."""

    context: SessionContext
    table: str
    """The name as it was given."""
    subject: Subject
    previous: Subject | None = None
    """The subject under the table's former name. None: it has none."""
    rules: Any = None

    @classmethod
    def of(cls, request: RunRequest, context: SessionContext, catalog: str | None) -> RunPlan:
        """The plan for a request. `catalog` is the session's current one."""
        product = request.product_id if request.product_id is not None else context.settings.product_id

        def subject(name: str) -> Subject:
            return Subject(
                environment=context.settings.environment,
                product_id=product,
                table=normalized_table(name, catalog),
                scope=request.scope,
                job=request.job,
            )

        this = subject(request.table)
        former = None if request.previous_name is None else subject(request.previous_name)
        return cls(context=context, table=request.table, subject=this, previous=None if former == this else former, rules=request.rules)

    @classmethod
    def of_application(cls, context: SessionContext, name: str) -> RunPlan:
        """The plan for the run of an application: its name takes the place of the table."""
        settings = context.settings
        subject = Subject(environment=settings.environment, product_id=settings.product_id, table=name)
        return cls(context=context, table=name, subject=subject)

    @property
    def rules_source(self) -> str:
        """Where the rules come from, in words."""
        return source_of(self.rules)

    def facts(self, run_id: str, started_at: datetime) -> RunFacts:
        """The facts that are known before the run has done anything."""
        context = self.context
        return RunFacts(
            subject=self.subject,
            run_id=run_id,
            status="passed",
            stats=None,
            unknown=None,
            failure=None,
            owner=owner_in(self.rules),
            rules_source=self.rules_source,
            started_at=started_at,
            ended_at=started_at,
            application=context.application,
            application_id=context.application_id,
            job_metadata=context.settings.job_metadata,
            links=context.links,
            previous=self.previous,
            attempt=context.attempt,
            platform=context.platform,
        )
