"""Random runs through triggers, dispatch, outbox and a PagerDuty, with everything going wrong that can.

    python -m tests.faults --runs 1000 --seed 7
    python -m tests.faults --seed 7 --only 31 --times 20

It ends with a table of figures, and with 1 where a promise of docs/delivery.md was broken. Each failure tells how to repeat it. A scenario
follows from its seed; which thread or process is faster does not, so a race may take some `--times`.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.faults.harness import Failure, run, scenarios
from tests.faults.scenario import Scenario, scenario
from tests.faults.telling import accounts, told


def main() -> int:
    """The command."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000, help="how many runs, in all scenarios together (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="what all that is random follows from (default: %(default)s)")
    parser.add_argument("--only", type=int, help="only the scenario of that number")
    parser.add_argument("--times", type=int, default=1, help="play --only so many times (default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=6, help="scenarios side by side (default: %(default)s)")
    parser.add_argument("--most-failures", type=int, default=5, help="stop after so many (default: %(default)s)")
    parser.add_argument("--evidence", type=Path, help="a file for what every process of a failed scenario told and logged")
    given = parser.parse_args()
    chosen: Iterator[Scenario] = scenarios(given.seed, given.runs)
    if given.only is not None:
        chosen = itertools.repeat(scenario(given.seed, given.only), given.times)

    def show(failure: Failure) -> None:
        print(f"{told(failure.scenario, failure.violations)}\n", flush=True)
        if given.evidence is not None:
            given.evidence.write_text(accounts(failure.happened), encoding="utf-8")

    result = run(chosen, at_once=given.at_once, seen=show, most_failures=given.most_failures)
    print(f"\nseed {given.seed}\n{result.figures.table(result.seconds)}")
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
