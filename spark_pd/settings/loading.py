"""From all sources to one Settings, or one error with every mistake."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError

from spark_pd.model import Secret, names
from spark_pd.model import pagerduty_hosts as hosts
from spark_pd.model.errors import SettingsError
from spark_pd.model.event_template import PREFIX as TEMPLATE_PREFIX
from spark_pd.model.event_template import check_templates
from spark_pd.secrets.urls import is_loopback
from spark_pd.settings import user_config
from spark_pd.settings.definitions import SETTINGS
from spark_pd.settings.directions import DEFAULT_CHANNEL, DirectionsReader, channel_fields
from spark_pd.settings.fields import shown
from spark_pd.settings.integration_key import REFERENCES, key_or_reference
from spark_pd.settings.names import DOTTED
from spark_pd.settings.other_secrets import is_telling, proxy_or_reference, token_or_reference
from spark_pd.settings.own_triggers import SECTION as TRIGGERS_SECTION
from spark_pd.settings.own_triggers import read_triggers
from spark_pd.settings.setting import Setting
from spark_pd.settings.sources import SPARK, VARIABLES, Given, Source, read_config, read_environment, read_file, read_spark_conf
from spark_pd.settings.values import Settings

logger = logging.getLogger("spark_pd.settings")


def load_settings(
    config: Mapping[str, Any] | None = None,
    *,
    spark_conf: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    config_file: str | os.PathLike[str] | None = None,
) -> Settings:
    """The settings, strongest source first: `config`, `spark_conf`, `environ` (this process's by default), a YAML file, defaults.

    The file is `config_file`, else what the setting `spark.pd.config` names. A value counts only where no stronger source gives the
    setting; a name that is no setting always counts. Raises SettingsError with all mistakes; with `spark.pd.on_config_error=disable` it
    warns of them instead and returns the defaults, which send nothing.
    """
    environ = os.environ if environ is None else environ
    sources = [read_config(config), read_spark_conf(spark_conf or {}), read_environment(environ)]
    if config_file is not None:
        path = os.fspath(config_file) if isinstance(config_file, os.PathLike) else config_file
        named = Given("config_file", path, "argument")
        sources.insert(0, Source("argument", given={user_config.spark_pd_config: [named]}))
    reading = _Reading(sources)
    file = reading.read(_setting(user_config.spark_pd_config))
    if file is not None:
        sources.append(read_file(file))
    for setting in SETTINGS:
        if setting.name != user_config.spark_pd_config:
            reading.read(setting)
    reading.take_directions(environ)
    reading.take_key(environ)
    reading.take_other_secrets()
    reading.refuse_other_hosts()
    reading.refuse_sending_nothing()
    reading.refuse_too_short_a_history()
    reading.refuse_a_late_warning()

    mistakes = [mistake for source in sources for mistake in source.mistakes] + reading.mistakes
    if mistakes:
        error = SettingsError(mistakes)
        if reading.values.get("on_config_error") != "disable":
            raise error
        logger.warning("spark_pd is disabled and sends nothing: %s", error)
        return Settings()
    for text in (*_idle(sources), *reading.warnings):
        logger.warning("%s", text)
    return reading.settings()


def _setting(name: str) -> Setting:
    return DOTTED.settings[name]


class _Reading:
    """What is known while the sources are read: values by Settings' fields, where they came from, mistakes and warnings."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources
        self.values: dict[str, Any] = {}
        """A field whose value is wrong is missing here."""
        self.origins: dict[str, Given] = {}
        """By field; a default has none."""
        self.mistakes: list[str] = []
        self.warnings: list[str] = []
        self.has_channels = False

    def read(self, setting: Setting) -> Any:
        """Note the setting's value as the strongest source gives it, or what all allow. Returns it; None too where it is wrong."""
        by_source = [source.given[setting.name] for source in self.sources if setting.name in source.given]
        if not by_source:
            self.values[setting.field] = setting.default
            return setting.default
        mistakes = len(self.mistakes)
        values = [self._agreed(setting, all_given) for all_given in (by_source if setting.narrows else by_source[:1])]
        if len(self.mistakes) > mistakes:
            return None
        value = values[0]
        if setting.narrows:
            lists = [each for each in values if each is not None]
            value = tuple(item for item in lists[0] if all(item in each for each in lists)) if lists else setting.default
        self.values[setting.field] = value
        self.origins[setting.field] = by_source[0][0]
        return value

    def _agreed(self, setting: Setting, all_given: Sequence[Given]) -> Any:
        """The value that one source gives, under whichever names; None too where it is wrong."""
        values = []
        for given in all_given:
            try:
                values.append(setting.kind.deserialize(given.value))
            except ValidationError as error:
                self.mistakes.append(_mistake(setting, given, _expected(error)))
        if len(values) < len(all_given):
            return None
        other = next((given for given, value in zip(all_given, values, strict=True) if value != values[0]), None)
        if other is not None:
            self.mistakes.append(_contradiction(setting, all_given[0], other))
        return values[0]

    def take_directions(self, environ: Mapping[str, str]) -> None:
        """Read channels, routes, owners and tables. A field of a channel that a stronger source gives is that one's."""
        sections = {name: value for source in self.sources for name, value in source.sections.items()}
        pairs = {name: value for source in reversed(self.sources) for name, value in source.channels.items()}
        if not sections and not pairs:
            return
        templates = {name.removeprefix(TEMPLATE_PREFIX): pairs.pop(name) for name in list(pairs) if name.startswith(TEMPLATE_PREFIX)}
        fields, bad = channel_fields(pairs)
        self.mistakes += [f"{name} names no field of a channel; expected such as spark.pd.channel.oncall.integration_key" for name in bad]
        label = next((source.label for source in reversed(self.sources) if source.sections or source.channels), "configuration")
        reader = DirectionsReader(label, self.values, environ)
        found = reader.read(sections, fields, has_default=self.values.get("integration_key") is not None)
        self.mistakes += reader.mistakes
        self.values["templates"] = check_templates(templates, "spark.pd.template", label, self.mistakes)
        self.has_channels = bool(found.channels)
        self.values["directions"] = found
        known = (*found.channels, *(() if self.values.get("integration_key") is None else (DEFAULT_CHANNEL,)))
        self.values["own_triggers"] = read_triggers(sections.get(TRIGGERS_SECTION), label, known, self.mistakes)
        if reader.plain_keys:
            self.warnings.append(
                f"the integration keys of {names(reader.plain_keys)} stand in {label} themselves; better give references ({REFERENCES})"
            )

    def take_key(self, environ: Mapping[str, str]) -> None:
        """Make a secret or a reference of the key that was read, and check that there is one where it is needed."""
        if "integration_key" not in self.values:
            return
        setting = _setting(user_config.se_notifications_pagerduty_integration_key)
        raw = self.values.pop("integration_key")
        if raw is None:
            self.values["integration_key"] = None
            if self.values.get("enabled") and not self.has_channels:
                self.mistakes.append(_keyless(self.origins["enabled"]))
            return
        given = self.origins["integration_key"]
        try:
            key = key_or_reference(raw, self.values, environ=environ)
        except ValidationError as error:
            self.mistakes.append(_mistake(setting, given, _expected(error)))
            return
        self.values["integration_key"] = key
        if isinstance(key, Secret) and not isinstance(raw, Secret) and not _is_sandbox(self.values.get("url")):
            self.warnings.extend(_in_plain_text(given, "integration key", user_config.spark_pd_secret_integration_key))

    def take_other_secrets(self) -> None:
        """Make secrets or references of the REST token and the proxy."""
        for name, what, redacted, read in (
            (user_config.spark_pd_rest_token, "REST token", user_config.spark_pd_rest_token, token_or_reference),
            (user_config.spark_pd_proxy, "proxy's password", user_config.spark_pd_secret_proxy, proxy_or_reference),
        ):
            setting = _setting(name)
            raw = self.values.get(setting.field)
            if raw is None:
                continue
            given = self.origins[setting.field]
            try:
                secret = self.values[setting.field] = read(raw)
            except ValidationError as error:
                del self.values[setting.field]
                self.mistakes.append(_mistake(setting, given, _expected(error)))
                continue
            shows = isinstance(secret, Secret) and not isinstance(raw, Secret) and is_telling(setting.field, secret)
            if shows and not (setting.field == "rest_token" and _is_sandbox(self.values.get("rest_url"))):
                self.warnings.extend(_in_plain_text(given, what, redacted))

    def refuse_other_hosts(self) -> None:
        """With a list of allowed hosts, events, the REST token and CloudEvents may go to those and this machine only."""
        allowed = self.values.get("allowed_hosts")
        if allowed is None or "url" not in self.values or "region" not in self.values:
            return
        given = self.origins["allowed_hosts"].source
        listed = f"{user_config.spark_pd_allowed_hosts} (from {given}), which has {names(allowed) or 'none'}"
        for where, what, host in self._hosts():
            if host not in allowed and not is_loopback(host):
                self.mistakes.append(
                    f"{where} leads to {host}, which is not in {listed}; expected a {what} on one of those hosts, or the host in every "
                    "list that a source gives"
                )

    def _hosts(self) -> Iterator[tuple[str, str, str]]:
        """Each host that something goes to: the setting that leads there, what that is, and the host."""
        region, url = self.values["region"], self.values["url"]
        given = self.origins.get("url") or self.origins.get("region")
        yield (
            (f"{given.name} (from {given.source})" if given else f"the region {region}"),
            "webhook url",
            _host(url) or hosts.EVENTS[region],
        )
        for field, what in (("rest_url", "REST url"), ("events", "URL of events")):
            value = self.values.get(field)
            if isinstance(value, str) and _host(value):
                yield f"{self.origins[field].name} (from {self.origins[field].source})", what, _host(value)
        for name, channel in self.values["directions"].channels.items() if "directions" in self.values else ():
            if channel.url or channel.region:
                yield f"channel {name}", "url or region", _host(channel.url or url) or hosts.EVENTS[channel.region or region]

    def refuse_a_late_warning(self) -> None:
        """A warning that comes with the alarm, or after it, would never be seen."""
        warning, alarm = self.values.get("warning_threshold"), self.values.get("error_drop_threshold")
        if warning is None or alarm is None or warning < alarm:
            return
        given = self.origins["warning_threshold"]
        self.mistakes.append(
            f"{given.name} (from {given.source}) is {warning:g}; expected less than the {alarm:g} of "
            f"{user_config.se_notifications_on_error_drop_threshold}"
        )

    def refuse_sending_nothing(self) -> None:
        """Without time alerts are only kept: without a folder that somebody chose, nobody would ever look at them there."""
        setting = _setting(user_config.spark_pd_deadline)
        if self.values.get(setting.field) != 0 or self.values.get("outbox_path", "wrong") is not None:
            return
        given = self.origins.pop(setting.field)
        self.values[setting.field] = setting.default
        self.warnings.append(
            f"{given.name} (from {given.source}) is 0, which leaves alerts in the outbox; that needs {user_config.spark_pd_outbox_path} "
            f"beside it, so the deadline is {setting.default:g} s; set that path, and have `spark-pd outbox replay` send what is there"
        )

    def refuse_too_short_a_history(self) -> None:
        """A baseline of no more than `runs` runs cannot take more than those."""
        runs, least = self.values.get("history_runs"), self.values.get("history_min_runs")
        if runs is None or least is None or least <= runs:
            return
        given = self.origins.get("history_min_runs")
        if given is None:
            self.values["history_min_runs"] = runs
        else:
            self.mistakes.append(
                f"{user_config.spark_pd_history_min_runs} is {least} and {user_config.spark_pd_history_runs} is {runs} "
                f"(from {given.source}); expected no more of the first than of the second"
            )

    def settings(self) -> Settings:
        """The value that all this makes."""
        flat: dict[str, Any] = {}
        for field, value in self.values.items():
            name, _, entry = field.partition(".")
            if entry:
                flat.setdefault(name, {})[entry] = value
            else:
                flat[name] = value
        sources = {setting.name: self.origins[setting.field].source for setting in SETTINGS if setting.field in self.origins}
        return Settings(**flat, sources=sources)


def _expected(error: ValidationError) -> str:
    return str(error.messages[0])


def _mistake(setting: Setting, given: Given, expected: str) -> str:
    return f"{given.name} (from {given.source}) is {_value(setting, given)}; expected {expected}"


def _value(setting: Setting, given: Given) -> str:
    return "****" if setting.masked and given.value is not None else shown(given.value)


def _contradiction(setting: Setting, one: Given, other: Given) -> str:
    if one.name == other.name:  # flat and nested in one file
        return f"{one.name} (from {one.source}) is given twice, as {_value(setting, one)} and {_value(setting, other)}; expected one value"
    return (
        f"{one.name} and {other.name} (from {one.source}) are one setting, and are {_value(setting, one)} and {_value(setting, other)}; "
        "expected one of the two names, or one value"
    )


def _keyless(enabled: Given) -> str:
    return (
        f"{enabled.name} (from {enabled.source}) is true, but there is no integration key; "
        f"set {user_config.se_notifications_pagerduty_integration_key} to a reference ({REFERENCES}) or to the service's key"
    )


def _host(url: str | None) -> str:
    return (urlsplit(url or "").hostname or "").rstrip(".")


def _in_plain_text(given: Given, what: str, redacted: str) -> list[str]:
    """The warning that a secret is kept where others can read it, if so. `redacted` is its setting's name that Spark hides."""
    if given.source == VARIABLES:  # as good as env:NAME
        return []
    if given.source == SPARK and ("secret" in given.name or "token" in given.name):  # spark.redaction.regex hides it
        return []
    where = "here" if given.source == SPARK else "should it come to be there"
    return [
        f"{given.name} (from {given.source}) holds the {what} itself. The Spark UI shows configuration to everyone who opens it, "
        f"and so this, {where}. Better give a reference ({REFERENCES}), or in Spark's configuration use the name "
        f"{redacted}, which Spark redacts."
    ]


def _is_sandbox(url: str | None) -> bool:
    return is_loopback(urlsplit(url or "").hostname)


def _idle(sources: Sequence[Source]) -> list[str]:
    """The warning about spark-expectations' names that change nothing here."""
    unused = sorted({name for source in sources for name in source.unused})
    return [f"spark_pd does not use these settings of spark-expectations: {', '.join(unused)}"] if unused else []
