"""What was tried, in figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.faults.oracle import Violation
from tests.faults.play import Happened
from tests.faults.scenario import Scenario


@dataclass(slots=True)
class Figures:
    """Counts of everything that a harness did."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    deliveries: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    killed_at: set[str] = field(default_factory=set)
    over: float = 0.0
    """The most that a run took beyond its deadline, in seconds, all processes sharing the machine."""

    def add(self, scenario: Scenario, happened: Happened, violations: list[Violation]) -> None:
        """Count one scenario."""
        actors = [actor for phase in scenario.phases for actor in phase.actors]
        self.counts["scenarios"] += 1
        self.counts["runs"] += len(scenario.jobs)
        self.counts["processes"] += len(actors)
        self.counts["most processes at once"] = max(self.counts["most processes at once"], *(len(p.actors) for p in scenario.phases))
        self.counts["requests"] += len(happened.requests)
        self.counts["accepted"] += len(happened.events)
        self.counts["dead letters"] += len(happened.dead)
        self.counts["destroyed alerts"] += len(happened.harmed)
        self.violations.update(violation.kind for violation in violations)
        self.faults.update(request.fault for request in happened.requests if request.fault is not None)
        for phase in scenario.phases:
            self.faults.update(f"outage: {fault.kind}" for fault in phase.weather if fault.kind in ("refused", "impostor"))
            self.faults.update(f"file: {kind}" for kind in phase.corruptions)
        for actor in actors:
            self.faults.update([f"disk: {actor.disk}"] if actor.disk else [])
            self.faults.update(["clock jump"] * sum(off != 0 for off in actor.clock))
            self.faults.update(["no key"] if actor.blind and scenario.by_reference else [])
        self.over = max(self.over, _over(scenario, happened))
        for told in happened.told:
            ended = any("left" in line or "drained" in line for line in told.lines)
            self.counts["kills"] += told.actor.kill is not None and not ended
            self._add_account(told.lines)

    def _add_account(self, lines: list[dict[str, object]]) -> None:
        for line in lines:
            if "killed" in line:
                self.killed_at.add(str(line["killed"]))
            if "ended" in line:
                self.counts["runs that ended"] += 1
                deliveries = line["deliveries"]
                assert isinstance(deliveries, list)
                self.deliveries.update(str(each[2]) for each in deliveries)
            if "drained" in line:
                drained = line["drained"]
                assert isinstance(drained, list)
                self.counts["replays"] += 1
                self.counts["replayed alerts"] += sum(each[1] == "sent" for each in drained)

    def table(self, seconds: float) -> str:
        """All of it for the eye."""
        head = ("runs", "scenarios", "processes", "most processes at once", "runs that ended", "requests", "accepted", "kills")
        tail = ("replays", "replayed alerts", "dead letters", "destroyed alerts")
        rows = [(name, str(self.counts[name])) for name in head]
        rows.append(("different places of a kill", str(len(self.killed_at))))
        rows += [(name, str(self.counts[name])) for name in tail]
        rows.append(("deliveries", _listed(self.deliveries)))
        rows.append(("faults", _listed(self.faults)))
        rows.append(("violations", f"{sum(self.violations.values())}" + (f" ({_listed(self.violations)})" if self.violations else "")))
        rows.append(("longest run beyond its deadline", f"{self.over:.2f} s"))
        rows.append(("seconds", f"{seconds:.0f}"))
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:{width}}  {value}" for name, value in rows)


def _over(scenario: Scenario, happened: Happened) -> float:
    deadlines = {job.number: job.deadline for job in scenario.jobs}
    ended = [line for told in happened.told for line in told.lines if line.get("ended") in deadlines]
    return max((line["seconds"] - deadlines[line["ended"]] for line in ended), default=0.0)


def _listed(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items(), key=lambda item: (-item[1], item[0])))
