"""Channels, routes, owners and tables, as the YAML file or `spark.pd.channel.NAME.<field>` gives them. Every mistake of all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from marshmallow import ValidationError

from spark_pd.model import SEVERITIES, Secret, SecretReference, Severity
from spark_pd.model.event_template import check_templates
from spark_pd.model.routing import MATCH_FIELDS, ChannelSettings, Directions, Owner, Route, TableNotes, every
from spark_pd.settings.fields import Kind, Url, shown
from spark_pd.settings.integration_key import key_or_reference

SECTIONS = ("channels", "routes", "owners", "tables", "triggers")
PREFIX = "spark.pd.channel."
DEFAULT_CHANNEL = "pagerduty"
_CHANNEL = ("integration_key", "service", "region", "url", "environment", "severity", "template")
_ROUTE = ("match", "channels", "continue")
_OWNER = ("channels", "runbook")
_TABLE = ("owner", "runbook", "description")


class DirectionsReader:
    """Reads the sections. `mistakes` has what is wrong with them, and `plain_keys` the channels whose key stands there itself."""

    def __init__(self, label: str, values: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self._label = label
        self._values = values
        self._environ = environ
        self.mistakes: list[str] = []
        self.plain_keys: list[str] = []

    def read(self, sections: Mapping[str, object], fields: Mapping[str, Mapping[str, object]], *, has_default: bool) -> Directions:
        """The directions. fields: of channels, from configuration, which is stronger than the file. has_default: there is a main key."""
        given: dict[str, dict[str, object]] = {}
        for name, value in self._entries(sections.get("channels"), "channels"):
            given[name] = dict(self._mapping(value, f"channels.{name}", _CHANNEL))
        for name, more in fields.items():
            given.setdefault(name, {}).update(self._mapping(more, f"{PREFIX}{name}", _CHANNEL))
        channels = {name: self._channel(name, each) for name, each in given.items()}
        known = (*channels, *((DEFAULT_CHANNEL,) if has_default else ()))
        owners = {name: self._owner(name, value, known) for name, value in self._entries(sections.get("owners"), "owners")}
        tables = tuple(self._table(name, value, tuple(owners)) for name, value in self._entries(sections.get("tables"), "tables"))
        routes = tuple(self._route(place, value, known) for place, value in enumerate(self._listed(sections.get("routes")), 1))
        return Directions(channels=channels, routes=routes, owners=owners, tables=tables)

    def _channel(self, name: str, given: Mapping[str, object]) -> ChannelSettings:
        where = f"channels.{name}"
        if name == DEFAULT_CHANNEL and self._values.get("integration_key") is not None:
            self._wrong(where, repr(name), "another name: the integration key's setting makes a channel of that name")
        key, service = given.get("integration_key"), self._text(given, "service", where)
        if (key is None) == (service is None):
            self._wrong(where, "both a key and a service" if key is not None else "neither a key nor a service", "one of the two")
        url = given.get("url")
        return ChannelSettings(
            name=name,
            integration_key=None if key is None else self._key(key, where),
            service=service,
            region=self._choice(given, "region", where, ("us", "eu")),
            url=None if url is None else self._kind(Url("https://events.pagerduty.com/v2/enqueue"), url, f"{where}.url"),
            environment=self._text(given, "environment", where),
            severity=self._severity(given.get("severity"), where),
            template=check_templates(
                self._mapping(given.get("template") or {}, f"{where}.template", None), f"{where}.template", self._label, self.mistakes
            ),
        )

    def _key(self, key: object, where: str) -> Secret | SecretReference | None:
        if not isinstance(key, (str, Secret, SecretReference)):
            self._wrong(f"{where}.integration_key", f"a {type(key).__name__}", "a reference or a key as text")
            return None
        try:
            # spark-expectations' secret_type names the seed's key alone: here a name without a scheme is a key
            found = key_or_reference(key, {**self._values, "secret_type": None}, environ=self._environ)
        except ValidationError as error:
            self.mistakes.append(f"{where}.integration_key (from {self._label}) is ****; expected {error.messages[0]}")
            return None
        if isinstance(found, Secret) and not isinstance(key, Secret):
            self.plain_keys.append(where)
        return found

    def _severity(self, value: object, where: str) -> Mapping[Severity, Severity]:
        if value is None:
            return {}
        if isinstance(value, str) and value.strip().startswith("{"):
            try:
                value = json.loads(value)
            except ValueError:
                self._wrong(f"{where}.severity", shown(value), 'JSON such as {"critical": "error"}')
                return {}
        if isinstance(value, str) and value in SEVERITIES:
            return every(value)
        if not isinstance(value, Mapping):
            self._wrong(f"{where}.severity", shown(value), f"one of {', '.join(SEVERITIES)}, or a map from one to another")
            return {}
        bad = [each for pair in value.items() for each in pair if each not in get_args(Severity)]
        if bad:
            self._wrong(f"{where}.severity", shown(bad[0]), f"severities only: {', '.join(SEVERITIES)}")
            return {}
        return dict(value)

    def _owner(self, name: str, value: object, known: Sequence[str]) -> Owner:
        where = f"owners.{name}"
        given = self._mapping(value, where, _OWNER)
        return Owner(name=name, channels=self._names(given.get("channels"), f"{where}.channels", known), runbook=self._link(given, where))

    def _table(self, pattern: str, value: object, owners: Sequence[str]) -> TableNotes:
        where = f"tables.{pattern}"
        given = self._mapping(value, where, _TABLE)
        owner = self._text(given, "owner", where)
        if owner is not None and owner not in owners:
            self._unknown(f"{where}.owner", owner, owners, "owner")
        return TableNotes(
            pattern=pattern, owner=owner, runbook=self._link(given, where), description=self._text(given, "description", where)
        )

    def _route(self, place: int, value: object, known: Sequence[str]) -> Route:
        where = f"routes[{place}]"
        given = self._mapping(value, where, _ROUTE)
        match = {
            name: self._patterns(each, f"{where}.match.{name}")
            for name, each in self._mapping(given.get("match") or {}, f"{where}.match", MATCH_FIELDS).items()
        }
        if not given.get("channels"):
            self._wrong(f"{where}.channels", "empty", "at least one channel's name")
        goes_on = given.get("continue", False)
        if not isinstance(goes_on, bool):
            self._wrong(f"{where}.continue", shown(goes_on), "true or false")
        for severity in match.get("severity", ()):
            if severity not in SEVERITIES and not any(each in severity for each in "*?["):
                self._unknown(f"{where}.match.severity", severity, SEVERITIES, "severity")
        return Route(channels=self._names(given.get("channels"), f"{where}.channels", known), match=match, goes_on=goes_on is True)

    # ---- pieces

    def _wrong(self, where: str, is_: str, expected: str) -> None:
        self.mistakes.append(f"{where} (from {self._label}) is {is_}; expected {expected}")

    def _unknown(self, where: str, name: str, known: Sequence[str], what: str) -> None:
        nearest = get_close_matches(name, known, n=1)
        advice = f"did you mean {nearest[0]}?" if nearest else f"there is {', '.join(known) or 'none'}"
        self.mistakes.append(f"{where} (from {self._label}) names no {what}: {shown(name)}; {advice}")

    def _entries(self, section: object, where: str) -> list[tuple[str, object]]:
        return list(self._mapping(section or {}, where, None).items())

    def _mapping(self, value: object, where: str, known: Sequence[str] | None) -> dict[str, object]:
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self._wrong(where, shown(value), f"a mapping of {', '.join(known) if known else 'names'}")
            return {}
        found: dict[str, object] = {}
        for name, each in value.items():
            if not isinstance(name, str) or not name.strip():
                self._wrong(where, f"with a name of type {type(name).__name__}", "names that are text")
            elif known is not None and name not in known:
                self._unknown(where, name, known, "field")
            else:
                found[name] = each
        return found

    def _listed(self, value: object) -> list[object]:
        if value is None:
            return []
        if isinstance(value, list):
            return value
        self._wrong("routes", shown(value), "a list, since routes are looked at in order")
        return []

    def _patterns(self, value: object, where: str) -> tuple[str, ...]:
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(each, (str, int, float)) and not isinstance(each, bool) and str(each) for each in values):
            self._wrong(where, shown(value), "a text, or a list of texts")
            return ()
        return tuple(str(each) for each in values)

    def _names(self, value: object, where: str, known: Sequence[str]) -> tuple[str, ...]:
        values = [] if value is None else value if isinstance(value, list) else [value]
        names = [each for each in values if isinstance(each, str)]
        if len(names) < len(values):
            self._wrong(where, shown(value), "names of channels")
        for name in names:
            if name not in known:
                self._unknown(where, name, known, "channel")
        return tuple(dict.fromkeys(names))

    def _text(self, given: Mapping[str, object], name: str, where: str) -> str | None:
        value = given.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            self._wrong(f"{where}.{name}", shown(value), "a text")
            return None
        return value.strip()

    def _link(self, given: Mapping[str, object], where: str) -> str | None:
        value = self._text(given, "runbook", where)
        if value is not None and not value.startswith(("https://", "http://")):
            self._wrong(f"{where}.runbook", shown(value), "a URL that begins with https:// or http://")
            return None
        return value

    def _choice(self, given: Mapping[str, object], name: str, where: str, known: Sequence[str]) -> Any:
        value = self._text(given, name, where)
        if value is not None and value not in known:
            self._unknown(f"{where}.{name}", value, known, name)
            return None
        return value

    def _kind(self, kind: Kind, value: object, where: str) -> Any:
        try:
            return kind.deserialize(value)
        except ValidationError as error:
            self._wrong(where, shown(value), str(error.messages[0]))
            return None


def channel_fields(pairs: Mapping[str, object]) -> tuple[dict[str, dict[str, object]], list[str]]:
    """The fields of channels that `spark.pd.channel.NAME.<field>` gives, by channel, and the names that have no field."""
    fields: dict[str, dict[str, object]] = {}
    bad = []
    for name, value in pairs.items():
        channel, _, field = name.removeprefix(PREFIX).rpartition(".")
        if channel and field:
            fields.setdefault(channel, {})[field] = value
        else:
            bad.append(name)
    return fields, bad
