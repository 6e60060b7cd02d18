"""A scenario for the eye: who ran what, when, and what went wrong meanwhile."""

from __future__ import annotations

from tests.faults.oracle import Violation
from tests.faults.play import Happened
from tests.faults.scenario import Actor, Scenario


def told(scenario: Scenario, violations: list[Violation]) -> str:
    """The scenario, what it broke, and the command that repeats it."""
    seed, _, number = scenario.seed.partition("/")
    lines = [f"scenario {scenario.seed}: {scenario.kind}, triggers {', '.join(sorted(scenario.promises.on))}"]
    lines.append(f"  {'https' if scenario.tls else 'http'}, key {'by reference' if scenario.by_reference else 'literal'}")
    for phase_number, phase in enumerate(scenario.phases):
        weather = ", ".join(
            f"{fault.kind}{f' x{fault.times}' if fault.times else ''}{f' Retry-After {fault.retry_after}' if fault.retry_after else ''}"
            for fault in phase.weather
        )
        calm = f", calm after {phase.calm_after:.2f} s" if phase.calm_after else ""
        damage = f"; files: {', '.join(phase.corruptions)}" if phase.corruptions else ""
        lines.append(f"  phase {phase_number}: {weather or 'well'}{calm}{damage}")
        for process, actor in enumerate(phase.actors):
            lines.append(f"    process {process}{_beset(actor)}")
            lines += [f"      run-{job.number} {job.table}: {job.verdict}, {job.deadline:g} s" for job in actor.jobs]
    lines.append(f"  then all is well, and what waits is sent by {scenario.drain}")
    lines.append("violated:")
    lines += [f"  {violation.kind}: {violation.what}" for violation in violations]
    lines.append(f"again: python -m tests.faults --seed {seed} --only {number}")
    return "\n".join(lines)


def accounts(happened: Happened) -> str:
    """What every process told, and what PagerDuty received: the evidence."""
    lines = []
    for number, crew in enumerate([*happened.phases, happened.drained]):
        for process, account in enumerate(crew):
            lines.append(f"-- phase {number}, process {process}, ended with {account.code}")
            lines += [str(line) for line in account.lines]
            lines.append(account.output.decode(errors="replace"))
    lines.append("-- received")
    for request in happened.requests:
        body = request.body or {}
        what = f"{body.get('dedup_key')} {body.get('event_action')} {body.get('payload', {}).get('source', '')}"
        lines.append(f"{request.received_at:%H:%M:%S.%f} {what}: {request.status} {request.fault or ''}")
    return "\n".join(lines)


def _beset(actor: Actor) -> str:
    said = [f", killed by {actor.kill.by} {actor.kill.n}"] if actor.kill else []
    said += [f", disk {actor.disk} in its runs {actor.disk_jobs[0]} to {actor.disk_jobs[1] - 1}"] if actor.disk else []
    said += [f", clock off by {', '.join(f'{off:g}' for off in actor.clock)} s"] if actor.clock else []
    said += [", in threads"] if actor.threads else []
    said += [", key not to be had"] if actor.blind else []
    said += [] if actor.lingers else [", ends at once"]
    return "".join(said)
