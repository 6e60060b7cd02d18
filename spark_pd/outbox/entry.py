"""One alert in the outbox, and how it is written: JSON with a checksum, so that half a file is never taken for a whole one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

from spark_pd.model import Address, Alert, AlertState, Link, Severity
from spark_pd.pagerduty.plain import plain

EntryState: TypeAlias = Literal["queued", "dead"]

VERSION = 1
_LARGEST = 1_000_000  # bytes; PagerDuty takes 512 KB, so details beyond this would be cut when they are sent in any case
_NAME = re.compile(r"(?P<stamp>\d{20})-(?P<line>[0-9a-f]{16})-(?P<id>[0-9a-f]{12})\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An alert and where it is to go. `stamp` orders the entries of a line: nanoseconds of the wall clock, or later."""

    id: str
    stamp: int
    address: Address
    alert: Alert
    owner: str = ""
    """The process that made it, as host:pid; only to leave alone what is being sent right now."""
    state: EntryState = field(default="queued", compare=False)
    reason: str | None = field(default=None, compare=False)
    """Why it was not sent yet, or never will be. None where nobody tried."""
    revived: bool = field(default=False, compare=False)
    """Whether somebody asked for it to be sent, dead as it was: then it is never too old."""

    @property
    def line(self) -> str:
        """What the entries of one incident on one channel have in common; a change has a line of its own."""
        return line_of(self.address.channel, self.alert)

    @property
    def name(self) -> str:
        """Its file's name. Names sort as the entries were made."""
        return f"{self.stamp:020d}-{self.line}-{self.id}.json"

    def goes_where(self, other: Entry) -> bool:
        """Whether both are for one incident of one team: the same line, and the same key as far as is known."""
        return self.line == other.line and self.goes_to(other.address)

    def goes_to(self, its: Address) -> bool:
        """Whether an address is the same team's on the same channel, as far as is known."""
        mine = self.address
        if mine.channel != its.channel:
            return False
        if mine.fingerprint is not None and its.fingerprint is not None:
            return mine.fingerprint == its.fingerprint
        return mine.reference is not None and mine.reference == its.reference


class OtherVersion(ValueError):
    """A file that is whole, and not for us to read."""


@dataclass(frozen=True, slots=True)
class FileName:
    """What a file's name tells without opening it."""

    name: str
    stamp: int
    line: str
    id: str


def parse_name(name: str) -> FileName | None:
    """The parts of an entry's file name; None where it is no entry's."""
    match = _NAME.fullmatch(name)
    return None if match is None else FileName(name, int(match["stamp"]), match["line"], match["id"])


def line_of(channel: str, alert: Alert) -> str:
    """The line of an alert's incident on a channel: 16 hex digits that stand for both names.

    No change takes another one's place, so each has a line of its own, told by its time.
    """
    return incident_line(channel, alert.dedup_key + (f"\0{alert.at.isoformat()}" if alert.change else ""))


def incident_line(channel: str, dedup_key: str) -> str:
    """The line of all alerts of an incident on a channel."""
    return hashlib.sha256(f"{channel}\0{dedup_key}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def encode(entry: Entry) -> bytes:
    """The entry as its file holds it. Never raises for what is in the details: what JSON has no word for becomes its text."""
    body = _json(_fields(entry, plain(dict(entry.alert.details))))
    if len(body) > _LARGEST:
        body = _json(_fields(entry, {"cut": f"the details had {len(body)} bytes, so the outbox did not keep them"}))
    return _json({"sha256": _digest(body), "entry": json.loads(body)}).encode("ascii") + b"\n"


def decode(data: bytes) -> Entry:
    """The entry that `encode` wrote. Raises ValueError for everything else, saying what is wrong without quoting it."""
    try:
        outer = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is no whole JSON") from None
    if not isinstance(outer, dict) or not isinstance(outer.get("entry"), dict):
        raise ValueError("it is JSON of another shape")
    fields: dict[str, Any] = outer["entry"]
    if outer.get("sha256") != _digest(_json(fields)):
        raise ValueError("its checksum is not that of its content")
    if fields.get("version") != VERSION:
        raise OtherVersion("another version of spark_pd wrote it")
    try:
        return _entry(fields)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"a field is missing or of another kind ({type(error).__name__})") from None


def _fields(entry: Entry, details: object) -> dict[str, Any]:
    alert, address = entry.alert, entry.address
    return {
        "version": VERSION,
        "id": entry.id,
        "stamp": entry.stamp,
        "owner": entry.owner,
        "address": {
            "channel": address.channel,
            "endpoint": address.endpoint,
            "reference": address.reference,
            "fingerprint": address.fingerprint,
        },
        "alert": {
            "trigger": alert.trigger,
            "state": alert.state,
            "severity": alert.severity,
            "summary": alert.summary,
            "details": details,
            "dedup_key": alert.dedup_key,
            "source": alert.source,
            "component": alert.component,
            "group": alert.group,
            "at": alert.at.isoformat(),
            "links": [[link.href, link.text] for link in alert.links],
            "change": alert.change,
            "rule": alert.rule,
        },
    }


def _entry(fields: Mapping[str, Any]) -> Entry:
    address, alert = fields["address"], fields["alert"]
    if alert["state"] not in get_args(AlertState) or alert["severity"] not in get_args(Severity):
        raise ValueError
    if not isinstance(alert["details"], dict) or not isinstance(fields["stamp"], int) or not 0 <= fields["stamp"] < 10**20:
        raise TypeError
    entry = Entry(
        id=_text(fields["id"]),
        stamp=fields["stamp"],
        owner=_text(fields["owner"]),
        address=Address(
            channel=_text(address["channel"]),
            endpoint=_text(address["endpoint"]),
            reference=_optional(address["reference"]),
            fingerprint=_optional(address["fingerprint"]),
        ),
        alert=Alert(
            trigger=_text(alert["trigger"]),
            state=alert["state"],
            severity=alert["severity"],
            summary=_text(alert["summary"]),
            details=alert["details"],
            dedup_key=_text(alert["dedup_key"]),
            source=_text(alert["source"]),
            component=_text(alert["component"]),
            group=_optional(alert["group"]),
            at=datetime.fromisoformat(alert["at"]),
            links=tuple(Link(_text(href), _text(text)) for href, text in alert["links"]),
            change=alert.get("change") is True,
            rule=_optional(alert.get("rule")),
        ),
    )
    if parse_name(entry.name) is None:
        raise ValueError
    return entry


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _optional(value: object) -> str | None:
    return None if value is None else _text(value)


def _json(value: object) -> str:
    # ASCII alone: a lone surrogate in a name comes back as it was.
    return json.dumps(value, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":"))


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode("ascii")).hexdigest()
