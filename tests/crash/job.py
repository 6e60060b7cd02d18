"""What the jobs of these tests share: a run that needs no Spark, and sends to the sandbox that the environment names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from spark_pd.alerting.facts import TriggerSettings
from spark_pd.delivery.dispatch import Dispatcher
from spark_pd.delivery.notifier import Notifier
from spark_pd.delivery.outbox import Outbox
from spark_pd.model import SEVERITIES, Secret, SecretReference, Subject
from spark_pd.pagerduty import PagerDutyChannel, endpoint
from spark_pd.runs.crash import Guard, Markers
from spark_pd.runs.run import Run
from spark_pd.runs.run_plan import RunPlan
from spark_pd.runs.session_context import SessionContext
from spark_pd.settings import Settings


class Rules:
    """In place of rules and Spark: a run without a check needs neither."""

    def load(self, source: Any) -> tuple[()]:
        return ()


def channel_of_job() -> PagerDutyChannel:
    """To the sandbox, with a key by reference."""
    return PagerDutyChannel(
        "pagerduty",
        endpoint=endpoint("us", os.environ["JOB_URL"]),
        key=lambda: Secret(os.environ["JOB_KEY"]),
        reference=SecretReference("env", "JOB_KEY"),
    )


def run_of(
    table: str = "orders",
    *,
    deadline: float = 60.0,
    heartbeat: float = 30.0,
    on_signal: bool = True,
    watching: bool = True,
    folder: Path | None = None,
    scope: str | None = None,
    strict: bool = False,
) -> Run:
    """A run as a monitor makes it."""
    outbox = Outbox(folder or Path(os.environ["JOB_OUTBOX"]))
    channel = channel_of_job()
    settings = Settings(deadline=deadline, strict=strict)
    subject = Subject(environment="test", product_id=None, table=table, scope=scope)
    context = SessionContext(
        settings=settings,
        triggers=TriggerSettings(on=settings.on, severity=settings.severity, error_drop_threshold=100.0),
        application="nightly",
        application_id="app-1",
    )
    plan = RunPlan(context=context, table=table, subject=subject)
    assert settings.severity["failure"] in SEVERITIES
    guard = Guard(
        watching=watching,
        markers=Markers.beside(outbox),
        heartbeat=heartbeat,
        on_signal=on_signal,
        application="nightly",
        application_id="app-1",
        addresses=lambda subject: (channel.address(),),
    )
    dispatcher = Dispatcher([channel], outbox=outbox)
    return Run(plan, checker=Rules(), notifier=Notifier(dispatcher), guard=guard)


def ready() -> None:
    """Tell the test that this point is reached."""
    print("ready", flush=True)
