"""The clock for open runs: one thread for all, each told once, and never once its run has ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from spark_pd.runs import overrun_clock as overrun
from spark_pd.runs.overrun_clock import Overrun

LONG = 3_600.0
THREAD = "spark_pd-overruns"


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.005)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


@pytest.fixture(autouse=True)
def _patient_and_nothing_is_left(monkeypatch):
    monkeypatch.setattr(overrun, "PATIENCE", 60.0)  # a busy machine may halt a thread anywhere
    yield
    until(lambda: not threads())


def test_a_run_that_takes_too_long_is_told_once_while_it_runs():
    told = []
    one = Overrun(0.01, lambda goes_on: (told.append(goes_on()), "said")[1])
    one.begin(0.0)
    until(lambda: told)
    assert one.end() == "said"
    assert told == [True]


def test_a_run_that_ends_in_time_is_told_nothing_and_leaves_no_thread():
    told: list[object] = []
    one = Overrun(LONG, lambda goes_on: told.append(1) or "said")
    one.begin(0.0)
    until(threads)
    assert one.end() is None
    until(lambda: not threads())
    assert told == []


def test_without_a_limit_there_is_no_clock():
    one = Overrun(None, lambda goes_on: "said")
    one.begin(LONG)
    assert threads() == []
    assert one.end() is None


def test_a_run_that_never_began_is_nothing_to_the_clock():
    one = Overrun(0.0, lambda goes_on: "said")
    assert one.end() is None
    one.begin(0.0)  # too late
    assert threads() == []


def test_the_interpreter_does_not_wait_for_a_run_that_is_open():
    job = "from spark_pd.runs.overrun_clock import Overrun\nOverrun(3600.0, lambda goes_on: 'said').begin(0.0)\nprint('left')"
    done = subprocess.run([sys.executable, "-c", job], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "left\n"


def test_what_was_taken_before_counts():
    done = threading.Event()
    one = Overrun(LONG, lambda goes_on: done.set() or "said")
    one.begin(LONG + 1)
    assert done.wait(60)
    assert one.end() == "said"


def test_many_runs_have_one_thread_and_each_is_told_in_its_time():
    told: list[int] = []
    early = [Overrun(0.01 * n, lambda goes_on, n=n: told.append(n) or "said") for n in range(1, 6)]
    late = [Overrun(LONG, lambda goes_on: told.append(0) or "said") for _ in range(50)]
    for one in (*late, *early):
        one.begin(0.0)
    assert len(threads()) == 1
    until(lambda: len(told) == 5)
    assert sorted(told) == [1, 2, 3, 4, 5]
    assert [one.end() for one in early] == ["said"] * 5
    assert [one.end() for one in late] == [None] * 50
    assert sorted(told) == [1, 2, 3, 4, 5]


def test_a_run_whose_end_comes_first_is_never_told_and_one_that_is_being_told_is_waited_for():
    for _ in range(40):
        ended, wrong, said = threading.Event(), [], []

        def tell(goes_on, ended=ended, wrong=wrong, said=said):
            if goes_on():
                said.append(1)
                wrong.append(ended.is_set())
            return "said"

        one = Overrun(0.0, tell)
        one.begin(0.0)
        found = one.end()
        ended.set()
        assert (found == "said") is bool(said)
        until(lambda: not threads())
        assert not any(wrong)


def test_a_telling_that_is_stuck_holds_nobody_up_and_tells_nothing_afterwards(monkeypatch):
    monkeypatch.setattr(overrun, "PATIENCE", 0.05)
    entered, go, told = threading.Event(), threading.Event(), []

    def tell(goes_on):
        entered.set()
        assert go.wait(60)
        if not goes_on():
            return None
        told.append(1)
        return "said"

    one = Overrun(0.0, tell)
    one.begin(0.0)
    assert entered.wait(60)
    assert one.end() is None
    go.set()
    until(lambda: not threads())
    assert told == []


def test_a_telling_that_fails_stops_no_other(caplog):
    done = threading.Event()

    def fails(goes_on):
        raise RuntimeError("no")

    one, other = Overrun(0.0, fails), Overrun(0.02, lambda goes_on: done.set() or "said")
    one.begin(0.0)
    other.begin(0.0)
    assert done.wait(60)
    assert other.end() == "said"
    assert one.end() is None
    assert [r.getMessage() for r in caplog.records if r.name == "spark_pd.lifecycle"] == [
        "a run takes longer than 0 s, and that could not be reported: RuntimeError"
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_none_of_its_parents_runs_and_a_clock_of_its_own():
    told: list[object] = []
    one = Overrun(LONG, lambda goes_on: told.append(1) or "said")
    one.begin(0.0)
    until(threads)
    child = os.fork()
    if child == 0:
        rung = threading.Event()
        mine = Overrun(0.0, lambda goes_on: rung.set() or "said")
        mine.begin(0.0)
        os._exit(0 if rung.wait(60) and mine.end() == "said" and not told else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert one.end() is None
