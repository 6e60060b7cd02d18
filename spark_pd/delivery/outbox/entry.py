"""One alert in the outbox, and how it is written: JSON with a checksum, so that half a file is never taken for a whole one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

from spark_pd.delivery.outbox.checksummed_json import compact, optional, seal, text, unseal
from spark_pd.model import Address, Alert, AlertState, Link, Severity
from spark_pd.pagerduty.json_values import plain

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
    fields = _fields(entry, plain(dict(entry.alert.details)))
    size = len(compact(fields))
    if size > _LARGEST:
        fields = _fields(entry, {"cut": f"the details had {size} bytes, so the outbox did not keep them"})
    return seal("entry", fields)


def decode(data: bytes) -> Entry:
    """The entry that `encode` wrote. Raises ValueError for everything else, saying what is wrong without quoting it."""
    return unseal("entry", data, version=VERSION, read=_entry)


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
            **({"event": plain(dict(alert.event))} if alert.event else {}),
        },
    }


def _entry(fields: Mapping[str, Any]) -> Entry:
    address, alert = fields["address"], fields["alert"]
    if alert["state"] not in get_args(AlertState) or alert["severity"] not in get_args(Severity):
        raise ValueError
    if not isinstance(alert["details"], dict) or not isinstance(fields["stamp"], int) or not 0 <= fields["stamp"] < 10**20:
        raise TypeError
    entry = Entry(
        id=text(fields["id"]),
        stamp=fields["stamp"],
        owner=text(fields["owner"]),
        address=Address(
            channel=text(address["channel"]),
            endpoint=text(address["endpoint"]),
            reference=optional(address["reference"]),
            fingerprint=optional(address["fingerprint"]),
        ),
        alert=Alert(
            trigger=text(alert["trigger"]),
            state=alert["state"],
            severity=alert["severity"],
            summary=text(alert["summary"]),
            details=alert["details"],
            dedup_key=text(alert["dedup_key"]),
            source=text(alert["source"]),
            component=text(alert["component"]),
            group=optional(alert["group"]),
            at=datetime.fromisoformat(alert["at"]),
            links=tuple(Link(text(href), text(shown)) for href, shown in alert["links"]),
            change=alert.get("change") is True,
            rule=optional(alert.get("rule")),
            event=dict(alert.get("event", {})),
        ),
    )
    if parse_name(entry.name) is None:
        raise ValueError
    return entry
