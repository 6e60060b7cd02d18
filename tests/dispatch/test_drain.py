"""Failing runs against a sandbox that enforces PagerDuty's rate, by a clock that is told to go on: all is told, and stays bounded.

There are 300 of them in `make test`, 2,000 in `make test-all`, and 10,000 by `make drain`. The same by the real clock, for 500 runs, is
benchmarks/drain.py.
"""

from __future__ import annotations

import logging
import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from spark_pd.delivery.outbox import Outbox
from spark_pd.sandbox import Sandbox
from tests.dispatch.test_limits import Clock, World, opened, storms, throttled, warn
from tests.outbox.conftest import files_in, make_alert

BATCH = 250
RUNS = [300, *(pytest.param(int(runs), marks=pytest.mark.exhaustive) for runs in [os.environ.get("SPARK_PD_DRAIN_RUNS", "2000")])]


@pytest.fixture
def box() -> Iterator[Outbox]:
    """An outbox in memory where there is such a disk: some 30,000 files are flushed, and here it is not the disk that is tested."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Outbox(Path(folder) / "outbox")


def members(box: Outbox) -> int:
    return sum("/members/" in name for name in files_in(box.folder))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("runs", RUNS)
def test_failing_runs_drain_completely_and_within_bounds(box: Outbox, runs: int) -> None:
    logging.disable(logging.INFO)
    clock = Clock()
    try:
        with Sandbox(rate_limit=120, clock=clock) as sandbox:
            world = World(sandbox, box, clock, storm=60)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            started, most_files = clock.now, 0
            for first in range(0, runs, BATCH):
                # Every tenth is a critical failure, which is its own incident; half of the others come twice.
                failed = [make_alert(f"f/{n}") if n % 10 == 0 else warn(n) for n in range(first, min(first + BATCH, runs))]
                world.keep(*failed, *failed[: len(failed) // 2])
                most_files = max(most_files, len(files_in(world.box.folder)))
                world.drain(20)
                clock.sleep(1)
            world.drain()
            world.tell_in_time()
            minutes = (clock.now - started) / 60
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

            assert world.box.names() == ()
            assert world.box.dead() == []
            assert throttled(sandbox) == 0
            alone = opened(sandbox)
            assert {f"f/{n}" for n in range(0, runs, 10)} <= alone
            rolled_up = [n for n in range(runs) if n % 10 and f"k/{n}" not in alone]
            assert members(world.box) == len(rolled_up) > min(runs * 0.85, runs * 0.9 - 100)
            assert len(storms(sandbox)) == 1
            assert storms(sandbox)[0][1].startswith(f"[test] storm of {len(rolled_up):,} alerts on {len(rolled_up):,} tables")
            # Nothing was opened twice, and the requests are those of what is open, what came twice, and one update a minute.
            assert len(sandbox.incidents()) == len(alone) + 1
            updates = sum(event["dedup_key"].endswith("/storm") for event in sandbox.events)
            assert updates <= minutes + 2
            assert len(sandbox.requests) <= len(alone) + 60 + updates
            assert minutes <= runs / BATCH * 21 / 60 + len(alone) / 100 + 3
            assert most_files <= runs + 3 * BATCH
            assert grown < 400  # MB, the sandbox's own log of all requests in it
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.slow
@pytest.mark.parametrize("runs", RUNS)
def test_after_the_storm_all_is_closed(box: Outbox, runs: int) -> None:
    logging.disable(logging.INFO)
    clock = Clock()
    runs = max(runs // 10, 100)
    try:
        with Sandbox(rate_limit=120, clock=clock) as sandbox:
            world = World(sandbox, box, clock, storm=60)
            world.send(*(warn(n) for n in range(runs)))
            world.send(*(warn(n, "resolved") for n in range(runs)))
            world.tell_in_time()
            assert sandbox.open_incidents() == []
            assert len(sandbox.incidents()) == 61
            assert throttled(sandbox) == 0
            assert members(world.box) == 0
            assert world.box.names() == ()
            assert len(files_in(world.box.folder)) <= 10
    finally:
        logging.disable(logging.NOTSET)
