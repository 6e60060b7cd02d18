"""Holds what happened against what the contract says, from the verdicts alone. Pure; it knows nothing of how the product works.

Of each dedup key there is a history of verdicts, told or perhaps told (the process died meanwhile). The last of them is what PagerDuty
has to show in the end, unless it is a dead letter or its file was destroyed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.faults.contract import State
from tests.faults.play import Happened, Told
from tests.faults.scenario import Actor, Job, Scenario

TTL = 7 * 86_400.0  # seconds; docs/delivery.md
SLACK = 5.0  # seconds beyond its deadline that no run may take, on a machine that does much else
_ANSWERED = re.compile(r"PagerDuty answered (\d+)")


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    kind: Literal["lost", "doubled", "order", "verdict", "outcome", "leak", "dead", "left", "died", "late", "misled"]
    what: str


@dataclass(frozen=True, slots=True)
class _Word:
    """One verdict on one incident. `at` orders those of one key."""

    at: int
    phase: int
    process: int
    state: State
    run: str
    trigger: str
    sure: bool
    reported: bool = False
    """Whether it is known that it did not reach PagerDuty, and the user was told."""
    clock_off: bool = False
    """Whether its process's clock was off: among words of the same time it may count for older or newer than it is."""
    apart: bool = False
    """Whether its process could not change the outbox: what waits there is sent although this one is newer (docs/delivery.md)."""


def judge(scenario: Scenario, happened: Happened) -> list[Violation]:
    """Every promise that was broken, the plainest first."""
    history = _History(scenario, happened)
    found = [Violation("leak", leak) for leak in happened.leaks]
    found += [Violation("misled", f"{happened.misled} requests reached an impostor")] if happened.misled else []
    found += _deaths(happened)
    found += history.violations
    found += [Violation("left", f"still in the outbox after the replay: {name}") for name in happened.left]
    found += _dead_letters(scenario, happened)
    for key, words in sorted(history.words.items()):
        found += _final_state(key, words, history.opened)
        if not any(word.apart for word in words):
            found += _order(key, words, happened, shared=key in history.shared)
    return found


def dedup_key(scenario: Scenario, table: str, trigger: str) -> str:
    """The incident's name, as contract.md has it."""
    return f"spark_pd/{scenario.environment or '-'}/p/{table}/{trigger}"


class _History:
    """The words on each dedup key, and what was wrong with single runs."""

    def __init__(self, scenario: Scenario, happened: Happened) -> None:
        self._scenario = scenario
        self._dead = {(entry.alert.source, entry.alert.trigger, entry.alert.state) for entry in happened.dead}
        self._harmed = happened.harmed
        self._accepted = {
            (event["payload"]["source"], event["payload"]["class"]) for event in happened.events if event["event_action"] == "trigger"
        }
        self.words: dict[str, list[_Word]] = defaultdict(list)
        self.violations: list[Violation] = []
        self.opened = _open_keys(happened)
        for phase, (planned, crew) in enumerate(zip(scenario.phases, happened.phases, strict=True)):
            for process, (actor, told) in enumerate(zip(planned.actors, crew, strict=True)):
                for position in range(len(actor.jobs)):
                    self._take(phase, process, actor, position, told)
        by_phase: Counter[tuple[str, int]] = Counter()
        for key, words in self.words.items():
            by_phase.update({(key, phase) for phase, _ in {(word.phase, word.process) for word in words}})
            for phase in {word.phase for word in words}:
                if len({word.process for word in words if word.phase == phase}) > 1:
                    by_phase[(key, phase)] += 1
        self.shared = {key for (key, _), count in by_phase.items() if count > 1}

    def _take(self, phase: int, process: int, actor: Actor, position: int, told: Told) -> None:
        job, disk_fails = actor.jobs[position], _disk_fails(actor, position)
        apart = disk_fails and actor.disk in ("not there", "read-only")
        run = f"run-{job.number}"
        account = _account(job, told)
        if "begun" not in account:
            return
        promises = self._scenario.promises
        ended = account.get("ended")
        deliveries = _deliveries(ended)
        handed: list[list[list[str]]] = [line["handed"] for line in told.lines if line.get("run") == run]
        expected = [promises.at_start(), promises.at_end(job.verdict)]
        for number, words in enumerate(expected):
            if not words or (number == 1 and "entered" not in account):
                continue
            was_handed = len(handed) > number - (0 if expected[0] else 1)
            told_of = handed[number - (0 if expected[0] else 1)] if was_handed else None
            if told_of is not None and sorted(map(tuple, told_of)) != sorted(words):
                self._violated("verdict", job, f"it told {told_of}, and the contract says {words}")
            if told_of is None and ended is not None:
                self._violated("verdict", job, f"it told nothing, and the contract says {words}")
            for trigger, state in words:
                status = deliveries.get((trigger, state))
                self._check_delivery(job, trigger, state, status, disk_fails)
                # It was sent past the outbox; whether what waits there is then removed is a matter of luck, and of who lives to do it.
                lucky = actor.disk == "flaky" or not any("left" in line for line in told.lines)
                past = apart or (disk_fails and lucky and (status is None or "could not keep it" in status[1]))
                reported = (run, trigger, state) in self._dead | self._harmed or (status is not None and status[0] in ("failed", "dead"))
                sure = told_of is not None and (not disk_fails or status is not None)
                word = _Word(
                    2 * job.number + number, phase, process, state, run, trigger, sure and not past, reported, any(actor.clock), past
                )
                self.words[dedup_key(self._scenario, job.table, trigger)].append(word)
        if ended is not None:
            self._check_run(job, ended)

    def _check_run(self, job: Job, ended: Mapping[str, Any]) -> None:
        if ended["outcome"] != "same":
            self._violated("outcome", job, ended["outcome"])
        if ended["seconds"] > job.deadline + SLACK:
            self._violated("late", job, f"it took {ended['seconds']:.1f} s, with {job.deadline:g} s for its alerts")
        if len(ended["deliveries"]) != len(ended["alerts"]):
            self._violated("verdict", job, f"it has {len(ended['alerts'])} alerts and {len(ended['deliveries'])} deliveries")

    def _check_delivery(self, job: Job, trigger: str, state: str, status: list[Any] | None, disk_fails: bool) -> None:
        if status is None:
            return
        name, reason, _ = status
        run = f"run-{job.number}"
        if name == "failed" and not disk_fails:
            self._violated("lost", job, f"its {trigger} is failed, though the disk was well: {reason}")
        if name == "sent" and reason.startswith("accepted") and state == "firing" and (run, trigger) not in self._accepted:
            self._violated("lost", job, f"its {trigger} is told to be sent, and PagerDuty has no such event")

    def _violated(self, kind: Any, job: Job, what: str) -> None:
        self.violations.append(Violation(kind, f"run-{job.number} ({job.verdict}, {job.table}): {what}"))


def _disk_fails(actor: Actor, position: int) -> bool:
    first, last = actor.disk_jobs
    # Threads share their process's disk, and what a run left under way meets that of the next.
    return actor.disk is not None and (actor.threads or actor.disk == "not there" or first - 1 <= position <= last)


def _account(job: Job, told: Told) -> dict[str, Any]:
    """What the process told of a job, by the name of the moment."""
    found = {}
    for line in told.lines:
        for moment in ("begun", "entered", "ended"):
            if line.get(moment) == job.number:
                found[moment] = line
    return found


def _deliveries(ended: Mapping[str, Any] | None) -> dict[tuple[str, str], list[Any]]:
    if ended is None:
        return {}
    return {(trigger, state): [status, reason, code] for trigger, state, status, reason, code in ended["deliveries"]}


def _open_keys(happened: Happened) -> set[str]:
    opened: set[str] = set()
    for event in happened.events:
        if event["event_action"] == "trigger":
            opened.add(event["dedup_key"])
        else:
            opened.discard(event["dedup_key"])
    return opened


# ---- one key -------------------------------------------------------------------------------------------------------------------


def _final_state(key: str, words: list[_Word], opened: set[str]) -> Iterator[Violation]:
    """0 lost: what the last verdict says is what PagerDuty shows."""
    possible: set[str] = {"resolved"}
    for phase in sorted({word.phase for word in words}):
        by_process: dict[int, list[_Word]] = defaultdict(list)
        for word in words:
            if word.phase == phase:
                by_process[word.process].append(word)
        ends = [_after(possible, sorted(each, key=lambda word: word.at)) for each in by_process.values()]
        possible = set().union(*ends)
        if len(by_process) > 1 and any(word.clock_off for word in words if word.phase == phase):
            possible |= {word.state for word in words if word.phase == phase}
    is_open = key in opened
    if possible == {"firing"} and not is_open:
        yield Violation("lost", f"{key} is to be open, and is not")
    if possible == {"resolved"} and is_open:
        yield Violation("order", f"{key} is to be closed, and is open")


def _after(possible: set[str], words: list[_Word]) -> set[str]:
    for word in words:
        if word.reported:
            possible = {"firing", "resolved"}
        elif word.sure:
            possible = {word.state}
        else:
            possible = possible | {word.state}
    return possible


def _order(key: str, words: list[_Word], happened: Happened, *, shared: bool) -> Iterator[Violation]:
    """0 doubled: what was closed opens again only by a newer bad verdict; and no older verdict comes behind a newer one."""
    when = {(word.run, word.trigger): word for word in words if word.state == "firing"}
    newest: _Word | None = None
    is_open = False
    for event in happened.events:
        if event["dedup_key"] != key:
            continue
        if event["event_action"] != "trigger":
            if is_open and newest is not None and not newest.reported and not _closes(newest, words, shared):
                yield Violation("order", f"{key} was closed by a verdict older than {newest.run}, which opened it or kept it open")
            is_open = False
            continue
        word = when.get((event["payload"]["source"], event["payload"]["class"]))
        if word is None:
            yield Violation("verdict", f"{key} was triggered by a run that found nothing: {event['payload']['summary']}")
            continue
        if newest is not None and _is_before(word, newest, shared):
            yield Violation("order", f"{key}: the trigger of {word.run} came behind that of {newest.run}")
        elif word is newest and not is_open:
            yield Violation("doubled", f"{key} was opened again by {word.run}, without a new bad verdict")
        else:
            newest = word
        is_open = True


def _is_before(one: _Word, other: _Word, shared: bool) -> bool:
    return one.phase < other.phase if shared else one.at < other.at


def _closes(newest: _Word, words: list[_Word], shared: bool) -> bool:
    """Whether a good verdict came after the newest bad one that PagerDuty knows."""
    return any(word.state == "resolved" and (word.phase >= newest.phase if shared else word.at > newest.at) for word in words)


# ---- the rest ------------------------------------------------------------------------------------------------------------------


def _deaths(happened: Happened) -> Iterator[Violation]:
    for told in happened.told:
        kill = told.actor.kill
        ended = any("left" in line or "drained" in line for line in told.lines)
        killed = any("killed" in line for line in told.lines) or (kill is not None and kill.by == "time")
        if not ended and not killed:
            at = max(0, told.output.rfind(b"Traceback (most recent call last)"), len(told.output) - 6000)
            yield Violation("died", f"a process ended with {told.code}: {told.output[at:].decode(errors='replace')}")
        for noise in (b"Exception in thread", b"--- Logging error ---", b"Exception ignored in"):
            if noise in told.output:
                at = told.output.index(noise)
                yield Violation("died", f"a thread of ours printed: {told.output[at : at + 2000].decode(errors='replace')}")


def _dead_letters(scenario: Scenario, happened: Happened) -> Iterator[Violation]:
    """A dead letter is one that PagerDuty refused, or that waited too long by the clocks of those who looked."""
    refused: set[tuple[str, str, int]] = set()
    for request in happened.requests:
        if request.body is not None and request.status is not None:
            refused.add((request.body["dedup_key"], request.body["event_action"], request.status))
    jumps = [off for phase in scenario.phases for actor in phase.actors for off in (*actor.clock, 0.0)]
    may_age = max(jumps) - min(jumps) > TTL
    for entry in happened.dead:
        action = "trigger" if entry.alert.state == "firing" else "resolve"
        answered = _ANSWERED.search(entry.reason or "")
        if answered is not None and (entry.alert.dedup_key, action, int(answered[1])) in refused:
            continue
        if answered is None and may_age and "it waited for more than 7 days" in (entry.reason or ""):
            continue
        yield Violation("dead", f"{entry.alert.dedup_key} ({entry.alert.state}) is a dead letter without cause: {entry.reason}")
