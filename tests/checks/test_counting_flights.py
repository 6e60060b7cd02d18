"""Twenty rules over flights, and every shape of query behind the check: the statistics equal DuckDB's, or are unknown, never wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from counting_world import World, assert_stats
from flights_data import FLIGHT_RULES, mappings, parquet
from pyspark.sql import Window
from pyspark.sql import functions as F

RULES = mappings(FLIGHT_RULES)
EXACT, UNKNOWN, EITHER = "exact", "unknown", "either"


@dataclass(frozen=True)
class Use:
    """What a notebook does with the checked DataFrame before it is written."""

    name: str
    made: Callable[[World, Any], Any]
    """What is written: made of the checked DataFrame."""
    expected: str | None = "SELECT * FROM kept"
    """What must be in it, in DuckDB's SQL; None where that is not determined."""
    operator: str = EXACT
    two_pass: str = EXACT
    observation: str = EITHER
    conf: tuple[tuple[str, str], ...] = ()
    partition_by: tuple[str, ...] = ()

    def must(self, counting: str) -> str:
        """Whether this counting must know, must not, or may."""
        return {"operator": self.operator, "two_pass": self.two_pass, "observation": self.observation}[counting]


SMJ = (("spark__sql__autoBroadcastJoinThreshold", "-1"),)
NO_AQE = (("spark__sql__adaptive__enabled", "false"),)
NO_CODEGEN = (("spark__sql__codegen__wholeStage", "false"),)


def others(world: World) -> Any:
    """Another side to join: every third flight's id with a number."""
    return world.spark.range(0, 100_000, 3).select("id", (F.col("id") % 7).alias("seven"))


JOINED = "SELECT *, id % 7 AS seven FROM kept WHERE id % 3 = 0"


def joins() -> list[Use]:
    """Joins with the check on either side, sorted or broadcast, with and without adaptive execution."""
    found = []
    for aqe, conf in (("aqe", ()), ("no aqe", NO_AQE)):
        found += [
            Use(f"join, sort-merge, {aqe}", lambda w, d: d.join(others(w), "id"), JOINED, conf=conf + SMJ),
            Use(f"join, other side broadcast, {aqe}", lambda w, d: d.join(F.broadcast(others(w)), "id"), JOINED, conf=conf),
            Use(f"join, on the right, sort-merge, {aqe}", lambda w, d: others(w).join(d, "id"), JOINED, conf=conf + SMJ),
            Use(f"join, on the right, broadcast, {aqe}", lambda w, d: others(w).join(F.broadcast(d), "id"), JOINED, conf=conf),
            Use(
                f"left semi, {aqe}",
                lambda w, d: others(w).join(d, "id", "left_semi"),
                "SELECT id, id % 7 AS seven FROM kept WHERE id % 3 = 0",
                conf=conf,
            ),
            Use(f"left anti, {aqe}", lambda w, d: d.join(others(w), "id", "left_anti"), "SELECT * FROM kept WHERE id % 3 <> 0", conf=conf),
            Use(
                f"group by, {aqe}",
                lambda w, d: d.groupBy("carrier").agg(F.count("*").alias("n"), F.sum("distance").alias("miles")),
                "SELECT carrier, count(*) AS n, sum(distance) AS miles FROM kept GROUP BY carrier",
                observation=EXACT,
                conf=conf,
            ),
        ]
    return found


USES = [
    Use("plain", lambda w, d: d, observation=EXACT),
    Use("order by", lambda w, d: d.orderBy("dep_delay", "id")),
    Use("order by, no codegen", lambda w, d: d.orderBy("dep_delay"), conf=NO_CODEGEN),
    Use("no codegen", lambda w, d: d, observation=EXACT, conf=NO_CODEGEN),
    Use("sort within partitions", lambda w, d: d.sortWithinPartitions("distance"), observation=EXACT),
    Use("repartition by range", lambda w, d: d.repartitionByRange(5, "id")),
    Use("repartition", lambda w, d: d.repartition(7), observation=EXACT),
    Use("repartition by column", lambda w, d: d.repartition(3, "carrier"), observation=EXACT),
    Use("rebalance", lambda w, d: d.hint("rebalance"), observation=EXACT),
    Use("coalesce to 1", lambda w, d: d.coalesce(1), observation=EXACT),
    Use("coalesce to 4", lambda w, d: d.coalesce(4), observation=EXACT),
    Use("partitioned write", lambda w, d: d, observation=EXACT, partition_by=("origin",)),
    Use("partitioned write, sorted", lambda w, d: d.orderBy("id"), partition_by=("origin", "carrier")),
    *joins(),
    Use(
        "join, other side empty",
        lambda w, d: d.join(others(w).filter("seven > 100"), "id"),
        "SELECT *, 0 AS seven FROM kept WHERE false",
        operator=EITHER,
    ),
    Use(
        "cross join",
        lambda w, d: d.select("id").crossJoin(w.spark.range(3).toDF("k").repartition(2)),
        "SELECT kept.id, k FROM kept, range(3) r(k)",
    ),
    Use("union with itself", lambda w, d: d.union(d), "SELECT * FROM kept UNION ALL SELECT * FROM kept"),
    Use("union with itself, coalesce to 1", lambda w, d: d.union(d).coalesce(1), "SELECT * FROM kept UNION ALL SELECT * FROM kept"),
    Use("union with others", lambda w, d: d.select("id").union(w.spark.range(10)), "SELECT id FROM kept UNION ALL SELECT * FROM range(10)"),
    Use(
        "union of two column choices, grouped",
        lambda w, d: d.select("id").union(d.select("flight")).groupBy("id").count(),
        "SELECT id, count(*) AS count FROM (SELECT id FROM kept UNION ALL SELECT flight FROM kept) GROUP BY id",
    ),
    Use(
        "self join",
        lambda w, d: d.select("id", "carrier").join(d.select("id", "dest"), "id"),
        "SELECT id, carrier, dest FROM kept",
        conf=SMJ,
    ),
    Use(
        "filter",
        lambda w, d: d.filter("distance > 1000 AND carrier = 'UA'"),
        "SELECT * FROM kept WHERE distance > 1000 AND carrier = 'UA'",
        observation=EXACT,
    ),
    Use(
        "filter on a column that a rule reads",
        lambda w, d: d.filter("air_time > 100"),
        "SELECT * FROM kept WHERE air_time > 100",
        observation=EXACT,
    ),
    Use("select one column", lambda w, d: d.select("id"), "SELECT id FROM kept", observation=EXACT),
    Use("select a literal", lambda w, d: d.select(F.lit(1).alias("one")), "SELECT 1::INTEGER AS one FROM kept", observation=EXACT),
    Use(
        "new column, filter on it, drop, distinct",
        lambda w, d: d.withColumn("b", F.col("distance") * 2).filter("b > 2000").select("b", "carrier").distinct(),
        "SELECT DISTINCT distance * 2 AS b, carrier FROM kept WHERE distance > 1000",
        observation=EXACT,
    ),
    Use(
        "window and filter",
        lambda w, d: d.withColumn("r", F.row_number().over(Window.partitionBy("carrier").orderBy("id"))).filter("r <= 3").drop("r"),
        "SELECT * FROM kept QUALIFY row_number() OVER (PARTITION BY carrier ORDER BY id) <= 3",
    ),
    Use(
        "drop duplicates",
        lambda w, d: d.dropDuplicates(["carrier", "dest"]).select("carrier", "dest"),
        "SELECT DISTINCT carrier, dest FROM kept",
    ),
    Use("sample", lambda w, d: d.sample(0.1, seed=1), None),
    Use("explode", lambda w, d: d.select(F.explode(F.array("id", "flight")).alias("x")), "SELECT unnest([id, flight]) AS x FROM kept"),
    Use("except", lambda w, d: d.select("id").exceptAll(w.read().select("id").filter("id < 100")), "SELECT id FROM kept WHERE id >= 100"),
    Use("intersect", lambda w, d: d.select("id").intersect(w.read().select("id").filter("id < 100")), "SELECT id FROM kept WHERE id < 100"),
    Use(
        "global aggregate",
        lambda w, d: d.agg(F.max("id").alias("m"), F.count(F.lit(1)).alias("n")),
        "SELECT max(id) AS m, count(*) AS n FROM kept",
    ),
    Use(
        "rollup",
        lambda w, d: d.rollup("origin", "carrier").count(),
        "SELECT origin, carrier, count(*) AS count FROM kept GROUP BY ROLLUP (origin, carrier)",
    ),
    Use("limit", lambda w, d: d.limit(100), None, operator=UNKNOWN, observation=UNKNOWN),
    Use("limit, no codegen", lambda w, d: d.limit(100), None, operator=UNKNOWN, observation=UNKNOWN, conf=NO_CODEGEN),
    Use("limit above the number of rows", lambda w, d: d.limit(1_000_000), operator=EITHER),
    Use("limit 0", lambda w, d: d.limit(0), "SELECT * FROM kept WHERE false", operator=UNKNOWN, observation=UNKNOWN),
    Use("union with some of itself", lambda w, d: d.union(d.orderBy("id").limit(5)), "FROM kept UNION ALL (FROM kept ORDER BY id LIMIT 5)"),
    Use("union of some of itself with it", lambda w, d: d.limit(5).union(d), None),
    Use("union with any of itself", lambda w, d: d.union(d.limit(5)), None),
    Use("except some of itself", lambda w, d: d.select("id").exceptAll(d.select("id").limit(3)), None),
    Use("limit, cached", lambda w, d: d.limit(10).cache(), None, operator=UNKNOWN, observation=UNKNOWN),
    Use("offset", lambda w, d: d.orderBy("id").offset(10), "SELECT * FROM kept ORDER BY id OFFSET 10", operator=EITHER),
    Use(
        "anything of it in a subquery",
        lambda w, d: (d.createOrReplaceTempView("c"), w.spark.sql("SELECT 1 AS x WHERE EXISTS (SELECT 1 FROM c)"))[1],
        None,
        operator=EITHER,
    ),
    Use("map in arrow", lambda w, d: d.select("id").mapInArrow(lambda batches: batches, "id long"), "SELECT id FROM kept"),
    Use("limit behind a sort", lambda w, d: d.orderBy("id").limit(10), "SELECT * FROM kept ORDER BY id LIMIT 10"),
    Use("limit behind a group by", lambda w, d: d.groupBy("carrier").count().limit(2), None),
    Use("constant false filter", lambda w, d: d.filter("1 = 0"), "SELECT * FROM kept WHERE false", operator=UNKNOWN, observation=UNKNOWN),
    Use(
        "a side that the optimizer drops",
        lambda w, d: w.read().select("id").join(d.select("id", "carrier"), "id", "left").select("id").distinct(),
        "SELECT id FROM input",
        operator=EITHER,
    ),
    Use(
        "sort-merge join that stops early",
        lambda w, d: w.spark.range(0, 2).repartition(4, "id").join(d.repartition(4, "id"), "id"),
        "SELECT * FROM kept WHERE id < 2",
        operator=EITHER,
        conf=NO_AQE + SMJ,
    ),
    Use(
        "scalar subquery over it",
        lambda w, d: (
            d.createOrReplaceTempView("checked"),
            w.spark.sql("SELECT id FROM range(10000) WHERE id < (SELECT count(*) FROM checked)"),
        )[1],
        "SELECT * FROM range(10000) r(id) WHERE id < (SELECT count(*) FROM kept)",
    ),
    Use(
        "in-subquery over it",
        lambda w, d: (
            d.createOrReplaceTempView("checked"),
            w.spark.sql("SELECT id FROM range(10000) WHERE id IN (SELECT id FROM checked)"),
        )[1],
        "SELECT id FROM kept",
    ),
    Use(
        "python udf behind",
        lambda w, d: d.withColumn("z", F.udf(lambda x: x, "long")("id")).filter("z >= 0"),
        "SELECT *, id AS z FROM kept",
    ),
    Use(
        "python rows behind",
        lambda w, d: w.spark.createDataFrame(d.rdd.filter(lambda r: r.id >= 0), d.schema),
        operator=EITHER,
        two_pass=EITHER,
    ),
    Use("another observation behind", lambda w, d: d.observe("mine", F.count(F.lit(1)).alias("n")), observation=EXACT),
    Use("ansi on", lambda w, d: d, observation=EXACT, conf=(("spark__sql__ansi__enabled", "true"),)),
    Use("ansi off", lambda w, d: d, observation=EXACT, conf=(("spark__sql__ansi__enabled", "false"),)),
]


@pytest.mark.parametrize("use", USES, ids=lambda use: use.name)
def test_statistics_and_rows_are_right_whatever_stands_behind_the_check(monitor, world, use):
    oracle = world.oracle()
    with world.conf(**dict(use.conf)), monitor.run("flights", rules=RULES) as run:
        written = use.made(world, run.check(world.read()))
        written.write.mode("overwrite").partitionBy(*use.partition_by).parquet(str(world.out))
    assert run.stats.counting == monitor.counting
    assert_stats(run.stats, oracle.truth(), use.must(monitor.counting))
    if use.expected is not None:
        assert oracle.differences(use.expected, world.written()) == 0


def test_all_flights_of_2013(monitor, spark, flights_folder, tmp_path):
    folder = flights_folder(4, 1)
    world = World(spark, folder, tmp_path)
    oracle = world.oracle()
    with monitor.run("flights", rules=RULES) as run:
        run.check(world.read()).write.partitionBy("origin").parquet(str(world.out))
    truth = oracle.truth()
    assert truth.rows == 336_776
    assert_stats(run.stats, truth)
    assert oracle.differences("SELECT * FROM kept", world.written()) == 0
    assert run.stats.error_drop_percentage == round(100 * truth.dropped / truth.rows, 2)


def test_all_flights_of_2013_sorted(monitor, spark, flights_folder, tmp_path):
    world = World(spark, flights_folder(4, 1), tmp_path)
    oracle = world.oracle()
    with monitor.run("flights", rules=RULES) as run:
        run.check(world.read()).orderBy("tailnum", "id").write.parquet(str(world.out))
    assert_stats(run.stats, oracle.truth(), "either" if monitor.counting == "observation" else "exact")
    assert oracle.differences("SELECT * FROM kept", parquet(world.out)) == 0


@pytest.mark.parametrize("kind", ["json", "csv", "orc"])
def test_other_formats(monitor, world, kind):
    source = str(world.folder / "source")
    world.read().drop("time_hour").write.format(kind).option("header", "true").save(source)
    frame = world.spark.read.format(kind).option("header", "true").schema(world.read().drop("time_hour").schema).load(source)
    with monitor.run("flights", rules=RULES) as run:
        run.check(frame).write.format(kind).option("header", "true").save(str(world.out))
    oracle = world.oracle()
    assert_stats(run.stats, oracle.truth())
    assert world.spark.read.format(kind).option("header", "true").load(str(world.out)).count() == oracle.row("SELECT count(*) FROM kept")[0]
