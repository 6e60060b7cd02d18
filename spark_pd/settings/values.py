"""The one Settings value that everything else reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

from spark_pd.model import Counting, Secret, SecretReference, Severity
from spark_pd.model.own_trigger import OwnTrigger
from spark_pd.model.routing import Directions
from spark_pd.settings.definitions import DEFAULTS, SETTINGS

DEFAULT = "default"


def _none() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings that were validated. `Settings()` is all defaults; `table.SETTINGS` says what each one means.

    Its repr shows no key, a pickle of it carries none.
    """

    enabled: bool = DEFAULTS["enabled"]
    integration_key: Secret | SecretReference | None = DEFAULTS["integration_key"]
    url: str | None = DEFAULTS["url"]
    region: Literal["us", "eu"] = DEFAULTS["region"]
    allowed_hosts: tuple[str, ...] | None = DEFAULTS["allowed_hosts"]
    """None: any."""
    proxy: Secret | SecretReference | None = DEFAULTS["proxy"]
    """Its URL, with user and password."""
    ca_bundle: str | None = DEFAULTS["ca_bundle"]
    rest_token: Secret | SecretReference | None = DEFAULTS["rest_token"]
    rest_url: str | None = DEFAULTS["rest_url"]
    lifecycle_as: Literal["incident", "change"] = DEFAULTS["lifecycle_as"]
    on: Mapping[str, bool] = field(default_factory=_none, hash=False)
    """Every known trigger of runs, and whether it opens incidents."""
    on_late: bool = DEFAULTS["on_late"]
    """Whether the trigger of `spark-pd watch` does. The next three are of that as well."""
    grace_late: float = DEFAULTS["grace_late"]
    """Seconds."""
    severity_late: Severity = DEFAULTS["severity_late"]
    notify_late: Literal["always", "change", "never"] = DEFAULTS["notify_late"]
    error_drop_threshold: float = DEFAULTS["error_drop_threshold"]
    """Percent of the input."""
    warning_threshold: float | None = DEFAULTS["warning_threshold"]
    """Percent of the input, below the other; None: no warning."""
    severity: Mapping[str, Severity] = field(default_factory=_none, hash=False)
    """Of every known trigger."""
    by_priority: Mapping[str, Severity | None] = field(default_factory=_none, hash=False)
    """Of every priority; None: the trigger's."""
    notify: Mapping[str, Literal["always", "change", "never"]] = field(default_factory=_none, hash=False)
    """Of every known trigger."""
    after: Mapping[str, int] = field(default_factory=_none, hash=False)
    """Bad runs in a row before the first page, of every trigger that judges a run."""
    limit: Mapping[str, float | None] = field(default_factory=_none, hash=False)
    """From which number on a trigger fires, of those that have one; None: never."""
    events: str | None = DEFAULTS["events"]
    """A file or a URL."""
    events_types: tuple[str, ...] = DEFAULTS["events_types"]
    events_tables: tuple[str, ...] = DEFAULTS["events_tables"]
    stats_table: str | None = DEFAULTS["stats_table"]
    stats_format: str | None = DEFAULTS["stats_format"]
    history_runs: int = DEFAULTS["history_runs"]
    history_min_runs: int = DEFAULTS["history_min_runs"]
    stream_batches: int = DEFAULTS["stream_batches"]
    """Micro-batches with rows."""
    after_unknown: int = DEFAULTS["after_unknown"]
    cooldown: float = DEFAULTS["cooldown"]
    """Seconds."""
    min_severity: Severity = DEFAULTS["min_severity"]
    mute: str | None = DEFAULTS["mute"]
    mutes_file: str | None = DEFAULTS["mutes_file"]
    environment: str | None = DEFAULTS["environment"]
    product_id: str | None = DEFAULTS["product_id"]
    deadline: float = DEFAULTS["deadline"]
    """Seconds."""
    outbox_path: str | None = DEFAULTS["outbox_path"]
    """None: the user's state directory."""
    on_signal: bool = DEFAULTS["on_signal"]
    heartbeat: float = DEFAULTS["heartbeat"]
    """Seconds; 0 for none."""
    rate: float = DEFAULTS["rate"]
    """Events a minute and key; 0: no limit."""
    storm_limit: float = DEFAULTS["storm_limit"]
    """Firing alerts a minute and key that stay incidents of their own; 0: all."""
    strict: bool = DEFAULTS["strict"]
    on_config_error: Literal["raise", "disable"] = DEFAULTS["on_config_error"]
    on_unknown: Literal["log", "page"] = DEFAULTS["on_unknown"]
    counting: Literal["auto"] | Counting = DEFAULTS["counting"]
    error_table_enabled: bool = DEFAULTS["error_table_enabled"]
    error_table: str = DEFAULTS["error_table"]
    samples: int = DEFAULTS["samples"]
    """Rows of each rule."""
    samples_columns: tuple[str, ...] = DEFAULTS["samples_columns"]
    exceptions: Literal["class", "scrubbed", "full"] = DEFAULTS["exceptions"]
    secret_type: Literal["cerberus", "databricks"] | None = DEFAULTS["secret_type"]
    cerberus_url: str | None = DEFAULTS["cerberus_url"]
    cerberus_sdb_path: str | None = DEFAULTS["cerberus_sdb_path"]
    databricks_workspace_url: str | None = DEFAULTS["databricks_workspace_url"]
    databricks_secret_scope: str | None = DEFAULTS["databricks_secret_scope"]
    attempt: int | None = DEFAULTS["attempt"]
    max_attempts: int | None = DEFAULTS["max_attempts"]
    job_metadata: str | None = DEFAULTS["job_metadata"]
    rules_params: Mapping[str, str] = field(default_factory=_none, hash=False)
    config_file: str | None = DEFAULTS["config_file"]
    directions: Directions = field(default_factory=Directions, hash=False)
    """Channels of one's own, routes, owners and tables."""
    templates: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Templates of event fields for every channel."""
    own_triggers: tuple[OwnTrigger, ...] = ()
    """Triggers of one's own."""
    sources: Mapping[str, str] = field(default_factory=_none, repr=False, compare=False)
    """Where each setting that is no default came from, by its name."""

    def __post_init__(self) -> None:
        for name in ("on", "severity", "by_priority", "notify", "after", "limit"):
            defaults = {path.partition(".")[2]: default for path, default in DEFAULTS.items() if path.startswith(f"{name}.")}
            object.__setattr__(self, name, MappingProxyType(defaults | dict(getattr(self, name))))
        object.__setattr__(self, "error_table", self.error_table or DEFAULTS["error_table"])
        object.__setattr__(self, "rules_params", MappingProxyType(dict(self.rules_params or {})))
        object.__setattr__(self, "sources", MappingProxyType(dict(self.sources)))

    def __reduce__(self) -> tuple[Any, ...]:
        # A MappingProxyType cannot be pickled.
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return _restored, ({name: dict(value) if isinstance(value, MappingProxyType) else value for name, value in values.items()},)

    def describe(self) -> Mapping[str, tuple[object, str]]:
        """Each setting's name -> its value, with a key as `****`, and the source that it came from; in the table's order."""
        return {setting.name: (self._shown(setting.field), self.sources.get(setting.name, DEFAULT)) for setting in SETTINGS}

    def _shown(self, path: str) -> object:
        name, _, entry = path.partition(".")
        value = getattr(self, name)
        if entry:
            return value[entry]
        if isinstance(value, Secret):
            return "****"
        if isinstance(value, Mapping):
            return json.dumps(dict(value))
        if isinstance(value, tuple):
            return ", ".join(value)
        return str(value) if isinstance(value, SecretReference) else value


def _restored(values: dict[str, Any]) -> Settings:
    return Settings(**values)
