"""The fault harness with real Spark writes: the same histories, faults and judge, in one session and by `monitor.run`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import spark_pd
from spark_pd.delivery.outbox import Outbox, replay
from spark_pd.runs.channels import channel_of
from spark_pd.runs.run import Run
from spark_pd.sandbox import Sandbox
from tests.faults.actor import PRODUCT, THRESHOLD, Site
from tests.faults.contract import VERDICTS
from tests.faults.one_run import perform
from tests.faults.oracle import judge
from tests.faults.play import Happened, Told, weather
from tests.faults.scenario import Actor, Job, Phase, Scenario, scenario
from tests.faults.telling import accounts, told

pytestmark = [pytest.mark.spark, pytest.mark.slow]

SEED = 30
LEAST_RUNS = 36
RULES = [
    {"rule": "tens", "expectation": "id % 10 <> 0", "action_if_failed": "drop"},
    {"rule": "below_90", "expectation": "id < 90"},
    {"rule": "never_7", "expectation": "id <> 7", "action_if_failed": "fail"},
]
ROWS = {"good": (1, 7), "drops": (10, 12), "errored late": (10, 12), "ignores": (91, 99), "drops and ignores": (100, 103), "empty": (0, 0)}
"""From which id to before which: what has the verdict by the rules above."""


def gentle(made: Scenario) -> Scenario:
    """The scenario as far as one process can play it: nobody is killed, and its disk and its clock are well."""

    def calm(actor: Actor) -> Actor:
        return replace(actor, kill=None, disk=None, clock=(), threads=False, blind=False, lingers=True)

    def gentle_phase(phase: Phase) -> Phase:
        return replace(phase, actors=tuple(map(calm, phase.actors)), corruptions=(), calm_after=None)

    return replace(made, phases=tuple(map(gentle_phase, made.phases)), tls=False, by_reference=False, kind="steady")


def worker(spark: Any, folder: Path, written: list[int]) -> Callable[[Run, str], None]:
    """What a block does: it checks real rows and writes those that stay."""

    def work(run: Run, verdict: str) -> None:
        kind = VERDICTS[verdict]
        if not kind.checked:
            return
        first, end = ROWS.get(verdict, (1, 7)) if verdict != "stopped" else (5, 9)
        checked = run.check(spark.range(first, end))
        if kind.written and verdict != "unknown":
            run.write(checked, folder / "table", mode="overwrite", format="parquet")
            assert spark.read.parquet(str(folder / "table")).count() == sum(n % 10 != 0 for n in range(first, end))
            written.append(end - first)

    return work


def play_here(made: Scenario, spark: Any, sandbox: Sandbox, folder: Path, written: list[int]) -> Happened:
    """Play a scenario in this process, each run with a monitor of its own."""
    happened = Happened()
    box = folder / "outbox"
    site = Site(
        folder=folder, url=sandbox.url, key=sandbox.key, ca_file=None, environment=made.environment, on=made.promises.on,
        by_reference=False, weak=False, seed=made.seed,
    )  # fmt: skip
    switches = {f"spark.pd.on.{trigger}": trigger in site.on for trigger in ("start", "completion", "failure", "ignored_rules")}
    config = {
        **sandbox.config,
        **switches,
        "spark.pd.on.error_drop_threshold": "error_drop_threshold" in site.on,
        "spark.pd.limit.error_drop_threshold": THRESHOLD,
        "spark.pd.outbox.path": str(box),
        **({"spark.pd.environment": made.environment} if made.environment else {}),
    }
    work = worker(spark, folder, written)
    for phase in made.phases:
        with weather(phase, site, sandbox, happened):
            crew = []
            for actor in phase.actors:
                account = Told(actor, code=0)
                for job in actor.jobs:
                    monitor = spark_pd.install(spark, {**config, "spark.pd.deadline": job.deadline, "spark.pd.strict": job.strict})
                    one_run(monitor, job, work, account)
                account.lines.append({"left": True})
                crew.append(account)
            happened.phases.append(crew)
    outbox, channel = Outbox(box), channel_of(monitor.settings)
    list(replay(outbox, lambda entry: channel, until=time.monotonic() + 20, patience=2.0))
    happened.events, happened.requests = sandbox.events, sandbox.requests
    happened.dead, happened.left = outbox.dead(), list(outbox.names())
    happened.leaks = [str(path) for path in folder.rglob("*") if path.is_file() and sandbox.key.encode() in path.read_bytes()]
    monitor.uninstall()
    return happened


def one_run(monitor: spark_pd.Monitor, job: Job, work: Callable[[Run, str], None], account: Told) -> None:
    """One run, told as a process of the harness tells it."""
    monitor._context = replace(monitor._context, application=f"run-{job.number}")
    submit = monitor._notifier._dispatcher.submit

    def telling(alerts: Any, *, seconds: float) -> Any:
        handed = tuple(alerts)
        submission = submit(handed, seconds=seconds)
        account.lines.append({"handed": [[alert.trigger, alert.state] for alert in handed], "run": handed[0].source})
        return submission

    monitor._notifier._dispatcher.submit = telling  # type: ignore[method-assign]
    perform(job, monitor.run(job.table, rules=RULES, product_id=PRODUCT), work, lambda **line: account.lines.append(line))
    monitor._notifier._dispatcher.flush(1.0)


def test_with_real_writes_nothing_is_lost_doubled_leaked_or_harmed(spark: Any, tmp_path: Path, caplog: Any, capsys: Any) -> None:
    caplog.set_level(logging.DEBUG, logger="spark_pd")
    number = runs = requests = 0
    written: list[int] = []
    while runs < LEAST_RUNS or len(written) < 30:
        made = gentle(scenario(SEED, number))
        number += 1
        if len(made.jobs) > 30:
            continue  # a crowd needs processes
        folder = tmp_path / str(number)
        folder.mkdir()
        with Sandbox() as sandbox:
            happened = play_here(made, spark, sandbox, folder, written)
            if sandbox.key in caplog.text + capsys.readouterr().out:
                happened.leaks.append("the key is in a log")
        violations = judge(made, happened)
        assert not violations, f"{told(made, violations)}\n{accounts(happened)}"
        runs, requests = runs + len(made.jobs), requests + len(happened.requests)
    assert requests > runs
