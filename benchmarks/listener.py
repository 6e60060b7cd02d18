"""What the Spark listener costs: the same jobs with and without it, and beside sentry-sdk's. See benchmarks/README.md.

python benchmarks/listener.py --json benchmarks/results/listener.json
python benchmarks/listener.py --sentry FOLDER            with sentry-sdk as `pip install --target FOLDER sentry-sdk` puts it there
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # for a checkout that is not installed; an installed spark_pd comes first

QUEUE = "spark_pd_lifecycle"
SETTINGS = {"spark.pd.counting": "operator"}

# Java's own beans are in modules that py4j may not look into, so a class of ours asks them.
CLOCK = """
package spark_pd_benchmark;
import java.lang.management.*;
public class Clock {
  public static long process() {
    return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
  }
  public static long thread(String name) {
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    long[] ids = threads.getAllThreadIds();
    for (int i = 0; i < ids.length; i++) {
      ThreadInfo info = threads.getThreadInfo(ids[i]);
      if (info != null && info.getThreadName().equals(name)) return threads.getThreadCpuTime(ids[i]);
    }
    return 0L;
  }
}
"""


class Wrong(Exception):
    """The listener missed something."""


@dataclass(frozen=True)
class Lap:
    """What one job took. Seconds; `queue` is the CPU time of the listener's own thread, `events` what it was told."""

    wall: float
    cpu: float
    """Of the JVM, all its threads, and of this Python."""
    queue: float = 0.0
    events: int = 0


class Bench:
    """One session, and how to measure in it."""

    def __init__(self, folder: Path) -> None:
        from pyspark.sql import SparkSession

        settings = {
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.memory": "4g",
            "spark.local.dir": str(folder / "local"),
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
        }
        builder = SparkSession.builder.master("local[2]").appName("spark_pd benchmark")
        for name, value in settings.items():
            builder = builder.config(name, value)
        self.spark: Any = builder.getOrCreate()
        self.spark.sparkContext.setLogLevel("ERROR")
        self.jvm = self.spark.sparkContext._jvm
        compiler = self.jvm.org.codehaus.janino.SimpleCompiler()
        compiler.setParentClassLoader(self.jvm.java.lang.Thread.currentThread().getContextClassLoader())
        compiler.cook(CLOCK)
        clock = compiler.getClassLoader().loadClass("spark_pd_benchmark.Clock")
        self._clock = clock.getConstructors()[0].newInstance(self.spark.sparkContext._gateway.new_array(self.jvm.java.lang.Object, 0))

    def _metrics(self) -> Any:
        return self.spark.sparkContext._jsc.sc().listenerBus().metrics().metricRegistry()

    def events(self) -> int:
        """How many events the listener's queue has handed on."""
        return int(self._metrics().timer(f"queue.{QUEUE}.listenerProcessingTime").getCount())

    def dropped(self) -> int:
        """How many it refused."""
        return int(self._metrics().counter(f"queue.{QUEUE}.numDroppedEvents").getCount())

    def cpu(self) -> float:
        """Seconds of CPU that the JVM and this Python have used."""
        return float(self._clock.process()) / 1e9 + time.process_time()

    def queue(self) -> float:
        """Seconds of CPU that the listener's own thread has used."""
        return float(self._clock.thread(f"spark-listener-group-{QUEUE}")) / 1e9

    def lap(self, work: Callable[[], None]) -> Lap:
        """Do it once."""
        self.jvm.System.gc()
        queue, events, cpu, wall = self.queue(), self.events(), self.cpu(), time.perf_counter()
        work()
        wall = time.perf_counter() - wall
        return Lap(wall, self.cpu() - cpu, self.queue() - queue, self.events() - events)

    def job(self, name: str) -> None:
        """One of the jobs."""
        if name == "tiny":
            frame = self.spark.range(0, TASKS[name], 1, TASKS[name])
        else:
            frame = self.spark.range(0, 5_000_000, 1, TASKS[name]).selectExpr("id", "sha2(cast(id AS string), 256) AS h").where("h > '1'")
        frame.write.format("noop").mode("overwrite").save()


TASKS = {"tiny": 20_000, "ordinary": 200}


def with_and_without(bench: Bench, job: str, rounds: int) -> dict[str, list[Lap]]:
    """Laps of the job in a run's block with the listener and in one without it, in turn; the first of each is not counted."""
    import spark_pd

    def run(lifecycle: bool) -> Lap:
        monitor = spark_pd.install(bench.spark, SETTINGS, lifecycle=lifecycle)
        runs: list[Any] = []

        def work() -> None:
            with monitor.run("benchmark.numbers") as of:
                bench.job(job)
            runs.append(of)

        lap = bench.lap(work)
        told = runs[0].lifecycle
        if lifecycle and (told.incomplete is not None or told.activity.tasks != TASKS[job] or bench.dropped()):
            raise Wrong(f"{job}: {told.activity}, incomplete: {told.incomplete}, dropped: {bench.dropped()}")
        monitor.uninstall()
        return lap

    laps: dict[str, list[Lap]] = {"without": [], "with": []}
    for turn in range(rounds + 1):
        for name in ("without", "with") if turn % 2 else ("with", "without"):
            lap = run(name == "with")
            if turn:
                laps[name].append(lap)
    return laps


def installing(bench: Bench) -> dict[str, float]:
    """Milliseconds of install with the listener and without, the operator proven before: for the first time in this JVM, and again."""
    import spark_pd

    def install(lifecycle: bool) -> float:
        began = time.perf_counter()
        spark_pd.install(bench.spark, SETTINGS, lifecycle=lifecycle)
        return (time.perf_counter() - began) * 1000

    install(False)
    without = min(install(False) for _ in range(3))
    cpu = bench.cpu()
    first = install(True)
    cpu = (bench.cpu() - cpu) * 1000
    again = min(install(True) for _ in range(3))
    spark_pd.install(bench.spark, SETTINGS).uninstall()
    return {name: round(value, 1) for name, value in {"without": without, "first": first, "first_cpu": cpu, "again": again}.items()}


def stopping(folder: Path, rounds: int) -> dict[str, float]:
    """Milliseconds of spark.stop() with 2,000 tasks just done in a run, with the listener and without: medians."""
    import spark_pd

    took: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(2 * rounds):
        lifecycle = turn % 2 == 0
        bench = Bench(folder)
        monitor = spark_pd.install(bench.spark, {"spark.pd.counting": "two_pass"}, lifecycle=lifecycle)
        with monitor.run("benchmark.numbers"):
            bench.spark.range(0, 2000, 1, 2000).write.format("noop").mode("overwrite").save()
        began = time.perf_counter()
        bench.spark.stop()
        took[lifecycle].append((time.perf_counter() - began) * 1000)
        monitor.uninstall()
    return {"with": round(median(took[True]), 1), "without": round(median(took[False]), 1), "rounds": rounds}


def sentry(packages: Path, folder: Path, rounds: int) -> dict[str, list[Lap]]:
    """Laps of the jobs with sentry-sdk's Spark integration, in a session of its own in the same JVM. It sends nothing."""
    sys.path.append(str(packages))
    import sentry_sdk
    from sentry_sdk.integrations.spark import SparkIntegration

    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", integrations=[SparkIntegration()], auto_session_tracking=False, traces_sample_rate=0.0)
    bench = Bench(folder)
    laps: dict[str, list[Lap]] = {}
    for job in TASKS:
        bench.job(job)
        laps[job] = [bench.lap(lambda job=job: bench.job(job)) for _ in range(rounds)]  # type: ignore[misc]
    bench.spark.stop()
    sentry_sdk.flush(0)
    return laps


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": round(median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


def summary(laps: dict[str, list[Lap]]) -> dict[str, Any]:
    """Ratios of with to without, each of two laps of one round, and what an event cost."""
    pairs = list(zip(laps["with"], laps["without"], strict=True))
    events = sum(lap.events for lap in laps["with"])
    return {
        "seconds": {name: spread([lap.wall for lap in each]) for name, each in laps.items()},
        "cpu_seconds": {name: spread([lap.cpu for lap in each]) for name, each in laps.items()},
        "wall": spread([a.wall / b.wall for a, b in pairs]),
        "cpu": spread([a.cpu / b.cpu for a, b in pairs]),
        "events": events // len(pairs),
        "queue_ns_per_event": round(sum(lap.queue for lap in laps["with"]) * 1e9 / max(1, events)),
        "queue_cpu_share": round(sum(lap.queue for lap in laps["with"]) / sum(lap.cpu for lap in laps["with"]), 5),
    }


def machine(bench: Bench) -> dict[str, Any]:
    """What the figures depend on. No names of hosts or folders."""
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "java": str(bench.jvm.java.lang.System.getProperty("java.version")),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 1),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 where an event was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="measured rounds of each job (5)")
    parser.add_argument("--jobs", default=",".join(TASKS), metavar="NAMES", help="some of tiny,ordinary")
    parser.add_argument("--sentry", type=Path, metavar="FOLDER", help="where sentry-sdk is, to measure it beside ours")
    parser.add_argument("--json", type=Path, metavar="FILE", help="put the figures there, in place of this PySpark's last")
    args = parser.parse_args(argv)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench = Bench(folder)
        version = str(bench.spark.version)
        found: dict[str, Any] = {"pyspark": version, "rounds": args.rounds, "on": machine(bench), "install_ms": installing(bench)}
        print(version, found["install_ms"], file=sys.stderr, flush=True)
        bare: dict[str, float] = {}
        for job in args.jobs.split(","):
            try:
                laps = with_and_without(bench, job, args.rounds)
            except Wrong as wrong:
                print(wrong, file=sys.stderr)
                return 1
            found[job] = summary(laps)
            bare[job] = median(lap.cpu for lap in laps["without"])
            print(version, job, json.dumps(found[job]), flush=True)
        found["dropped"] = bench.dropped()
        bench.spark.stop()
        found["stop_ms"] = stopping(folder, args.rounds)
        print(version, "stop", found["stop_ms"], flush=True)
        if args.sentry is not None:
            for job, each in sentry(args.sentry, folder, max(1, args.rounds // 2)).items():
                if job in bare:
                    found[f"sentry_{job}_cpu"] = round(median(lap.cpu for lap in each) / bare[job], 3)
                    print(version, f"sentry {job}", found[f"sentry_{job}_cpu"], flush=True)
        found["on"]["load_after"] = round(os.getloadavg()[0], 1)
    if args.json is not None:
        old = json.loads(args.json.read_text()) if args.json.exists() else []
        rows = sorted([*(row for row in old if row["pyspark"] != version), found], key=lambda row: str(row["pyspark"]))
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
