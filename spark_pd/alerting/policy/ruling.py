"""The policy: one verdict, what is remembered of its incident, and the settings, to what goes out and what is remembered then. Pure.

Whatever may leave an incident open is told: what is not known never withholds anything, and neither a mute, a cool-down nor a least
severity ever withholds a resolve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal, TypeAlias

from spark_pd.alerting.policy.closing import closing, is_kept_elsewhere
from spark_pd.alerting.policy.verdict import Verdict
from spark_pd.model import SEVERITIES, Address, Alert, Severity
from spark_pd.model.incident_state import IncidentState

Notify: TypeAlias = Literal["always", "change", "never"]

# They are opened and closed by every run, good or bad: a cool-down would hold back every second one.
ANNOUNCEMENTS = frozenset({"start", "completion"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PagingPolicy:
    """What the settings say of when somebody is told. By trigger, with a default for each that is not in there."""

    notify: Mapping[str, Notify] = field(default_factory=lambda: MappingProxyType({}))
    after: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Bad runs in a row before the first page."""
    after_unknown: int = 1
    """Runs in a row that could not tell, before the first page."""
    cooldown: float = 0.0
    """Seconds after a resolve."""
    min_severity: Severity = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What becomes of one verdict."""

    verdict: Verdict
    send: bool = False
    """Whether its alert goes out."""
    withheld: str | None = None
    """Why its alert does not, where it has one that somebody might have expected."""
    note: str | None = None
    """What is to be said of an alert that goes out."""
    kept: IncidentState | None = None
    """What is to be remembered, as long as no alert went out. None: nothing new."""
    sent: IncidentState | None = None
    """What is to be remembered once the alert went out."""
    addresses: tuple[Address, ...] = ()
    """Where the alert goes, or would have gone, where there are channels of one's own."""

    @property
    def alert(self) -> Alert | None:
        """The alert that goes out or is withheld; None where nothing is told at all."""
        return self.verdict.alert if self.send or self.withheld is not None else None


def unjudged(verdict: Verdict) -> Ruling:
    """The ruling where there is no policy, or it failed: what there is to tell is told, and nothing is remembered."""
    return Ruling(verdict=verdict, send=verdict.alert is not None and not verdict.switched_off)


def judge(
    verdict: Verdict,
    memory: IncidentState | None,
    policy: PagingPolicy,
    *,
    now: datetime,
    muted: str | None = None,
    known: bool = True,
    durable: bool = False,
) -> Ruling:
    """What becomes of a verdict.

    memory: what is remembered of its incident; None where nothing is. known: whether that may be relied on, and what is decided will be
    remembered; where not, only what needs no memory withholds anything. durable: whether no memory means that nothing is open.
    muted: why nobody is to be paged now.
    """
    if verdict.alert is not None and verdict.alert.change:
        return _change(verdict, verdict.alert, policy)
    before = memory if memory is not None and known else IncidentState(dedup_key=verdict.dedup_key)
    older = _older(verdict, before, now)
    if verdict.switched_off:
        return Ruling(verdict=verdict) if older or before.open_since is None else _switched_off(verdict, before, now)
    if older:
        return Ruling(verdict=verdict, withheld=older if verdict.alert is not None else None)
    if verdict.alert is None:
        unknown = replace(before, outcome="unknown", unknown_runs=before.unknown_runs + 1)
        return Ruling(verdict=verdict, kept=unknown if verdict.outcome == "unknown" else None)
    if verdict.alert.state == "firing":
        return _firing(verdict, verdict.alert, before, policy, now=now, muted=muted, known=known)
    return _good(verdict, before, memory, now=now, known=known, durable=durable)


def _change(verdict: Verdict, alert: Alert, policy: PagingPolicy) -> Ruling:
    """A change opens no incident and wakes nobody: there is nothing to remember of it, and nothing else to withhold it."""
    reason = _unwanted(alert, policy) if alert.state == "firing" else None
    return Ruling(verdict=verdict, send=reason is None, withheld=reason)


def _older(verdict: Verdict, before: IncidentState, now: datetime) -> str | None:
    """Why a run that started before the one whose verdict stands changes nothing."""
    stands = before.run_started_at
    # What lies in the future is no run's start, but a clock's that was wrong: it must not silence the runs of days to come.
    if stands is None or stands > now or verdict.started_at >= stands:
        return None
    return f"a run that started later, at {stands.isoformat(timespec='seconds')}, has given its verdict already"


# ---- firing ----------------------------------------------------------------------------------------------------------------------


def _firing(
    verdict: Verdict, alert: Alert, before: IncidentState, policy: PagingPolicy, *, now: datetime, muted: str | None, known: bool
) -> Ruling:
    bad = _bad(verdict, before)
    reason = _unwanted(alert, policy) or muted or (_held_back(verdict, alert, before, bad, policy, now) if known else None)
    if reason is not None:
        return Ruling(verdict=verdict, withheld=reason, kept=bad)
    told = set(before.told) if before.open_since is not None else set()
    sent = replace(
        bad,
        open_since=before.open_since or now,
        paged_at=now,
        severity=alert.severity,
        told=tuple(sorted(told.union(bad.failing))),
    )
    return Ruling(verdict=verdict, send=True, kept=bad, sent=sent)


def _bad(verdict: Verdict, before: IncidentState) -> IncidentState:
    """What a bad run leaves behind, page or not. One that could not tell leaves the rules and the row of bad runs as they were."""
    if verdict.outcome == "unknown":
        return replace(before, outcome="unknown", run_started_at=verdict.started_at, unknown_runs=before.unknown_runs + 1)
    unseen = set(before.failing) - verdict.evaluated
    if verdict.rules_source == before.rules_source and is_kept_elsewhere(verdict.rules_source):
        unseen &= verdict.rules
    return replace(
        before,
        outcome="firing",
        run_started_at=verdict.started_at,
        bad_runs=before.bad_runs + 1,
        unknown_runs=0,
        failing=tuple(sorted(unseen.union(verdict.failing))),
        rules_source=verdict.rules_source,
        absent=(),
    )


def _unwanted(alert: Alert, policy: PagingPolicy) -> str | None:
    """Why such an alert goes out at no time."""
    if policy.notify.get(alert.trigger, "always") == "never":
        return f"spark.pd.notify.{alert.trigger} is never"
    if _rank(alert.severity) < _rank(policy.min_severity):
        return f"its severity is {alert.severity}, below spark.pd.min_severity={policy.min_severity}"
    return None


def _held_back(
    verdict: Verdict, alert: Alert, before: IncidentState, bad: IncidentState, policy: PagingPolicy, now: datetime
) -> str | None:
    """Why an alert does not go out this time, by what is remembered."""
    trigger = alert.trigger
    if before.open_since is not None:
        if policy.notify.get(trigger, "always") == "change" and not _worse(verdict, alert, before):
            return f"the incident is open since {_time(before.open_since)}, and it is no worse (spark.pd.notify.{trigger} is change)"
        return None
    unknown = verdict.outcome == "unknown"
    so_far, wanted = (bad.unknown_runs, policy.after_unknown) if unknown else (bad.bad_runs, policy.after.get(trigger, 1))
    if so_far < wanted:
        what, name = ("unknown", "unknown") if unknown else ("bad", trigger)
        return f"{what} run {so_far} of the {wanted} in a row that it takes (spark.pd.after.{name})"
    if trigger in ANNOUNCEMENTS or before.resolved_at is None or _worse(verdict, alert, before):
        return None
    # A resolve in the future is a wrong clock's.
    if before.resolved_at <= now < before.resolved_at + timedelta(seconds=policy.cooldown):
        return f"its incident was resolved at {_time(before.resolved_at)}, less than {policy.cooldown:g} s ago (spark.pd.cooldown)"
    return None


def _worse(verdict: Verdict, alert: Alert, before: IncidentState) -> bool:
    """Whether there is more to tell than was told of the incident: a higher severity, or a rule that failed anew."""
    return before.severity is None or _rank(alert.severity) > _rank(before.severity) or not set(verdict.failing) <= set(before.told)


def _rank(severity: Severity) -> int:
    return -SEVERITIES.index(severity)


def _time(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


# ---- closing ---------------------------------------------------------------------------------------------------------------------


def _good(verdict: Verdict, before: IncidentState, memory: IncidentState | None, *, now: datetime, known: bool, durable: bool) -> Ruling:
    note = None
    if known and not verdict.renamed:
        found = closing(verdict, before)
        if not found.closes:
            return Ruling(verdict=verdict, withheld=found.reason, kept=replace(before, absent=found.absent))
        note = found.reason
    good = replace(before, outcome="good", run_started_at=verdict.started_at, bad_runs=0, unknown_runs=0, failing=(), absent=())
    if durable and known and before.open_since is None:
        return Ruling(verdict=verdict, withheld="no incident is open", kept=good)
    if verdict.renamed and memory is None:
        return Ruling(verdict=verdict, send=True)
    return Ruling(verdict=verdict, send=True, note=note, kept=good, sent=_closed(good, now))


def _switched_off(verdict: Verdict, before: IncidentState, now: datetime) -> Ruling:
    off = replace(before, outcome="none", run_started_at=verdict.started_at, bad_runs=0, unknown_runs=0, failing=(), absent=())
    note = (
        f"its incident, open since {_time(before.open_since)}, is closed, since the trigger is switched off" if before.open_since else None
    )
    return Ruling(verdict=verdict, send=True, note=note, kept=off, sent=_closed(off, now))


def _closed(memory: IncidentState, now: datetime) -> IncidentState:
    return memory if memory.open_since is None else replace(memory, open_since=None, resolved_at=now)
