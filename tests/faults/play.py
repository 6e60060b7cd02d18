"""Plays a scenario: a PagerDuty, its weather, processes that run and die, and at the end one that sends what waits."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import secrets
import selectors
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from spark_pd.delivery.outbox import Entry, Outbox
from spark_pd.sandbox import Sandbox
from tests.faults import actor as actors
from tests.faults.actor import Site
from tests.faults.corruption import Harmed, age, corrupt, is_expected_to_stay
from tests.faults.scenario import Actor, Phase, Scenario

PATIENCE = 120.0  # seconds that a process may take before it counts as stuck


@dataclass(slots=True)
class Told:
    """What one process told, and how it ended."""

    actor: Actor
    lines: list[dict[str, Any]] = field(default_factory=list)
    output: bytes = b""
    journal: bytes = b""
    code: int | None = None


@dataclass(slots=True)
class Happened:
    """All that can be seen of a scenario once it is over."""

    phases: list[list[Told]] = field(default_factory=list)
    drained: list[Told] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    """What PagerDuty accepted, in its order."""
    event_phases: list[int] = field(default_factory=list)
    """In which phase each of them came; the drain is the last."""
    misled: int = 0
    """Requests that reached an impostor."""
    harmed: set[Harmed] = field(default_factory=set)
    dead: list[Entry] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Files that still wait, and should not."""
    leaks: list[str] = field(default_factory=list)
    """Where the integration key was found."""
    seconds: float = 0.0

    @property
    def told(self) -> list[Told]:
        """Every process's account."""
        return [told for phase in [*self.phases, self.drained] for told in phase]


def play(scenario: Scenario, folder: Path, *, sabotage: str | None = None) -> Happened:
    """Play it in an empty folder of its own, which is removed then."""
    began = time.monotonic()
    (folder / "file").write_text("no folder")
    happened = Happened()
    with Sandbox(tls=scenario.tls, key=secrets.token_hex(16)) as sandbox:
        site = Site(
            folder=folder,
            url=sandbox.url,
            key=sandbox.key,
            ca_file=str(sandbox.ca_file) if scenario.tls else None,
            environment=scenario.environment,
            on=scenario.promises.on,
            by_reference=scenario.by_reference,
            weak=scenario.kind == "weak disk",
            seed=scenario.seed,
            sabotage=sabotage,
        )
        rng = random.Random(f"{scenario.seed}/play")
        for number, phase in enumerate(scenario.phases):
            _play_phase(number, phase, site, sandbox, happened, rng)
        _drain(scenario, site, sandbox, happened)
        happened.requests, happened.events = sandbox.requests, sandbox.events
    box = Outbox(site.outbox)
    happened.dead = box.dead()
    happened.left = [path.name for path in site.outbox.glob("queue/*") if not is_expected_to_stay(path)]
    happened.leaks = list(_leaks(site, happened))
    happened.seconds = time.monotonic() - began
    shutil.rmtree(folder)
    return happened


def _play_phase(number: int, phase: Phase, site: Site, sandbox: Sandbox, happened: Happened, rng: random.Random) -> None:
    for kind in phase.corruptions:
        harmed = corrupt(kind, site.outbox, rng)
        if harmed is not None:
            happened.harmed.add(harmed)
    with weather(phase, site, sandbox, happened) as calm:
        jobs = [(f"{number}.{n}", actor) for n, actor in enumerate(phase.actors)]
        happened.phases.append(
            _crew([(actor, actors.act, (site, actor, name)) for name, actor in jobs], calm_after=phase.calm_after, calm=calm)
        )
    happened.event_phases += [number] * (len(sandbox.events) - len(happened.event_phases))


@contextlib.contextmanager
def weather(phase: Phase, site: Site, sandbox: Sandbox, happened: Happened) -> Iterator[Callable[[], None]]:
    """The phase's faults. Gives what ends them."""
    kinds = {fault.kind for fault in phase.weather}
    impostor: Sandbox | None = None
    if kinds & {"refused", "impostor"}:
        sandbox.stop()
        if "impostor" in kinds and site.ca_file is not None:
            impostor = Sandbox(port=int(site.url.rpartition(":")[2]), tls=True).start()  # its authority is unknown to all
    else:
        for fault in phase.weather:
            seconds = {"slow": 0.05, "drip": 0.003}.get(fault.kind)
            sandbox.fault(fault.kind, fault.times, seconds=seconds, retry_after=fault.retry_after)
    over: list[bool] = []

    def calm() -> None:
        if over:
            return
        over.append(True)
        sandbox.clear_faults()
        if impostor is not None:
            impostor.stop()
            happened.misled += len(impostor.requests)
        if kinds & {"refused", "impostor"}:
            sandbox.start()

    try:
        yield calm
    finally:
        calm()


def _drain(scenario: Scenario, site: Site, sandbox: Sandbox, happened: Happened) -> None:
    """All faults have ended: send what waits, until nothing does."""
    for path in site.outbox.glob("queue/*"):
        age(path)
    happened.drained = _crew([(Actor(jobs=()), actors.drain, (site, scenario.drain))])
    happened.event_phases += [len(scenario.phases)] * (len(sandbox.events) - len(happened.event_phases))


# ---- processes -----------------------------------------------------------------------------------------------------------------


def _context() -> Any:
    # Its server has no threads and has imported all: what is forked off it is there within milliseconds, and clean.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.actor", "requests", "tenacity", "atexit"])
    return context


class _Running:
    """A process under way, and the two pipes that it tells on."""

    def __init__(self, context: Any, actor: Actor, act: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.told = Told(actor)
        self._journal, journal = context.Pipe(duplex=False)
        self._output, output = context.Pipe(duplex=False)
        self.process: BaseProcess = context.Process(target=act, args=(*arguments, journal, output), daemon=True)
        self.process.start()
        journal.close()
        output.close()
        self.ready_at: float | None = None

    def register(self, selector: selectors.BaseSelector) -> None:
        selector.register(self._journal.fileno(), selectors.EVENT_READ, (self, "journal"))
        selector.register(self._output.fileno(), selectors.EVENT_READ, (self, "output"))

    def take(self, what: str, data: bytes) -> None:
        if what == "output":
            self.told.output += data
            return
        self.told.journal += data
        if self.ready_at is None and b"ready" in data:
            self.ready_at = time.monotonic()

    def settle(self) -> Told:
        self.process.join()
        self.told.code = self.process.exitcode
        self.process.close()
        self._journal.close()
        self._output.close()
        for line in self.told.journal.splitlines():
            with contextlib.suppress(ValueError):  # the last line of one who was killed
                self.told.lines.append(json.loads(line))
        return self.told


def _crew(
    work: list[tuple[Actor, Callable[..., None], tuple[Any, ...]]],
    *,
    calm_after: float | None = None,
    calm: Callable[[], None] = lambda: None,
) -> list[Told]:
    """Run processes side by side until all have ended."""
    context = _context()
    running = [_Running(context, actor, act, arguments) for actor, act, arguments in work]
    began = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for each in running:
            each.register(selector)
        while selector.get_map():
            for key, _ in selector.select(timeout=0.01):
                data = os.read(key.fd, 65_536)
                if data:
                    key.data[0].take(key.data[1], data)
                else:
                    selector.unregister(key.fd)
            now = time.monotonic()
            if calm_after is not None and now - began > calm_after:
                calm()
            for each in running:
                if _is_to_die(each, now) or now - began > PATIENCE:
                    each.process.kill()
    return [each.settle() for each in running]


def _is_to_die(each: _Running, now: float) -> bool:
    kill = each.told.actor.kill
    return kill is not None and kill.by == "time" and each.ready_at is not None and now - each.ready_at > kill.n / 1000


# ---- keys ----------------------------------------------------------------------------------------------------------------------


def _leaks(site: Site, happened: Happened) -> Iterator[str]:
    key = site.key.encode()
    for path in site.folder.rglob("*"):
        if key in bytes(path) or (path.is_file() and key in path.read_bytes()):
            yield f"the key is in the file {path.relative_to(site.folder)}"
    for told in happened.told:
        for where, text in (("output or log", told.output), ("account", told.journal)):
            if key in text:
                at = text.index(key)
                yield f"the key is in a process's {where}: {text[max(0, at - 80) : at].decode(errors='replace')}****"
