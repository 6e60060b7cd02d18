"""The fault harness in CI's size, and whether it finds what it is to find."""

from __future__ import annotations

import os
import sys

import pytest

from tests.faults.harness import run, scenarios
from tests.faults.telling import told

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="audit events, /proc and forkserver as on Linux"), pytest.mark.slow]

SEED = 4


@pytest.mark.timeout(600)
@pytest.mark.parametrize("runs", [300, pytest.param(970, marks=pytest.mark.exhaustive)])  # 30 more are in test_faults_spark.py
def test_nothing_is_lost_doubled_leaked_or_harmed(runs: int) -> None:
    """The fewer are the beginning of the many."""
    result = run(scenarios(SEED, runs), at_once=2 * (os.cpu_count() or 2))
    print(f"\nseed {SEED}\n{result.figures.table(result.seconds)}")
    assert not result.failures, "\n\n".join(told(failure.scenario, failure.violations) for failure in result.failures)
    assert result.figures.counts["runs"] >= runs
    assert result.figures.counts["most processes at once"] == 20
    assert result.figures.counts["kills"] > {300: 12, 970: 80}[runs]


@pytest.mark.parametrize(
    ("sabotage", "kinds"),
    [
        ("forget_before_202", {"lost"}),
        ("keep_what_is_old", {"order", "doubled", "lost"}),
        ("never_forget", {"left", "doubled"}),
        ("never_retry", {"dead"}),
        ("log_the_key", {"leak"}),
        ("wrap_the_exception", {"outcome"}),
        ("trust_half_files", {"order", "lost", "doubled"}),
    ],
)
def test_a_product_that_is_broken_is_found_out(sabotage: str, kinds: set[str]) -> None:
    every = scenarios(SEED, 3000)
    short = (scenario for scenario in every if scenario.kind == "sweep")
    result = run(every if sabotage == "forget_before_202" else short, at_once=2, sabotage=sabotage, most_failures=1)
    found = {violation.kind for failure in result.failures for violation in failure.violations}
    assert found & kinds, (sabotage, found)


def test_a_scenario_follows_from_its_seed() -> None:
    one, again, other = ([*scenarios(seed, 300)] for seed in (7, 7, 8))
    assert one == again
    assert one != other
    assert sum(len(scenario.jobs) for scenario in one) >= 300
