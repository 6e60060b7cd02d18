"""Plays so many runs of random scenarios, several at a time, and judges each."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.figures import Figures
from tests.faults.oracle import Violation, judge
from tests.faults.play import Happened, play
from tests.faults.scenario import Scenario, scenario


@dataclass(frozen=True, slots=True)
class Failure:
    """A scenario that broke a promise, and how."""

    scenario: Scenario
    violations: list[Violation]
    happened: Happened


@dataclass(slots=True)
class Result:
    """What came out of a harness."""

    figures: Figures = field(default_factory=Figures)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0


def scenarios(seed: int, runs: int) -> Iterator[Scenario]:
    """Scenarios that have so many runs together, or some more. They are always the same for a seed."""
    number = 0
    while runs > 0:
        made = scenario(seed, number)
        runs -= len(made.jobs)
        number += 1
        yield made


def run(
    chosen: Iterator[Scenario],
    *,
    at_once: int,
    sabotage: str | None = None,
    seen: Callable[[Failure], None] = lambda failure: None,
    most_failures: int = 5,
) -> Result:
    """Play and judge them all, so many at once; `seen` learns of a failure at once. It stops after so many failures."""
    began = time.monotonic()
    result = Result()
    lock = threading.Lock()
    with tempfile.TemporaryDirectory(prefix="spark_pd-faults-") as folder, ThreadPoolExecutor(at_once) as pool:

        def one(made: Scenario) -> None:
            if len(result.failures) >= most_failures:
                return
            happened = play(made, Path(tempfile.mkdtemp(dir=folder)), sabotage=sabotage)
            violations = judge(made, happened)
            with lock:
                result.figures.add(made, happened, violations)
                if violations:
                    result.failures.append(Failure(made, violations, happened))
                    seen(result.failures[-1])

        for done in [pool.submit(one, made) for made in chosen]:
            done.result()
    result.seconds = time.monotonic() - began
    return result
