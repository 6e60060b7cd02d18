"""The channels that settings describe. Nothing is looked up and nothing is sent before an alert is delivered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from spark_pd.model import Secret, SecretContext, SecretReference
from spark_pd.model.errors import SecretError
from spark_pd.pagerduty import Directory, Network, PagerDutyChannel, endpoint, rest_url
from spark_pd.secrets import resolve
from spark_pd.settings import Settings

NAME = "pagerduty"


def secret_context(settings: Settings, spark: Any = None) -> SecretContext:
    """What secret providers need of the settings and the session."""
    return SecretContext(spark=spark, databricks_workspace_url=settings.databricks_workspace_url, cerberus_url=settings.cerberus_url)


def channel_of(settings: Settings, *, spark: Any = None, retry_throttled: bool = True) -> PagerDutyChannel:
    """The channel of the settings, enabled or not. Without an integration key it can deliver nothing, and says so.

    retry_throttled: as PagerDutyChannel's.
    """
    source = settings.integration_key
    return channel_to(
        settings,
        endpoint=endpoint(settings.region, settings.url),
        key=_late(source, settings, spark),
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
    """A channel to another place than the settings', on the same way."""
    proxy = None if settings.proxy is None else _late(settings.proxy, settings, spark)
    network = Network(proxy=proxy, ca_bundle=_with_home(settings.ca_bundle))
    directory = None
    if settings.rest_token is not None:
        token = _late(settings.rest_token, settings, spark)
        directory = Directory(rest_url(settings.region, settings.rest_url), token=token, network=network)
    return PagerDutyChannel(
        NAME, endpoint=endpoint, key=key, reference=reference, network=network, directory=directory, retry_throttled=retry_throttled
    )


def _with_home(path: str | None) -> str | None:
    """The path with the home directory for `~`, where there is one."""
    try:
        return path and str(Path(path).expanduser())
    except RuntimeError:
        return path


def _late(source: Secret | SecretReference | None, settings: Settings, spark: Any) -> Callable[[], Secret]:
    """Looks the secret up when it is called. Raises SecretError then."""

    def look_up() -> Secret:
        """The secret, looked up now."""
        if source is None:
            raise SecretError("the settings have none")
        return resolve(source, context=secret_context(settings, spark))

    return look_up
