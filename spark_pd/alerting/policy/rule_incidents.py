"""Rules with incidents of their own: which are open is remembered with the table's, so that they close when the rule is gone. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from spark_pd.alerting.policy.ruling import Ruling
from spark_pd.alerting.policy.verdict import Verdict
from spark_pd.model.incident_state import IncidentState

NOT_OWN_ANY_MORE = "the rule was removed, or asks for no incident of its own any more"


def table_key(verdict: Verdict) -> str:
    """The dedup key of the table's incident of the verdict's trigger."""
    return verdict.subject.dedup_key(verdict.trigger)


def closed_with_their_rule(verdicts: Sequence[Verdict], memories: Mapping[str, IncidentState]) -> tuple[Verdict, ...]:
    """Verdicts that close the rules' own incidents which are open and of which a run that passed says nothing by itself.

    Whether they do close is judged like any other: a rule that the run merely was not given keeps its incident open.
    """
    spoken = {(verdict.subject, verdict.trigger, verdict.rule) for verdict in verdicts}
    found = []
    for verdict in verdicts:
        memory = memories.get(verdict.dedup_key)
        if verdict.rule is not None or verdict.renamed or not verdict.passed or verdict.alert is None or memory is None:
            continue
        found += [_closing(verdict, name) for name in memory.own if (verdict.subject, verdict.trigger, name) not in spoken]
    return tuple(found)


def _closing(verdict: Verdict, rule: str) -> Verdict:
    assert verdict.alert is not None
    alert = replace(
        verdict.alert,
        state="resolved",
        rule=rule,
        dedup_key=verdict.subject.dedup_key(verdict.trigger, rule),
        summary=f"{verdict.subject.table}: rule {rule} has no incident of its own any more",
        details={**verdict.alert.details, "rule": rule, "reason": NOT_OWN_ANY_MORE},
    )
    return replace(verdict, rule=rule, outcome="none" if verdict.switched_off else "good", failing=(), alert=alert)


def registered(rulings: Sequence[Ruling], memories: Mapping[str, IncidentState]) -> tuple[IncidentState, ...]:
    """The tables' memories with what the rulings opened and closed of their rules' own incidents; none where nothing changed."""
    found: dict[str, IncidentState] = {}
    for ruling in rulings:
        verdict = ruling.verdict
        if verdict.rule is None or not ruling.send or verdict.alert is None:
            continue
        key = table_key(verdict)
        memory = found.get(key) or memories.get(key) or IncidentState(dedup_key=key)
        own = {verdict.rule} | set(memory.own) if verdict.alert.state == "firing" else set(memory.own) - {verdict.rule}
        found[key] = replace(memory, own=tuple(sorted(own)))
    return tuple(memory for key, memory in found.items() if memory.own != (memories[key].own if key in memories else ()))
