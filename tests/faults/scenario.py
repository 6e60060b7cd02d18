"""A scenario: a random history of runs, of processes that do them, and of what goes wrong meanwhile. All of it follows from its seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tests.faults.contract import COMPLETION, DROPS, FAILURE, IGNORED, START, VERDICTS, Promises

Kind: TypeAlias = Literal["steady", "crowd", "weak disk", "sweep"]
Disk: TypeAlias = Literal["full", "read-only", "half written", "unsynced", "not there", "flaky"]

CROWD = 20  # processes that share one outbox
SWEEP = 60  # steps at which a sweep kills, one after the other; three runs have fewer
SWEEP_EVERY = 4  # how many scenarios there are for one of a sweep
REFUSALS = ("400", "401", "403", "404", "413")
PASSING = ("204", "moved", "408", "429", "500", "502", "503", "504", "portal", "redirect", "hang", "reset", "close", "lost")
SPOILT = ("reset_mid_body", "drip", "not_json", "slow")
OUTAGES = ("refused", "impostor")
CORRUPTIONS = ("truncated", "garbage", "other version", "foreign", "half copy", "leftover", "folder", "bad note", "renamed")
DISKS: tuple[Disk, ...] = ("full", "read-only", "half written", "unsynced", "not there", "flaky")
JUMPS = (-40_000_000.0, -600_000.0, -90_000.0, -3_600.0, -40.0, -1.0, 1.0, 40.0, 3_600.0, 90_000.0, 500_000.0, 700_000.0, 40_000_000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run: its table, what it does, and how much time its alerts have (seconds)."""

    number: int
    table: str
    verdict: str
    deadline: float
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """When a process is killed: before its n-th step on the disk or network, its n-th line of our code, or after n milliseconds."""

    by: Literal["step", "line", "time"]
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """One process: its runs in their order, or each table's in a thread of its own, and what it has to put up with."""

    jobs: tuple[Job, ...]
    threads: bool = False
    kill: Kill | None = None
    disk: Disk | None = None
    disk_jobs: tuple[int, int] = (0, 0)
    """From which of its runs on, and before which, the disk is so."""
    clock: tuple[float, ...] = ()
    """How far its wall clock is off in each run, in seconds."""
    lingers: bool = True
    """Whether it waits for what is under way when it ends."""
    blind: bool = False
    """Whether the integration key cannot be had, and the backend's message holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """One fault of the network. `times` requests meet it; None: all, until the phase or the outage ends."""

    kind: str
    times: int | None = None
    retry_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Processes at the same time, under one weather. It clears up after `calm_after` seconds, or with the phase."""

    actors: tuple[Actor, ...]
    weather: tuple[Weather, ...] = ()
    calm_after: float | None = None
    corruptions: tuple[str, ...] = ()
    """What is done to the outbox's files before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A whole history. `seed` gives it again."""

    seed: str
    kind: Kind
    promises: Promises
    phases: tuple[Phase, ...]
    tls: bool = False
    by_reference: bool = False
    drain: Literal["replay", "next run"] = "replay"
    environment: str | None = field(default="prod")

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All runs, phase by phase."""
        return tuple(job for phase in self.phases for actor in phase.actors for job in actor.jobs)


def scenario(seed: int, number: int) -> Scenario:
    """The scenario of that number: always the same."""
    name = f"{seed}/{number}"
    rng = random.Random(name)
    if number % SWEEP_EVERY == SWEEP_EVERY - 1:
        return sweep(name, rng, 1 + number // SWEEP_EVERY % SWEEP)
    kind: Kind = rng.choices(("steady", "crowd", "weak disk"), (12, 1, 2))[0]
    on = {FAILURE, DROPS, IGNORED}
    on |= {trigger for trigger in (START, COMPLETION) if rng.random() < 0.3}
    made = _Maker(rng, kind)
    return Scenario(
        seed=name,
        kind=kind,
        promises=Promises(on=frozenset(on)),
        phases=made.phases(),
        tls=rng.random() < 0.25,
        by_reference=rng.random() < 0.5,
        drain=rng.choice(("replay", "next run")),
        environment=rng.choice((None, "prod")),
    )


def sweep(name: str, rng: random.Random, step: int) -> Scenario:
    """A process that is killed before that step of three runs of one table, and then another that finds the table good, or bad."""

    def job(number: int, verdict: str) -> Job:
        return Job(number=number, table="sales.t0", verdict=verdict, deadline=1.0)

    first = tuple(job(number, verdict) for number, verdict in enumerate(("errored", "good", "drops")))
    kinds = (None, Weather(kind="lost", times=2), Weather(kind="503", times=3), Weather(kind="503"), Weather(kind="slow"))
    weather = tuple(fault for fault in (rng.choice(kinds),) if fault is not None)
    killed = Phase(actors=(Actor(jobs=first, kill=Kill(by="step", n=step)),), weather=weather)
    then = Phase(actors=(Actor(jobs=(job(3, rng.choice(("good", "errored"))),)),))
    drain: Literal["replay", "next run"] = rng.choice(("replay", "next run"))
    return Scenario(seed=name, kind="sweep", promises=Promises(), phases=(killed, then), drain=drain)


class _Maker:
    """Draws a scenario's parts."""

    def __init__(self, rng: random.Random, kind: Kind) -> None:
        self._rng = rng
        self._kind = kind
        self._number = 0

    def phases(self) -> tuple[Phase, ...]:
        if self._kind == "crowd":
            return tuple(self._phase(self._crowd()) for _ in range(self._rng.randint(1, 2)))
        return tuple(self._phase(self._few()) for _ in range(self._rng.randint(2, 7)))

    def _phase(self, actors: tuple[Actor, ...]) -> Phase:
        rng = self._rng
        weather = self._weather() if rng.random() < 0.75 else ()
        corruptions = tuple(rng.choices(CORRUPTIONS, k=rng.randint(1, 3))) if rng.random() < 0.35 else ()
        calm = rng.uniform(0.02, 0.8) if weather and rng.random() < 0.4 else None
        return Phase(actors=actors, weather=weather, calm_after=calm, corruptions=corruptions)

    def _weather(self) -> tuple[Weather, ...]:
        rng = self._rng
        if rng.random() < 0.15:
            return (Weather(kind=rng.choice(OUTAGES)),)
        found = []
        for _ in range(rng.randint(1, 4)):
            kind = rng.choices((rng.choice(PASSING), rng.choice(SPOILT), rng.choice(REFUSALS)), (6, 3, 1.5))[0]
            after = (
                rng.choice((None, "0", "0.05", "1", "3600", "Wed, 21 Oct 2099 07:28:00 GMT", "soon")) if kind in ("429", "503") else None
            )
            endless = rng.random() < (0.05 if kind in REFUSALS else 0.35)
            found.append(Weather(kind=kind, times=None if endless else rng.randint(1, 4), retry_after=after))
        return tuple(found)

    def _few(self) -> tuple[Actor, ...]:
        rng = self._rng
        count = 1 if self._kind == "weak disk" else rng.choices((1, 2, 3), (5, 2, 2))[0]
        tables = [f"sales.t{n}" for n in rng.sample(range(6), 2 * count)]
        return tuple(self._beset(self._jobs(tables[2 * n : 2 * n + 2], rng.randint(1, 4)), gentle=False) for n in range(count))

    def _crowd(self) -> tuple[Actor, ...]:
        """20 processes: each with a table of its own, and one that all share and find equally bad."""
        verdict = self._rng.choice(("drops", "errored", "good"))
        actors = []
        for n in range(CROWD):
            jobs = (*self._jobs([f"sales.own{n}"], 1), self._job("sales.shared", verdict, deadline=2.0))
            actors.append(self._beset(jobs, gentle=True))
        return tuple(actors)

    def _beset(self, jobs: tuple[Job, ...], *, gentle: bool) -> Actor:
        rng = self._rng
        disk = rng.choice(DISKS) if rng.random() < (0.03 if gentle else 0.2) else None
        first = rng.randrange(len(jobs))
        return Actor(
            jobs=jobs,
            threads=rng.random() < 0.15,
            kill=self._kill(len(jobs)) if rng.random() < (0.15 if gentle else 0.3) else None,
            disk=disk,
            disk_jobs=(first, rng.randint(first + 1, len(jobs))),
            clock=tuple(rng.choice(JUMPS) if rng.random() < 0.6 else 0.0 for _ in jobs) if rng.random() < 0.2 else (),
            lingers=rng.random() < 0.6,
            blind=rng.random() < 0.04,
        )

    def _kill(self, jobs: int) -> Kill:
        by = self._rng.choices(("step", "line", "time"), (5, 4, 1))[0]
        most = {"step": 28, "line": 800, "time": 250}[by] * jobs
        return Kill(by=by, n=self._rng.randint(1, most))  # type: ignore[arg-type]

    def _jobs(self, tables: Sequence[str], count: int) -> tuple[Job, ...]:
        rng = self._rng
        deadline = rng.choice((0.0, 0.25, 0.25, 0.4, 0.4, 1.0))
        kinds = [rng.choice(tuple(VERDICTS)) if rng.random() < 0.6 else rng.choice(("good", "drops", "errored")) for _ in range(count)]
        return tuple(self._job(rng.choice(tables), kind, deadline=deadline) for kind in kinds)

    def _job(self, table: str, verdict: str, *, deadline: float) -> Job:
        job = Job(number=self._number, table=table, verdict=verdict, deadline=deadline, strict=self._rng.random() < 0.05)
        self._number += 1
        return job
