"""The storm: when many alerts become one incident, what that incident says, and when it is told. Pure, with the time passed in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from spark_pd.delivery.outbox.storm_members import Listing, Member
from spark_pd.model import SEVERITIES, Alert, Severity, Subject

MINUTE = 60.0  # seconds; what "within a minute" means, and how often at most an open storm incident is told anew
MOST_MEMBERS = 10_000  # members of one storm; as many as the outbox holds
TABLES = 50  # tables in the details
_LISTED = 20  # members in the details, the worst first
TRIGGER = "storm"

Step: TypeAlias = Literal["open", "update", "close"]


@dataclass(frozen=True, slots=True)
class Told:
    """What PagerDuty was last told of a storm. `dedup_key` is the open incident's, for good: even should the outbox get another name."""

    dedup_key: str = ""
    state: Literal["closed", "opening", "open"] = "closed"
    """`opening` is written before the first try to open it: it may be open, so it has to be closed."""
    digest: str = ""
    at: float = 0.0
    updates: int = 0
    refused: bool = False
    """Whether PagerDuty refused to be told more, `at` that time."""


def bypasses(alert: Alert) -> bool:
    """Whether an alert is its own incident always: a critical failure."""
    return alert.trigger == "failure" and alert.severity == "critical"


def count(recent: Mapping[str, Any], line: str, now: float, limit: int) -> tuple[dict[str, Any], bool]:
    """Count a firing alert, by its line, among those of the last minute. Gives what to remember, and whether it is one too many.

    Whoever was let through once is let through again for a minute: it may have had to wait, or be told once more.
    """
    kept: dict[str, tuple[float, bool]] = {}
    for name, value in recent.items():
        try:
            at, through = float(value[0]), bool(value[1])
        except (TypeError, ValueError, IndexError, KeyError):
            continue
        if 0 <= now - at < MINUTE:  # what is of the future was written before the clock jumped
            kept[name] = (at, through)
    before = kept.get(line)
    let = before[1] if before is not None else len(kept) < limit
    kept[line] = (before[0] if before is not None and let else now, let)
    # Of those that were one too many, the newest are enough to see that it still storms.
    too_many = sorted((name for name, (_, through) in kept.items() if not through), key=lambda name: kept[name][0])
    for name in too_many[: max(0, len(too_many) - limit)]:
        del kept[name]
    return {name: list(value) for name, value in kept.items()}, not let


def next_step(told: Told, listing: Listing, now: float, *, early: bool = False) -> tuple[Step, float] | None:
    """What PagerDuty is to be told next, and in how many seconds; None where it knows all.

    Opening and closing are at once, the rest is once a minute. With `early`, for a process that ends, the first update is at once too:
    what a short job adds to a storm after it was opened would else be told by the next one.
    """
    since = now - told.at
    rest = max(0.0, MINUTE - since) if since >= 0 else 0.0
    if not listing.lines:
        return None if told.state == "closed" else ("close", rest if told.refused else 0.0)
    if told.state != "open":
        return "open", rest if told.refused else 0.0
    if told.digest == listing.digest:
        return None
    return "update", 0.0 if early and not told.updates and not told.refused else rest


def to_fields(told: Told) -> dict[str, Any]:
    """What was told, as JSON holds it."""
    return asdict(told)


def from_fields(fields: Mapping[str, Any]) -> Told:
    """What `to_fields` gave. What is no such thing may stand for an incident that is open."""
    if not fields:
        return Told()
    state = fields.get("state")
    try:
        return Told(
            dedup_key=str(fields.get("dedup_key", "")),
            state=state if state in ("closed", "opening", "open") else "opening",
            digest=str(fields.get("digest", "")),
            at=float(fields.get("at", 0.0)),
            updates=int(fields.get("updates", 0)),
            refused=fields.get("refused") is True,
        )
    except (TypeError, ValueError, OverflowError):
        return Told(state="opening")


def storm_key(environment: str | None, outbox: str) -> str:
    """The storm incident's dedup key, such as spark_pd/prod/-/outbox 1a2b3c4d/storm: of one environment and outbox."""
    return Subject(environment=environment, product_id=None, table=f"outbox {outbox}").dedup_key(TRIGGER)


def roll_up(members: Sequence[Member], *, dedup_key: str, environment: str | None, at: datetime, lasting: bool) -> Alert:
    """The one alert for all of them: counts, the worst, the tables; resolved where there is none. `lasting`: it outlives the process."""
    place = f"[{environment}] " if environment else ""
    if not members:
        return _alert(dedup_key, "info", f"{place}storm over: all of its alerts are good", {}, at, resolved=True)
    worst = sorted(members, key=lambda member: SEVERITIES.index(member.severity))
    triggers = Counter(member.trigger for member in members).most_common()
    tables = sorted({member.component for member in members})
    counts = ", ".join(f"{count:,} {trigger}" for trigger, count in triggers)
    alerts, of = _plural(len(members), "alert"), _plural(len(tables), "table")
    details: dict[str, Any] = {
        "what": "so many alerts came within a minute that these became one incident; each leaves it with its next good verdict",
        "alerts": len(members),
        "by_trigger": dict(triggers),
        "by_severity": dict(Counter(member.severity for member in worst)),
        "worst": worst[0].summary,
        "tables": tables[:TABLES],
        "members": [{"dedup_key": m.dedup_key, "severity": m.severity, "summary": m.summary} for m in worst[:_LISTED]],
    }
    if len(tables) > TABLES:
        details["more_tables"] = len(tables) - TABLES
    if not lasting:
        details["closing"] = "there is no outbox, so it closes by itself only while the process that opened it runs"
    return _alert(dedup_key, worst[0].severity, f"{place}storm of {alerts} on {of}: {counts}", details, at, source=worst[0].source)


def _alert(
    dedup_key: str, severity: Severity, summary: str, details: dict[str, Any], at: datetime, *, source: str = "", resolved: bool = False
) -> Alert:
    return Alert(
        trigger=TRIGGER,
        state="resolved" if resolved else "firing",
        severity=severity,
        summary=summary,
        details=details,
        dedup_key=dedup_key,
        source=source or "spark_pd",
        component=TRIGGER,
        at=at,
    )


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
