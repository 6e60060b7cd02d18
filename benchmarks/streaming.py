"""What a watched stream costs: the same queries bare, with the same rules as a plain filter, and watched. See benchmarks/README.md.

python benchmarks/streaming.py --json benchmarks/results/streaming.json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from listener import SETTINGS, Bench, Lap, Wrong, machine, spread

RULES = [
    {
        "rule": f"rule_{n}",
        "expectation": f"amount IS NOT NULL AND (amount + id) % {997 + n} <> {n}",
        "action_if_failed": "drop" if n % 2 else "ignore",
    }
    for n in range(10)
]
"""Some 1 % of the rows fail one of them."""


@dataclass(frozen=True)
class Shape:
    """How a stream's rows come: one file a batch."""

    batches: int
    rows: int
    """Of each batch."""


SHAPES = {"large": Shape(4, 1_000_000), "small": Shape(60, 100)}
WAYS = ("bare", "filter", "watched")


class Streams:
    """The files of one shape, and queries of them."""

    def __init__(self, bench: Bench, folder: Path, shape: Shape) -> None:
        self._bench, self._folder, self._shape = bench, folder, shape
        self._laps = 0
        (folder / "in").mkdir(parents=True)
        for batch in range(shape.batches):
            rows = bench.spark.range(batch * shape.rows, (batch + 1) * shape.rows, 1, 1)
            made = rows.selectExpr("id", "pmod(hash(id), 100000) AS amount", "sha2(cast(id AS string), 256) AS text", "id % 97 AS shop")
            made.write.parquet(str(folder / f"_{batch}"))
            (part,) = (folder / f"_{batch}").glob("part-*.parquet")
            part.rename(folder / "in" / f"{batch:04d}.parquet")
        whole = bench.spark.read.parquet(str(folder / "in"))
        failing = [f"count_if(NOT ({rule['expectation']}))" for rule in RULES]
        self._true = tuple(whole.selectExpr("count(*)", *failing).first())

    def lap(self, way: str) -> Lap:
        """Read all there is, in a new query. Raises Wrong where a watched one counted anything else than there is."""
        import spark_pd

        self._laps += 1
        checkpoint = str(self._folder / f"checkpoint-{self._laps}")
        schema = "id long, amount int, text string, shop long"
        stream = self._bench.spark.readStream.schema(schema).option("maxFilesPerTrigger", 1).parquet(str(self._folder / "in"))
        found: list[Any] = []

        def start(df: Any) -> Any:
            writer = df.writeStream.format("noop").queryName("benchmark").option("checkpointLocation", checkpoint)
            return writer.trigger(availableNow=True).start()

        def bare() -> None:
            dropping = " AND ".join(f"({rule['expectation']})" for rule in RULES if rule["action_if_failed"] == "drop")
            start(stream if way == "bare" else stream.filter(dropping)).awaitTermination()

        def watched() -> None:
            with monitor.run("benchmark.numbers", rules=RULES) as run:
                query = start(run.check(stream))
                watch = monitor.watch(query)
            query.awaitTermination()
            watch.settle()
            found.append(watch)

        if way != "watched":
            return self._bench.lap(bare)
        monitor = spark_pd.install(self._bench.spark, {**SETTINGS, "spark.pd.stream.batches": self._shape.batches}, lifecycle=False)
        lap = self._bench.lap(watched)
        stats = found[0].stats
        counted = (stats.input_count, *(result.failed_count for result in stats.rules))
        if counted != self._true or not stats.exact or len(found[0].batches) != self._shape.batches:
            raise Wrong(f"counted {counted}, exact: {stats.exact}, in {len(found[0].batches)} batches; there are {self._true}")
        monitor.uninstall()
        return lap


def compared(streams: Streams, rounds: int) -> dict[str, Any]:
    """Figures of each way, in turn; the first round is not counted."""
    laps: dict[str, list[Lap]] = {way: [] for way in WAYS}
    for turn in range(rounds + 1):
        for place in range(len(WAYS)):
            way = WAYS[(turn + place) % len(WAYS)]
            lap = streams.lap(way)
            if turn:
                laps[way].append(lap)
    found: dict[str, Any] = {
        "seconds": {way: spread([lap.wall for lap in each]) for way, each in laps.items()},
        "cpu_seconds": {way: spread([lap.cpu for lap in each]) for way, each in laps.items()},
    }
    for way in WAYS[:2]:
        pairs = list(zip(laps["watched"], laps[way], strict=True))
        found[f"watched_to_{way}"] = {"wall": spread([a.wall / b.wall for a, b in pairs]), "cpu": spread([a.cpu / b.cpu for a, b in pairs])}
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 where a count was wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="measured rounds of each shape (5)")
    parser.add_argument("--shapes", default=",".join(SHAPES), metavar="NAMES", help="some of large,small")
    parser.add_argument("--json", type=Path, metavar="FILE", help="put the figures there, in place of this PySpark's last")
    args = parser.parse_args(argv)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        version = str(bench.spark.version)
        found: dict[str, Any] = {"pyspark": version, "rounds": args.rounds, "on": machine(bench)}
        for shape in args.shapes.split(","):
            folder = Path(name) / shape
            try:
                found[shape] = compared(Streams(bench, folder, SHAPES[shape]), args.rounds)
            except Wrong as wrong:
                print(wrong, file=sys.stderr)
                return 1
            each = 1000 / SHAPES[shape].batches
            seconds = found[shape]["cpu_seconds"]
            found[shape]["cpu_ms_more_a_batch"] = round((seconds["watched"]["median"] - seconds["bare"]["median"]) * each, 1)
            print(version, shape, json.dumps(found[shape]), flush=True)
            shutil.rmtree(folder)
        bench.spark.stop()
        found["on"]["load_after"] = round(os.getloadavg()[0], 1)
    if args.json is not None:
        old = json.loads(args.json.read_text()) if args.json.exists() else []
        rows = sorted([*(row for row in old if row["pyspark"] != version), found], key=lambda row: str(row["pyspark"]))
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
