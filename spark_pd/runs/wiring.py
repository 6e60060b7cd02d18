"""From settings to what the runs and streams of one session share, beside their notifier. No network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_pd.alerting.attempts import Attempt, failure_severity
from spark_pd.alerting.facts import TriggerSettings
from spark_pd.delivery.notifier import Notifier
from spark_pd.delivery.outbox import Outbox
from spark_pd.delivery.state import place_of, state_of
from spark_pd.model import ANNOUNCEMENTS, Link
from spark_pd.pagerduty import PagerDutyChannel
from spark_pd.runs.crash import Guard, Markers
from spark_pd.runs.streaming import StreamPlan, Streams
from spark_pd.settings import Settings

if TYPE_CHECKING:
    from spark_pd.history.run_record import Records


def policy_of(settings: Settings) -> TriggerSettings:
    """Which triggers are on, and how they decide."""
    return TriggerSettings(
        on=settings.on,
        severity=settings.severity,
        error_drop_threshold=settings.error_drop_threshold,
        warning_threshold=settings.warning_threshold,
        by_priority=settings.by_priority,
        page_on_unknown=settings.on_unknown == "page",
        changes=ANNOUNCEMENTS if settings.lifecycle_as == "change" else frozenset(),
        limit=settings.limit,
        exceptions=settings.exceptions,
    )


def records_of(spark: Any, settings: Settings, channel: PagerDutyChannel, outbox: Outbox | None) -> Records | None:
    """The stats table and what is beside it, where there is one."""
    if settings.stats_table is None:
        return None
    from spark_pd.history.run_record import Records

    return Records.of(
        spark,
        settings.stats_table,
        format=settings.stats_format,
        place=place_of(channel.address()) if settings.enabled else None,
        local=None if outbox is None else state_of(outbox, channel.address),
        most=settings.history_runs,
        least=settings.history_min_runs,
    )


def streams_of(
    spark: Any,
    settings: Settings,
    channel: PagerDutyChannel,
    outbox: Outbox | None,
    *,
    policy: TriggerSettings,
    notifier: Notifier,
    application: str,
    application_id: str | None,
    links: tuple[Link, ...],
) -> Streams:
    """What watches queries: with the runs' policy and notifier, and windows beside the outbox."""
    plan = StreamPlan(
        environment=settings.environment,
        product_id=settings.product_id,
        policy=policy,
        batches=settings.stream_batches,
        exceptions=settings.exceptions,
        deadline=settings.deadline,
        application=application,
        application_id=application_id,
        job_metadata=settings.job_metadata,
        links=links,
    )
    return Streams(spark, plan, notifier, outbox=None if outbox is None else outbox.folder, place=lambda: place_of(channel.address()))


def guard_of(
    settings: Settings,
    channel: PagerDutyChannel,
    outbox: Outbox | None,
    *,
    application: str,
    application_id: str | None,
    attempt: Attempt | None,
) -> Guard:
    """What looks after runs while they are open."""
    return Guard(
        watching=settings.enabled,
        markers=Markers.beside(outbox) if outbox is not None and settings.on["failure"] else None,
        heartbeat=settings.heartbeat,
        on_signal=settings.on_signal,
        severity=failure_severity(settings.severity["failure"], attempt),
        attempt=None if attempt is None else str(attempt),
        application=application,
        application_id=application_id,
        address=channel.address,
    )
