"""From settings to the objects that runs use: channel, outbox, notifier, triggers, stats table, crash guard. It sends and reads nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_pd.alerting.attempts import failure_severity
from spark_pd.alerting.facts import LIFECYCLE, TriggerSettings
from spark_pd.alerting.policy import PagingPolicy
from spark_pd.alerting.policy.mute import Mutes
from spark_pd.alerting.policy.mutes_file import MutesFile
from spark_pd.alerting.policy.routes import Routed, Router
from spark_pd.delivery.dispatch import ChannelDispatchers, Dispatcher, Limits
from spark_pd.delivery.notifier import Notifier
from spark_pd.delivery.outbox import Outbox, open_outbox
from spark_pd.delivery.outbox.dead_letters import died_since
from spark_pd.delivery.state import FileStateStore, place_of
from spark_pd.model import Address, Channel, Secret, SecretContext, SecretReference, Severity, Subject
from spark_pd.model.errors import SecretError
from spark_pd.model.recurring_window import parse_windows
from spark_pd.model.routing import ChannelSettings
from spark_pd.pagerduty import SERVICE_SCHEME, Directory, Network, PagerDutyChannel, ServiceKeys, endpoint, reference_to, rest_url
from spark_pd.runs.crash import Guard, Markers
from spark_pd.runs.session_context import SessionContext
from spark_pd.secrets import parse_reference, resolve
from spark_pd.settings import Settings, user_config

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
    name: str = CHANNEL_NAME,
    severity: Mapping[Severity, Severity] | None = None,
    key_refused: Callable[[], None] = lambda: None,
) -> PagerDutyChannel:
    """A channel to another endpoint or key than the settings', by the settings' proxy and certificates."""
    network = _network_of(settings, spark)
    return PagerDutyChannel(
        name,
        endpoint=endpoint,
        key=key,
        reference=reference,
        network=network,
        directory=_directory_of(settings, network, spark),
        retry_throttled=retry_throttled,
        severity=severity,
        key_refused=key_refused,
    )


def _network_of(settings: Settings, spark: Any) -> Network:
    proxy = None if settings.proxy is None else _secret_when_called(settings.proxy, settings, spark)
    return Network(proxy=proxy, ca_bundle=_with_home(settings.ca_bundle))


def _directory_of(settings: Settings, network: Network, spark: Any) -> Directory | None:
    """The REST API; None where there is no token for it."""
    if settings.rest_token is None:
        return None
    token = _secret_when_called(settings.rest_token, settings, spark)
    return Directory(rest_url(settings.region, settings.rest_url), token=token, network=network)


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


def channels_of(settings: Settings, *, spark: Any = None, retry_throttled: bool = True) -> list[PagerDutyChannel]:
    """Every channel of the settings: the named ones, and that of the integration key's setting where it has a key."""
    keys = service_keys_of(settings, spark)
    named = [
        _named_channel(settings, each, keys, spark=spark, retry_throttled=retry_throttled) for each in settings.directions.channels.values()
    ]
    main = [] if settings.integration_key is None else [channel_of(settings, spark=spark, retry_throttled=retry_throttled)]
    return [*named, *main]


def service_keys_of(settings: Settings, spark: Any = None) -> ServiceKeys | None:
    """What finds the key of a service; None where there is no REST token."""
    directory = _directory_of(settings, _network_of(settings, spark), spark)
    return None if directory is None else ServiceKeys(directory)


def _named_channel(
    settings: Settings, channel: ChannelSettings, keys: ServiceKeys | None, *, spark: Any, retry_throttled: bool
) -> PagerDutyChannel:
    where = endpoint(channel.region or settings.region, channel.url or settings.url)
    name, service, source = channel.name, channel.service, channel.integration_key
    if service is None:
        return channel_to(
            settings,
            endpoint=where,
            key=_secret_when_called(source, settings, spark),
            reference=source if isinstance(source, SecretReference) else None,
            spark=spark,
            retry_throttled=retry_throttled,
            name=name,
            severity=channel.severity,
        )

    def key() -> Secret:
        """The key of the service, looked up when something is sent."""
        if keys is None:
            raise SecretError(f"the channel {name} names the service {service!r}, which needs {user_config.spark_pd_rest_token}")
        return keys.key_of(service)

    return channel_to(
        settings,
        endpoint=where,
        key=key,
        reference=reference_to(service),
        spark=spark,
        retry_throttled=retry_throttled,
        name=name,
        severity=channel.severity,
        key_refused=lambda: None if keys is None else keys.forget(service),
    )


def former_channel(settings: Settings, address: Address, spark: Any = None) -> PagerDutyChannel | str:
    """A channel to where an earlier one of that name sent; why there is none, where there is none."""
    trusted = {endpoint("us"), endpoint("eu"), endpoint(settings.region, settings.url)}
    trusted |= {endpoint(each.region or settings.region, each.url or settings.url) for each in settings.directions.channels.values()}
    if address.endpoint not in trusted:
        return f"it sent to {address.endpoint}, which is neither PagerDuty's own nor that of the settings"
    if address.reference is None:
        return "it was given literally"
    scheme, _, path = address.reference.partition(":")
    if scheme == SERVICE_SCHEME:
        channel = ChannelSettings(name=address.channel, service=path)
        return _named_channel(settings, channel, service_keys_of(settings, spark), spark=spark, retry_throttled=not settings.rate)
    source = parse_reference(address.reference)
    if not isinstance(source, SecretReference):
        return f"{address.reference} is no reference that is known here"
    return channel_to(
        settings,
        endpoint=address.endpoint,
        key=_secret_when_called(source, settings, spark),
        reference=source,
        spark=spark,
        retry_throttled=not settings.rate,
        name=address.channel,
    )


def router_of(settings: Settings) -> Router | None:
    """What routes alerts; None where there is only the channel of the integration key's setting."""
    directions = settings.directions
    if not directions.channels:
        return None
    default = (CHANNEL_NAME,) if settings.integration_key is not None else tuple(directions.channels)
    return Router(directions, default=default, environment=settings.environment)


# ---- delivery ----------------------------------------------------------------------------------------------------------------------


class Delivering(NamedTuple):
    """The objects that deliver alerts. `channel`: that of the integration key's setting."""

    channel: PagerDutyChannel
    outbox: Outbox | None
    notifier: Notifier
    place: Callable[[], str]
    """What tells the state of this account's incidents from that of others, in words that hold no key."""


def delivering_of(settings: Settings, spark: Any = None) -> Delivering:
    """The channel, the outbox and the notifier of the settings."""
    channel, outbox = channel_of(settings, spark=spark, retry_throttled=not settings.rate), outbox_of(settings)
    place = place_for(settings, channel)
    return Delivering(channel, outbox, notifier_of(settings, channel, outbox, place, spark), place)


def place_for(settings: Settings, channel: PagerDutyChannel) -> Callable[[], str]:
    """Where the state belongs. Channels may come and go, so without a main key they are one place together."""
    if settings.integration_key is None and settings.directions.channels:
        return lambda: "channels"
    return lambda: place_of(channel.address())


def outbox_of(settings: Settings) -> Outbox | None:
    """The outbox; None where nothing is sent, or where there is no folder for one, which a warning says."""
    if not settings.enabled:
        return None
    outbox = open_outbox(settings.outbox_path)
    if outbox is None:
        _log.warning("there is no home directory for an outbox, so alerts that cannot be sent are lost: set spark.pd.outbox.path")
    return outbox


def notifier_of(
    settings: Settings, channel: PagerDutyChannel, outbox: Outbox | None, place: Callable[[], str], spark: Any = None
) -> Notifier:
    """The notifier. Where nothing is sent, no incident state is kept either."""

    def dispatcher_to(one: Channel) -> Dispatcher:
        """A dispatcher for one channel."""
        return Dispatcher(
            [one],
            suppressed=None if settings.enabled else NOT_ENABLED,
            outbox=outbox,
            limits=Limits(rate=settings.rate, storm=int(settings.storm_limit), environment=settings.environment),
        )

    dispatcher: Dispatcher | ChannelDispatchers
    router = router_of(settings)
    if router is None:
        dispatcher = dispatcher_to(channel)
    else:
        dispatcher = ChannelDispatchers(
            channels_of(settings, spark=spark, retry_throttled=not settings.rate),
            dispatcher_to,
            former=lambda address: former_channel(settings, address, spark),
        )
    if not settings.enabled:
        return Notifier(dispatcher, router=router)
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
        return Notifier(dispatcher, router=router, policy=policy, mutes=mutes)
    state = FileStateStore(outbox.folder / "state", place=place)
    channels = [channel.name] if router is None else [*settings.directions.channels, channel.name]

    def died(dedup_key: str, since: datetime) -> bool:
        """Whether nobody was told: no channel that may have got the alert has it any more."""
        return all(died_since(outbox.folder, name, dedup_key, since) for name in channels)

    return Notifier(dispatcher, router=router, policy=policy, store=state, mutes=mutes, died=died)


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


def records_of(spark: Any, settings: Settings, place: Callable[[], str], outbox: Outbox | None) -> Records | None:
    """The stats table and the tables beside it, where there is one."""
    if settings.stats_table is None:
        return None
    from spark_pd.history.run_record import Records

    return Records.of(
        spark,
        settings.stats_table,
        format=settings.stats_format,
        place=place() if settings.enabled else None,
        local=None if outbox is None else FileStateStore(outbox.folder / "state", place=place),
        most=settings.history_runs,
        least=settings.history_min_runs,
    )


def guard_of(context: SessionContext, channel: PagerDutyChannel, outbox: Outbox | None) -> Guard:
    """What reports open runs whose process crashes."""
    settings, attempt = context.settings, context.attempt
    severity, router = failure_severity(settings.severity["failure"], attempt), router_of(settings)
    named = {} if router is None else {each.name: each for each in channels_of(settings)}

    def addresses(subject: Subject) -> tuple[Address, ...]:
        """Where the alert of a run's death goes."""
        if router is None:
            return (channel.address(),)
        return tuple(named[name].address() for name in router.channels(Routed(subject=subject, trigger="failure", severity=severity)))

    return Guard(
        watching=settings.enabled,
        markers=Markers.beside(outbox) if outbox is not None and settings.on["failure"] else None,
        heartbeat=settings.heartbeat,
        on_signal=settings.on_signal,
        severity=severity,
        attempt=None if attempt is None else str(attempt),
        application=context.application,
        application_id=context.application_id,
        addresses=addresses,
    )
