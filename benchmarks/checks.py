"""What the counting of row rules costs, against doing without and against doing it by hand. See benchmarks/README.md.

python benchmarks/checks.py                             all cells; about an hour on two cores
python benchmarks/checks.py --rows-factor 0.1 --rounds 3 --tables flights --rules 10
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # for a checkout that is not installed; an installed spark_pd comes first

import pyarrow.dataset  # noqa: E402
from contenders import CONTENDERS, Job  # noqa: E402
from tables import TABLES, true_values, truth  # noqa: E402

ALWAYS = ("bare", "filter_all")  # what the others are compared with


class WrongCounts(Exception):
    """A contender counted or wrote something else than the truth."""


@dataclass(frozen=True)
class Lap:
    """What one run of one contender took, in seconds. `cpu` is the JVM's, of all its threads; None where it cannot be read."""

    wall: float
    cpu: float | None


class Clock:
    """Times a call, with the JVM's garbage collected and the disk's writes settled before it."""

    def __init__(self, spark: Any) -> None:
        self._jvm = spark.sparkContext._jvm
        self.counts: Any = None
        self._stat = Path(f"/proc/{self._jvm.java.lang.ProcessHandle.current().pid()}/stat")

    def _cpu(self) -> float | None:
        try:
            fields = self._stat.read_text().rpartition(")")[2].split()
        except OSError:  # no Linux
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def time(self, contender: str, job: Job) -> Lap:
        """Run it once, and keep what it counted in `counts`."""
        job.clear()
        os.sync()
        self._jvm.System.gc()
        cpu, wall = self._cpu(), time.perf_counter()
        self.counts = CONTENDERS[contender](job)
        wall = time.perf_counter() - wall
        after = self._cpu()
        return Lap(wall, None if cpu is None or after is None else after - cpu)


@contextmanager
def session(folder: Path, cores: int, *, delta: bool = False) -> Iterator[Any]:
    """A quiet local session, with each file of a table its own partition; with Delta where that is written."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "6g",
        "spark.local.dir": str(folder / "local"),
        "spark.sql.files.maxPartitionBytes": str(512 << 20),
        "spark.sql.files.openCostInBytes": str(512 << 20),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master(f"local[{cores}]").appName("spark_pd benchmark")
    for name, value in settings.items():
        builder = builder.config(name, value)
    if delta:
        from delta import configure_spark_with_delta_pip

        builder = builder.config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        builder = builder.config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        builder = configure_spark_with_delta_pip(builder)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    try:
        yield spark
    finally:
        spark.stop()


def verify(contender: str, job: Job, counts: Any, true: Any) -> None:
    """Raise WrongCounts unless the counts, where there are any, and the rows written are right."""
    rows, _, dropped, _ = true
    if counts is not None and counts != true:
        raise WrongCounts(f"{contender} counted {counts}; DuckDB counts {true}")
    if job.out is not None:
        delta = job.sink == "delta"
        written = (
            job.spark.read.format("delta").load(str(job.out)).count()
            if delta
            else pyarrow.dataset.dataset(job.out, format="parquet").count_rows()
        )
        if written != rows - (0 if contender == "bare" else dropped):
            raise WrongCounts(f"{contender} wrote {written} of {rows} rows; DuckDB drops {dropped}")


def measure(clock: Clock, job: Job, names: Sequence[str], rounds: int, true: Any) -> dict[str, list[Lap]]:
    """The laps of each contender: one to warm up, of which counts and rows are verified, then one in each round, in rotating order."""
    for name in names:
        clock.time(name, job)
        verify(name, job, clock.counts, true)
    laps: dict[str, list[Lap]] = {name: [] for name in names}
    for turn in range(rounds):
        start = turn % len(names)
        for name in (*names[start:], *names[:start]):
            laps[name].append(clock.time(name, job))
            verify(name, job, clock.counts, true)
    job.clear()
    return laps


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most, rounded as far as they mean something."""
    return {"median": round(median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


def summary(laps: dict[str, list[Lap]]) -> dict[str, dict[str, Any]]:
    """For each contender its seconds, and its ratios to `bare` and to `filter_all`, each paired within its round."""
    found = {}
    for name, own in laps.items():
        of: dict[str, Any] = {"seconds": spread([lap.wall for lap in own])}
        for other in ALWAYS:
            pairs = list(zip(own, laps[other], strict=True))
            of[f"wall_to_{other}"] = spread([a.wall / b.wall for a, b in pairs])
            if all(a.cpu is not None and b.cpu for a, b in pairs):
                of[f"cpu_to_{other}"] = spread([(a.cpu or 0.0) / (b.cpu or 1.0) for a, b in pairs])
        found[name] = of
    return found


def row(cell: dict[str, Any], name: str) -> str:
    """One line of the Markdown table."""
    of = cell["contenders"][name]

    def shown(key: str) -> str:
        s = of.get(key)
        return f"{s['median']:.2f} ({s['min']:.2f} to {s['max']:.2f})" if s else ""

    keys = ("wall_to_bare", "cpu_to_bare", "wall_to_filter_all", "cpu_to_filter_all")
    return (
        " | ".join([f"| {cell['table']}", str(cell["rules"]), name, f"{of['seconds']['median']:.2f}", *(shown(key) for key in keys)]) + " |"
    )


HEADER = (
    "| table | rules | contender | seconds | wall / bare | CPU / bare | wall / filter_all | CPU / filter_all |\n"
    "| --- | ---: | --- | ---: | --- | --- | --- | --- |"
)


def compact(cells: Sequence[dict[str, Any]]) -> str:
    """One line for each cell: median ratios of wall and CPU time, for the README."""
    names = [name for name in CONTENDERS if name != "bare" and any(name in cell["contenders"] for cell in cells)]
    goal = "operator" in names
    lines = [
        f"| table | rules | rows | {' | '.join(names)} |" + (" operator / filter_all |" if goal else ""),
        "| --- | ---: | ---: |" + " ---: |" * (len(names) + goal),
    ]
    for cell in cells:
        found = cell["contenders"]

        def of(name: str, other: str, found: dict[str, Any] = found) -> str:
            both = [found.get(name, {}).get(f"{kind}_to_{other}") for kind in ("wall", "cpu")]
            return " / ".join(f"{ratio['median']:.2f}" for ratio in both if ratio)

        ratios = [of(name, "bare") for name in names] + ([of("operator", "filter_all")] if goal else [])
        lines.append(f"| {cell['table']} | {cell['rules']} | {cell['rows']:,} | {' | '.join(ratios)} |")
    return "\n".join(lines)


def record(file: Path, cell: dict[str, Any]) -> list[dict[str, Any]]:
    """Put a cell into the file in place of its last figures; the other cells stay. Returns all of them, in order."""
    cells: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []

    def named(each: dict[str, Any]) -> tuple[Any, ...]:
        """What a cell is of. Those that were taken before there was another were Parquet of a table as it is."""
        return each["table"], each["rules"], each.get("source", "parquet"), each["on"]["sink"], each.get("join", False)

    cells = [old for old in cells if named(old) != named(cell)]
    cells = sorted([*cells, cell], key=named)
    file.write_text(json.dumps(cells, indent=1) + "\n")
    return cells


def machine(spark: Any, cores: int) -> dict[str, Any]:
    """What the figures depend on. No names of hosts or folders."""
    properties = spark.sparkContext._jvm.java.lang.System
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return {
        "cores": os.cpu_count(),
        "used_cores": cores,
        "memory_gib": round(memory),
        "driver_memory": "6g",
        "system": f"{platform.system()} {platform.machine()}",
        "java": str(properties.getProperty("java.version")),
        "python": platform.python_version(),
        "pyspark": str(spark.version),
    }


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""

    def names(known: Sequence[str]) -> Any:
        def parse(text: str) -> list[str]:
            chosen = [part.strip() for part in text.split(",")]
            unknown = [name for name in chosen if name not in known]
            if unknown:
                raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: expected some of {', '.join(known)}")
            return chosen

        return parse

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", type=names(list(TABLES)), default=list(TABLES), metavar="NAMES", help=f"some of {','.join(TABLES)}")
    parser.add_argument("--rules", type=lambda text: [int(n) for n in text.split(",")], default=[1, 10, 30, 100], metavar="NUMBERS")
    parser.add_argument(
        "--only", type=names(list(CONTENDERS)), default=list(CONTENDERS), metavar="NAMES", help=f"some of {','.join(CONTENDERS)}"
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="measured rounds of each cell (5)")
    parser.add_argument("--rows-factor", type=float, default=1.0, metavar="X", help="1: about 5M rows; 0.1 for a quick look")
    parser.add_argument("--sink", choices=("parquet", "delta", "noop"), default="parquet", help="where the rows go (parquet)")
    parser.add_argument("--source", choices=("parquet", "json"), default="parquet", help="what is read (parquet)")
    parser.add_argument("--join", action="store_true", help="with a join upstream")
    parser.add_argument(
        "--data", type=Path, default=ROOT / ".benchmarks", metavar="FOLDER", help="for the tables and what is written (.benchmarks)"
    )
    parser.add_argument("--cores", type=int, default=2, metavar="N", help="of local[N] (2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="put the cells' figures there, in place of their last")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 where a count was wrong."""
    args = arguments(argv)
    names = [name for name in CONTENDERS if name in args.only or name in ALWAYS]
    cells: list[dict[str, Any]] = []
    with session(args.data, args.cores, delta=args.sink == "delta") as spark:
        clock = Clock(spark)
        facts = {**machine(spark, args.cores), "rounds": args.rounds, "rows_factor": args.rows_factor, "sink": args.sink}
        print(", ".join(f"{name} {value}" for name, value in facts.items()), file=sys.stderr)
        print(HEADER, flush=True)
        for table in (TABLES[name] for name in args.tables):
            parquet = table.parquet(args.data, args.rows_factor)
            for count in args.rules:
                job = Job(
                    spark,
                    parquet,
                    table.rules(count),
                    None if args.sink == "noop" else args.data / "out",
                    sink="delta" if args.sink == "delta" else "parquet",
                    source=args.source,
                    join=args.join,
                    values=table.values,
                    true_values=true_values(parquet, table.values),
                )
                job.prepare()
                true = truth(parquet, job.rules)
                load = os.getloadavg()[0]
                try:
                    laps = measure(clock, job, names, args.rounds, true)
                except WrongCounts as wrong:
                    print(f"{table.name}, {count} rules: {wrong}", file=sys.stderr)
                    return 1
                rows, failed, dropped, _ = true
                cell = {"table": table.name, "rules": count, "rows": rows, "failed": failed, "dropped": dropped}
                cell |= {"source": args.source, "join": args.join}
                cell |= {
                    "on": {**facts, "load_before": round(load, 1), "load_after": round(os.getloadavg()[0], 1)},
                    "contenders": summary(laps),
                }
                print("\n".join(row(cell, name) for name in names), flush=True)
                cells = [*cells, cell] if args.json is None else record(args.json, cell)
    print(f"\nMultiples of bare, medians: wall / CPU.\n\n{compact(cells)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
