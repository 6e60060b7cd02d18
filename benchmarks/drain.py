"""Many failing runs against a sandbox that enforces PagerDuty's rate: how long until all is told, and what it takes.

    python benchmarks/drain.py [--runs 500] [--processes 10] [--rate-limit 120] [--json benchmarks/results/drain.json]

Each process makes its part of the runs, one after the other: each hands one alert over and waits for it, as a run's end does. All share one
outbox. Every fifth alert is a critical failure, which is an incident of its own always. What they leave waiting is then replayed, and once
all is told every table is found good again. It ends with exit code 1 where anything was lost, doubled or answered 429.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from spark_pd.delivery.dispatch import Dispatcher, Limits, Pace
from spark_pd.delivery.outbox import Outbox, replay
from spark_pd.model import Alert, AlertState, Secret
from spark_pd.pagerduty import PagerDutyChannel, endpoint
from spark_pd.sandbox import Sandbox

LIMITS = Limits(rate=75, storm=60, environment="benchmark")
DEADLINE = 5.0  # seconds


def alert(n: int, state: AlertState = "firing") -> Alert:
    """The alert of the n-th table."""
    critical = n % 5 == 0
    return Alert(
        trigger="failure" if critical else "error_drop_threshold",
        state=state,
        severity="critical" if critical else "error",
        summary=f"sales.table_{n} is bad",
        details={"run_id": os.urandom(8).hex(), "input_count": 1_000_000, "dropped_count": 250_000},
        dedup_key=f"spark_pd/benchmark/-/sales.table_{n}/{'failure' if critical else 'error_drop_threshold'}",
        source="benchmark",
        component=f"sales.table_{n}",
        at=datetime.now(timezone.utc),
    )


def channel_to(url: str, key: str) -> PagerDutyChannel:
    """A channel to the sandbox."""
    return PagerDutyChannel("pagerduty", endpoint=endpoint("us", url), key=lambda: Secret(key), retry_throttled=False)


def job(folder: str, url: str, key: str, first: int, runs: int) -> None:
    """One process: its runs, one after the other. Prints what its run's ends took, and its largest memory."""
    dispatcher = Dispatcher([channel_to(url, key)], outbox=Outbox(Path(folder)), limits=LIMITS)
    waited = []
    for n in range(first, first + runs):
        started = time.monotonic()
        dispatcher.submit([alert(n)], seconds=DEADLINE).wait()
        waited.append(time.monotonic() - started)
    print(json.dumps({"waited": waited, "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


class Files(threading.Thread):
    """Counts the files of the outbox while it is used."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder, self.most = folder, 0

    def run(self) -> None:
        while True:
            self.most = max(self.most, sum(len(files) for _, _, files in os.walk(self.folder)))
            time.sleep(0.2)


def drain(box: Outbox, sandbox: Sandbox) -> None:
    """Send all that waits, and tell all of the storm."""
    pace = Pace(LIMITS, box)
    channel = pace.channel(channel_to(sandbox.url, sandbox.key))

    def pause(seconds: float) -> bool:
        time.sleep(seconds)
        return True

    while box.names():
        list(replay(box, lambda entry: channel, until=time.monotonic() + 3600, pause=pause, patience=2.0))
    while (due := channel.due_in()) is not None:
        time.sleep(due)
        pace.report_storms(until=time.monotonic() + 60, pause=pause)


def requests_of(sandbox: Sandbox) -> dict[str, int]:
    """How many requests there were, by what they were for."""
    rolled_up = [event for event in sandbox.events if event["dedup_key"].endswith("/storm")]
    return {
        "requests": len(sandbox.requests),
        "roll_ups": len(rolled_up),
        "answered_429": sum(request.status == 429 for request in sandbox.requests),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--rate-limit", type=int, default=120)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--job", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        folder, url, key, first, runs = arguments.job
        job(folder, url, key, int(first), int(runs))
        return
    share = arguments.runs // arguments.processes
    with tempfile.TemporaryDirectory() as folder, Sandbox(rate_limit=arguments.rate_limit) as sandbox:
        box = Outbox(Path(folder) / "outbox")
        files = Files(box.folder)
        files.start()
        started = time.monotonic()
        jobs = [
            subprocess.Popen(
                [sys.executable, __file__, "--job", str(box.folder), sandbox.url, sandbox.key, str(n * share), str(share)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for n in range(arguments.processes)
        ]
        said = [json.loads(process.communicate()[0]) for process in jobs]
        runs_took = time.monotonic() - started
        left = len(box.names())
        drain(box, sandbox)
        told = time.monotonic() - started
        opened = {incident.dedup_key for incident in sandbox.open_incidents()}
        firing = requests_of(sandbox)
        members = sum(len(names) for where, _, names in os.walk(box.folder) if where.endswith("members"))
        storms = sum(key.endswith("/storm") for key in opened)
        runs = share * arguments.processes
        # Each is told: as an incident of its own, or as a member of the one storm.
        lost = runs - (len(opened) - storms) - members
        doubled = len(sandbox.incidents()) - len(opened)
        for n in range(runs):
            box.keep([(alert(n, "resolved"), channel_to(sandbox.url, sandbox.key).address())])
        drain(box, sandbox)
        good = time.monotonic() - started - told
        waited = sorted(each for one in said for each in one["waited"])
        figures: dict[str, Any] = {
            "runs": runs,
            "processes": arguments.processes,
            "seconds_until_all_runs_ended": round(runs_took, 1),
            "left_waiting_then": left,
            "seconds_until_all_was_told": round(told, 1),
            "own_incidents": len(opened) - storms,
            "storm_members": members,
            "firing": firing,
            "run_waited_median_s": round(waited[len(waited) // 2], 2),
            "run_waited_most_s": round(waited[-1], 2),
            "memory_mb_most": round(max(one["memory_mb"] for one in said)),
            "files_most": files.most,
            "seconds_until_all_was_good": round(good, 1),
            "all": requests_of(sandbox),
            "lost": lost,
            "doubled": doubled,
            "left_open": len(sandbox.open_incidents()),
        }
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    sys.exit(1 if lost or doubled or figures["left_open"] or figures["all"]["answered_429"] else 0)


if __name__ == "__main__":
    main()
