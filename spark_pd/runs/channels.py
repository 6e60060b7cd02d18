"""The channels and routes that the settings describe. Nothing is looked up and nothing is sent before an alert is delivered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from spark_pd.alerting.policy.routes import Explanation, Routed, Router
from spark_pd.model import Address, Secret, SecretContext, SecretReference, Severity, Subject
from spark_pd.model.errors import SecretError
from spark_pd.model.event_template import check_template, texts
from spark_pd.model.routing import ChannelSettings, Route
from spark_pd.pagerduty import SERVICE_SCHEME, Directory, Network, PagerDutyChannel, ServiceKeys, endpoint, reference_to, rest_url
from spark_pd.secrets import parse_reference, resolve
from spark_pd.settings import Settings, user_config

CHANNEL_NAME = "pagerduty"


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
        secret_of=_secrets_of(settings, name, spark),
    )


def _secrets_of(settings: Settings, channel: str, spark: Any) -> Callable[[str], Secret] | None:
    """What gives the secrets that the templates of a channel name, and no others. None where they name none."""
    own = settings.directions.channels.get(channel)
    templates = [settings.templates, own.template if own is not None else {}]
    if not any(templates):
        return None
    named = {reference for each in templates for text in texts(each) for reference in check_template(text)}

    def secret_of(reference: str) -> Secret:
        """The secret, looked up now. Raises SecretError."""
        source = parse_reference(reference) if reference in named else None
        if not isinstance(source, SecretReference):
            raise SecretError("no template of the settings names it")
        return resolve(source, context=secret_context(settings, spark))

    return secret_of


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
    directory = directory_of(settings, spark)
    return None if directory is None else ServiceKeys(directory)


def directory_of(settings: Settings, spark: Any = None) -> Directory | None:
    """PagerDuty's REST API; None where there is no token for it."""
    return _directory_of(settings, _network_of(settings, spark), spark)


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
    own = [Route(match={"trigger": (each.name,)}, channels=each.channels) for each in settings.own_triggers if each.channels]
    directions = replace(directions, routes=(*own, *directions.routes))
    default = (CHANNEL_NAME,) if settings.integration_key is not None else tuple(directions.channels)
    return Router(directions, default=default, environment=settings.environment)


def explain(
    settings: Settings, table: str, *, trigger: str | None = None, severity: Severity | None = None, rule: str | None = None
) -> Explanation:
    """Where an alert about the table would go, and why."""
    router = router_of(settings)
    if router is None:
        reason = "the settings have no channels of their own, so every alert goes to the integration key's"
        return Explanation(channels=(CHANNEL_NAME,), routes=(), reasons=(reason,))
    subject = Subject(environment=settings.environment, product_id=settings.product_id, table=table)
    rules = frozenset() if rule is None else frozenset({rule})
    return router.explain(Routed(subject=subject, trigger=trigger or "failure", severity=severity, rules=rules))
