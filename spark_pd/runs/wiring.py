"""From settings to the objects that runs use: channel, outbox, notifier, triggers, stats table, crash guard. It sends and reads nothing."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_pd.alerting.attempts import failure_severity
from spark_pd.alerting.facts import LIFECYCLE, TriggerSettings
from spark_pd.alerting.policy import PagingPolicy
from spark_pd.alerting.policy.mute import Mutes
from spark_pd.alerting.policy.mutes_file import MutesFile
from spark_pd.delivery.dispatch import Dispatcher, Limits
from spark_pd.delivery.notifier import Notifier
from spark_pd.delivery.outbox import Outbox, open_outbox
from spark_pd.delivery.outbox.dead_letters import died_since
from spark_pd.delivery.state import place_of, state_of
from spark_pd.model import Secret, SecretContext, SecretReference
from spark_pd.model.errors import SecretError
from spark_pd.model.recurring_window import parse_windows
from spark_pd.pagerduty import Directory, Network, PagerDutyChannel, endpoint, rest_url
from spark_pd.runs.crash import Guard, Markers
from spark_pd.runs.session_context import SessionContext
from spark_pd.secrets import resolve
from spark_pd.settings import Settings

if TYPE_CHECKING:
    from spark_pd.history.run_record import Records

_log = logging.getLogger("spark_pd")

CHANNEL_NAME = "pagerduty"
NOT_ENABLED = "PagerDuty is not enabled (spark.expectations.notifications.pagerduty.enabled is not true)"


# ---- channel -----------------------------------------------------------------------------------------------------------------------


def secret_context(settings: Settings, spark: Any = None) -> SecretContext:
    """What secret providers need of the settings and the session."""
    return SecretContext(spark=spark, databricks_workspace_url=settings.databricks_workspace_url, cerberus_url=settings.cerberus_url)


def channel_of(settings: Settings, *, spark: Any = None, retry_throttled: bool = True) -> PagerDutyChannel:
    """The channel of the settings, enabled or not. Without an integration key it cannot deliver, and says so.

    retry_throttled: as PagerDutyChannel's.
    """
    source = settings.integration_key
    return channel_to(
        settings,
        endpoint=endpoint(settings.region, settings.url),
        key=_secret_when_called(source, settings, spark),
        reference=source if isinstance(source, SecretReference) else None,
        spark=spark,
        retry_throttled=retry_throttled,
    )


def channel_to(
    settings: Settings,
    *,
    endpoint: str,
    key: Callable[[], Secret],
    reference: SecretReference | None = None,
    spark: Any = None,
    retry_throttled: bool = True,
) -> PagerDutyChannel:
    """A channel to another endpoint or key than the settings', by the settings' proxy and certificates."""
    proxy = None if settings.proxy is None else _secret_when_called(settings.proxy, settings, spark)
    network = Network(proxy=proxy, ca_bundle=_with_home(settings.ca_bundle))
    directory = None
    if settings.rest_token is not None:
        token = _secret_when_called(settings.rest_token, settings, spark)
        directory = Directory(rest_url(settings.region, settings.rest_url), token=token, network=network)
    return PagerDutyChannel(
        CHANNEL_NAME, endpoint=endpoint, key=key, reference=reference, network=network, directory=directory, retry_throttled=retry_throttled
    )


def _with_home(path: str | None) -> str | None:
    """The path with the home directory for `~`, where there is one."""
    try:
        return path and str(Path(path).expanduser())
    except RuntimeError:
        return path


def _secret_when_called(source: Secret | SecretReference | None, settings: Settings, spark: Any) -> Callable[[], Secret]:
    """A function that looks the secret up when it is called. It raises SecretError then."""

    def look_up() -> Secret:
        """The secret, looked up now."""
        if source is None:
            raise SecretError("the settings have none")
        return resolve(source, context=secret_context(settings, spark))

    return look_up


# ---- delivery ----------------------------------------------------------------------------------------------------------------------


class Delivering(NamedTuple):
    """The objects that deliver alerts."""

    channel: PagerDutyChannel
    outbox: Outbox | None
    notifier: Notifier


def delivering_of(settings: Settings, spark: Any = None) -> Delivering:
    """The channel, the outbox and the notifier of the settings."""
    channel, outbox = channel_of(settings, spark=spark, retry_throttled=not settings.rate), outbox_of(settings)
    return Delivering(channel, outbox, notifier_of(settings, channel, outbox))


def outbox_of(settings: Settings) -> Outbox | None:
    """The outbox; None where nothing is sent, or where there is no folder for one, which a warning says."""
    if not settings.enabled:
        return None
    outbox = open_outbox(settings.outbox_path)
    if outbox is None:
        _log.warning("there is no home directory for an outbox, so alerts that cannot be sent are lost: set spark.pd.outbox.path")
    return outbox


def notifier_of(settings: Settings, channel: PagerDutyChannel, outbox: Outbox | None) -> Notifier:
    """The notifier. Where nothing is sent, no incident state is kept either."""
    dispatcher = Dispatcher(
        [channel],
        suppressed=None if settings.enabled else NOT_ENABLED,
        outbox=outbox,
        limits=Limits(rate=settings.rate, storm=int(settings.storm_limit), environment=settings.environment),
    )
    if not settings.enabled:
        return Notifier(dispatcher)
    policy = PagingPolicy(
        notify={**settings.notify, "late": settings.notify_late},
        after=settings.after,
        after_unknown=settings.after_unknown,
        cooldown=settings.cooldown,
        min_severity=settings.min_severity,
    )
    mutes = Mutes(
        windows=parse_windows(settings.mute or ""),
        file=None if settings.mutes_file is None else MutesFile(Path(settings.mutes_file)),
    )
    if outbox is None:
        return Notifier(dispatcher, policy=policy, mutes=mutes)
    state = state_of(outbox, channel.address)
    died = functools.partial(died_since, outbox.folder, channel.name)
    return Notifier(dispatcher, policy=policy, store=state, mutes=mutes, died=died)


# ---- what runs have besides --------------------------------------------------------------------------------------------------------


def triggers_of(settings: Settings) -> TriggerSettings:
    """Which triggers are on, and how they decide."""
    return TriggerSettings(
        on=settings.on,
        severity=settings.severity,
        error_drop_threshold=settings.error_drop_threshold,
        warning_threshold=settings.warning_threshold,
        by_priority=settings.by_priority,
        page_on_unknown=settings.on_unknown == "page",
        changes=LIFECYCLE if settings.lifecycle_as == "change" else frozenset(),
        limit=settings.limit,
        exceptions=settings.exceptions,
    )


def records_of(spark: Any, settings: Settings, channel: PagerDutyChannel, outbox: Outbox | None) -> Records | None:
    """The stats table and the tables beside it, where there is one."""
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


def guard_of(context: SessionContext, channel: PagerDutyChannel, outbox: Outbox | None) -> Guard:
    """What reports open runs whose process crashes."""
    settings, attempt = context.settings, context.attempt
    return Guard(
        watching=settings.enabled,
        markers=Markers.beside(outbox) if outbox is not None and settings.on["failure"] else None,
        heartbeat=settings.heartbeat,
        on_signal=settings.on_signal,
        severity=failure_severity(settings.severity["failure"], attempt),
        attempt=None if attempt is None else str(attempt),
        application=context.application,
        application_id=context.application_id,
        address=channel.address,
    )
