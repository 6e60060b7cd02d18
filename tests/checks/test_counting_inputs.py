"""What is checked, and by which rules: inputs and expectations of every kind give right statistics, or unknown, never wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from counting_world import World, assert_stats, counts_of
from flights_data import FLIGHT_RULES, FlightRule, Oracle, Truth, mappings
from pyspark.sql import functions as F

from spark_pd import RulesError

RULES = mappings(FLIGHT_RULES)
EXACT, EITHER, UNKNOWN = "exact", "either", "unknown"
FLIGHTS = "SELECT * FROM input"


@dataclass(frozen=True)
class Input:
    """What is checked, its rules, and the same input in DuckDB's SQL."""

    name: str
    frame: Callable[[World], Any]
    source: str | None = None
    """In DuckDB's SQL; None is all flights."""
    rules: tuple[FlightRule, ...] = FLIGHT_RULES
    expected: str = "SELECT * FROM kept"
    must: dict[str, str] = field(default_factory=dict)
    """By counting; exact where it is not named."""
    conf: tuple[tuple[str, str], ...] = ()


def sql(text: str) -> Callable[[World], Any]:
    return lambda w: w.spark.sql(text)


def udf_of_a_rule(world: World) -> Any:
    world.spark.udf.register("spark_pd_test_even", lambda x: x % 2 == 0, "boolean")
    return world.read()


def flights_view(world: World) -> Any:
    world.read().createOrReplaceTempView("flights_source")
    return world.read()


def nested(world: World) -> Any:
    columns = [
        F.struct("carrier", "flight").alias("plane"),
        F.array("dep_time", "arr_time").alias("times"),
        F.create_map("origin", "dest").alias("leg"),
    ]
    return world.read().select("id", *columns)


def odd_names(world: World) -> Any:
    names = {
        "dep_delay": "dep delay",
        "arr_delay": "arr.delay",
        "carrier": "back`tick",
        "distance": "miles ✈️",
        "flight": "SELECT",
        "hour": "a\"quote'",
    }
    return world.read().select("id", *[F.col(old).alias(new) for old, new in names.items()])


ODD_SOURCE = (
    'id, dep_delay AS "dep delay", arr_delay AS "arr.delay", carrier AS "back`tick", '
    'distance AS "miles ✈️", flight AS "SELECT", hour AS "a""quote\'"'
)
ODD_RULES = (
    FlightRule("with space", "drop", "`dep delay` < 60", '"dep delay" < 60'),
    FlightRule("with.dot", "ignore", "`arr.delay` < 60", '"arr.delay" < 60'),
    FlightRule("with`backtick", "drop", "`back``tick` <> 'UA'", "\"back`tick\" <> 'UA'"),
    FlightRule("✈️ far, \"quoted\" | 'and', piped", "ignore", "`miles ✈️` < 2000", '"miles ✈️" < 2000'),
    FlightRule("keyword", "ignore", "`SELECT` > 100", '"SELECT" > 100'),
    FlightRule("quotes", "ignore", "`a\"quote'` <> 7", '"a""quote\'" <> 7'),
)
MANY = tuple(FlightRule(f"q{i}", "drop" if i in (3, 61, 62, 100, 139) else "ignore", f"id % {i + 2} <> 0") for i in range(140))
SMALL = (FlightRule("positive", "drop", "v > 0"), FlightRule("below ten", "ignore", "v < 10"))
VALUES = "SELECT * FROM (VALUES (1, 5), (2, -5), (3, 50), (4, NULL)) t(id, v)"
WIDE = ", ".join(f"id + {i} AS c{i}" for i in range(150))
LAMBDAS = (
    FlightRule("some late", "drop", "exists(array(dep_delay, arr_delay), x -> x > -5)", "dep_delay > -5 OR arr_delay > -5"),
    FlightRule("all", "ignore", "forall(array(hour, minute), x -> x < 50)", "hour < 50 AND minute < 50"),
    FlightRule("sum", "ignore", "aggregate(array(hour, minute), 0L, (a, x) -> a + x) < 60", "hour + minute < 60"),
    FlightRule("plain beside", "drop", "distance < 2400"),
)
SUBQUERIES = (
    FlightRule("in", "drop", "id IN (SELECT id FROM flights_source WHERE distance > 500)", "distance > 500"),
    FlightRule("scalar", "ignore", "distance < (SELECT avg(distance) FROM flights_source)", "distance < (SELECT avg(distance) FROM input)"),
    FlightRule("plain", "ignore", "hour < 20"),
)
TEXT = (
    FlightRule("line comment", "drop", "distance > 200 -- miles", "distance > 200"),
    FlightRule("block comment", "ignore", "/* all ) OR ( */ hour /* h */ < 20", "hour < 20"),
    FlightRule("parenthesis in a literal", "ignore", "dest <> ') OR ('"),
    FlightRule("comment in a literal", "drop", "carrier <> '--' AND distance < 2500"),
    FlightRule("or", "ignore", "carrier = 'UA' OR carrier = 'AA'"),
    FlightRule("line break", "ignore", "hour < 20\n  AND\tminute < 50", "hour < 20 AND minute < 50"),
    FlightRule("percent and braces", "ignore", "concat('%d {0} $x ', carrier) <> '%d {0} $x UA'", "carrier <> 'UA'"),
    FlightRule("null literal", "ignore", "cast(NULL AS boolean)", "NULL::BOOLEAN"),
    FlightRule("always", "drop", "true"),
    FlightRule("null safe", "ignore", "dep_time <=> arr_time", "dep_time IS NOT DISTINCT FROM arr_time"),
    FlightRule("unicode literal", "ignore", "concat(carrier, '✈️') <> 'UA✈️'"),
)
NESTED = (
    FlightRule("struct", "drop", "plane.carrier <> 'UA'", "carrier <> 'UA'"),
    FlightRule("array", "ignore", "times[0] < times[1]", "dep_time < arr_time"),
    FlightRule("map", "ignore", "leg['JFK'] IS NOT NULL", "origin = 'JFK'"),
)
UDF = (FlightRule("udf", "drop", "spark_pd_test_even(id)", "id % 2 = 0"), FlightRule("plain", "ignore", "hour < 20"))

INPUTS = [
    Input("all rows bad", World.read, rules=(FlightRule("no", "drop", "id < 0"), FlightRule("nor", "ignore", "id < 0"))),
    Input("all rows good", World.read, rules=(FlightRule("yes", "drop", "id >= 0"), FlightRule("too", "ignore", "id IS NOT NULL"))),
    Input("no drop rule", World.read, rules=tuple(FlightRule(r.name, "ignore", r.spark, r.duck) for r in FLIGHT_RULES)),
    Input("no rule", World.read, rules=()),
    Input("no rows", lambda w: w.read().filter("id < 0"), "SELECT * FROM flights WHERE id < 0"),
    # adaptive execution finds that the sort gave no rows, and never runs the check above it
    Input(
        "no rows, sorted",
        lambda w: w.read().filter("id < 0").orderBy("id"),
        "SELECT * FROM flights WHERE id < 0",
        must={"operator": EITHER},
    ),
    Input(
        "constant false filter before it",
        lambda w: w.read().filter("1 = 0"),
        "SELECT * FROM flights WHERE false",
        must={"observation": EITHER},
    ),
    Input("limit 0 before it", lambda w: w.read().limit(0), "SELECT * FROM flights WHERE false", must={"observation": EITHER}),
    Input(
        "no partitions",
        lambda w: w.spark.createDataFrame(w.spark.sparkContext.emptyRDD(), w.read().schema),
        "SELECT * FROM flights WHERE false",
    ),
    Input("some partitions empty", lambda w: w.read().repartition(40, "origin")),
    Input("filter before it", lambda w: w.read().filter("id < 3000"), "SELECT * FROM flights WHERE id < 3000"),
    Input("sorted before it", lambda w: w.read().orderBy("distance")),
    Input("limit of a sort before it", lambda w: w.read().orderBy("id").limit(100), "SELECT * FROM flights WHERE id < 100"),
    Input(
        "grouped before it",
        lambda w: w.read().groupBy("id").agg(F.first("hour").alias("hour")),
        "SELECT id, hour FROM flights",
        rules=(FlightRule("h", "drop", "hour < 20"),),
    ),
    Input("cached before it", lambda w: w.read().cache()),
    Input("union before it", lambda w: w.read().union(w.read()), "SELECT * FROM flights UNION ALL SELECT * FROM flights"),
    Input("no codegen", World.read, conf=(("spark__sql__codegen__wholeStage", "false"),)),
    Input(
        "generated methods too long for the setting",
        World.read,
        must={"operator": EITHER},
        conf=(("spark__sql__codegen__hugeMethodLimit", "50"),),
    ),
    Input("names of every kind", odd_names, f"SELECT {ODD_SOURCE} FROM flights", rules=ODD_RULES),
    Input("nested columns", nested, rules=NESTED, expected="SELECT id FROM kept"),
    Input("140 rules", World.read, rules=MANY),
    Input(
        "150 columns",
        lambda w: w.read().select("*", *[(F.col("id") + i).alias(f"c{i}") for i in range(150)]),
        f"SELECT *, {WIDE} FROM flights",
    ),
    Input("lambdas in rules", World.read, rules=LAMBDAS),
    Input("lambdas in rules, no codegen", World.read, rules=LAMBDAS, conf=(("spark__sql__codegen__wholeStage", "false"),)),
    Input("subqueries in rules", flights_view, rules=SUBQUERIES),
    Input("rules as text can be", World.read, rules=TEXT),
    Input("python udf before it", lambda w: w.read().withColumn("id", F.udf(lambda x: x, "long")("id"))),
    Input("python udf in a rule", udf_of_a_rule, rules=UDF),
    Input("literal rows", sql("SELECT * FROM VALUES (1, 5), (2, -5), (3, 50), (4, NULL) AS t(id, v)"), VALUES, rules=SMALL),
    Input(
        "literal rows, projected",
        sql("SELECT id + 1 AS id, v FROM VALUES (0, 5), (1, -5), (2, 50), (3, NULL) AS t(id, v)"),
        VALUES,
        rules=SMALL,
    ),
    Input("literal rows, no table", sql("SELECT 1 AS id, 5 AS v"), "SELECT 1 AS id, 5 AS v", rules=SMALL),
    Input("python rows", lambda w: w.spark.createDataFrame([(1, 5), (2, -5), (3, 50), (4, None)], "id int, v int"), VALUES, rules=SMALL),
    Input(
        "literal rows beside an empty side",  # the optimizer drops that side, and then filters on the driver
        lambda w: (
            w.read()
            .select("id", "hour")
            .limit(0)
            .union(w.spark.createDataFrame([(1, 5), (2, -5), (3, 50), (4, None)], "id long, v long"))
            .toDF("id", "v")
        ),
        VALUES,
        rules=SMALL,
        must={"operator": EITHER, "observation": EITHER},
    ),
    Input("range", lambda w: w.spark.range(0, 1000, 1, 4).toDF("v"), "SELECT range AS v FROM range(1000)", rules=SMALL),
    Input("ansi on", World.read, conf=(("spark__sql__ansi__enabled", "true"),)),
    Input("ansi off", World.read, conf=(("spark__sql__ansi__enabled", "false"),)),
    Input("no adaptive execution", lambda w: w.read().repartition(4, "carrier"), conf=(("spark__sql__adaptive__enabled", "false"),)),
]


@pytest.mark.parametrize("given", INPUTS, ids=lambda given: given.name)
def test_statistics_and_rows_are_right_whatever_is_checked(monitor, world, given):
    source = (given.source or "SELECT * FROM flights").replace("FROM flights", f"FROM ({world.rows})")
    oracle = world.oracle(given.rules, source)
    frame = given.frame(world)
    with world.conf(**dict(given.conf)), monitor.run("flights", rules=mappings(given.rules)) as run:
        world.save(run.check(frame))
    frame.unpersist()
    assert_stats(run.stats, oracle.truth(), given.must.get(monitor.counting, EXACT))
    assert oracle.differences(given.expected, world.written()) == 0


def test_an_empty_folder(monitor, world):
    world.save(world.read().limit(0), "nothing")
    frame = world.spark.read.schema(world.read().schema).parquet(str(world.folder / "nothing"))
    with monitor.run("flights", rules=RULES) as run:
        world.save(run.check(frame))
    assert_stats(run.stats, Truth(0, 0, 0, {rule.name: 0 for rule in FLIGHT_RULES}))


def test_a_pandas_frame(monitor, world):
    pandas = pytest.importorskip("pandas")
    try:
        frame = world.spark.createDataFrame(pandas.DataFrame({"id": [1, 2, 3], "v": [5, -5, 50]}))
    except Exception as error:
        pytest.skip(f"this PySpark does not take a frame of this pandas: {type(error).__name__}")
    with monitor.run("flights", rules=mappings(SMALL)) as run:
        world.save(run.check(frame))
    assert_stats(run.stats, Truth(3, 2, 1, {"positive": 1, "below ten": 1}))
    assert world.oracle().row(f"SELECT list(id ORDER BY id) FROM ({world.written()})") == ([1, 3],)


def test_columns_of_the_input_still_name_those_of_the_checked_frame(monitor, world):
    for frame in (world.read(), world.spark.createDataFrame([(1, 5), (2, -5)], "id int, distance int")):
        with monitor.run("flights", rules=[{"rule": "far", "expectation": "distance > 0", "action_if_failed": "drop"}]) as run:
            checked = run.check(frame)
            world.save(checked.filter(frame.distance < 1000).select(frame["id"], checked.distance, F.col("distance").alias("d2")))
        assert run.stats.exact
        low, high = world.oracle().row(f"SELECT min(distance), max(distance) FROM ({world.written()})")
        assert 0 < low <= high < 1000


def test_two_columns_of_one_name(monitor, world):
    frame = world.read().select("id", "hour", F.col("minute").alias("hour"))
    with monitor.run("flights", rules=[{"rule": "third", "expectation": "id % 3 = 0", "action_if_failed": "drop"}]) as run:
        world.save(run.check(frame).toDF("id", "h", "m"))
    oracle = world.oracle((FlightRule("third", "drop", "id % 3 = 0"),))
    assert_stats(run.stats, oracle.truth())
    assert oracle.differences("SELECT id, hour AS h, minute AS m FROM kept", world.written()) == 0


@pytest.mark.parametrize("shape", ["self join", "grouped union"])
def test_a_check_behind_a_shuffle(monitor, world, shape):
    frame = world.read().repartition(4 if shape == "self join" else 30, "id")
    with world.conf(spark__sql__autoBroadcastJoinThreshold="-1"), monitor.run("flights", rules=RULES) as run:
        checked = run.check(frame)
        if shape == "self join":
            world.save(checked.select("id", "carrier").join(checked.select("id", "dest"), "id"))
        else:
            world.save(checked.select("id").union(checked.select("flight")).groupBy("id").count())
    oracle = world.oracle()
    assert_stats(run.stats, oracle.truth(), EITHER if monitor.counting == "observation" else EXACT)
    both = "SELECT id, count(*) AS count FROM (SELECT id FROM kept UNION ALL SELECT flight FROM kept) GROUP BY id"
    assert oracle.differences("SELECT id, carrier, dest FROM kept" if shape == "self join" else both, world.written()) == 0


def test_hidden_columns_of_the_source_can_still_be_asked_for(monitor, world):
    with monitor.run("flights", rules=RULES) as run:
        world.save(run.check(world.read()).select("id", F.col("_metadata.file_name").alias("file")))
    assert_stats(run.stats, world.oracle().truth())
    assert world.oracle().row(f"SELECT count(DISTINCT file) FROM ({world.written()})") == (6,)


@pytest.mark.parametrize("shape", ["plain", "sorted", "shown before"])
def test_an_input_that_says_it_is_random_is_counted_as_it_was_written_or_not_at_all(monitor, world, shape):
    frame = world.read().select("id", (F.rand() * 100).alias("v"))
    with monitor.run("flights", rules=[*mappings(SMALL[1:]), {"rule": "low", "expectation": "v < 50", "action_if_failed": "drop"}]) as run:
        checked = run.check(frame)
        if shape == "shown before":
            checked.take(3)
        world.save(checked.orderBy("v") if shape == "sorted" else checked)
    assert_holds_together(world, run.stats)


@pytest.mark.parametrize("shape", ["plain", "range", "two writes"])
def test_an_input_that_is_secretly_random_is_never_counted_wrong_in_one_pass(monitor, world, shape):
    if monitor.counting == "two_pass":
        pytest.skip("no second pass can see that Spark was not told of a function's randomness")
    import random

    frame = world.read().select("id", F.udf(lambda x: random.random() * 100, "double")("id").alias("v"))
    with monitor.run("flights", rules=[{"rule": "low", "expectation": "v < 50", "action_if_failed": "drop"}]) as run:
        checked = run.check(frame)
        world.save(checked.repartitionByRange(3, "id") if shape == "range" else checked)
        if shape == "two writes":
            world.save(checked, "again")
    if shape == "plain":
        assert_holds_together(world, run.stats)
    elif shape == "two writes" and written_rows(world) != written_rows(world, "again"):
        assert counts_of(run.stats) is None
    else:  # two draws may have equal counts by chance, one in a hundred: then they are both writes' counts
        assert run.stats.output_count in (None, written_rows(world))


def test_a_random_rule_is_counted_as_it_was_written_or_not_at_all(monitor, world):
    with monitor.run("flights", rules=[{"rule": "coin", "expectation": "rand() < 0.5", "action_if_failed": "drop"}]) as run:
        world.save(run.check(world.read()))
    assert_holds_together(world, run.stats)


def test_a_limit_in_the_input_is_counted_as_it_was_written_or_not_at_all(monitor, world):
    with monitor.run("flights", rules=RULES) as run:
        world.save(run.check(world.read().limit(500)))
    assert_holds_together(world, run.stats)
    assert run.stats.input_count in (None, 500)


def written_rows(world: World, name: str = "out") -> int:
    return int(world.oracle().row(f"SELECT count(*) FROM ({world.written(name)})")[0])


def assert_holds_together(world: World, stats: Any) -> None:
    """Nobody else can count an input that differs each time: what is known must agree with the rows that were written."""
    if counts_of(stats) is not None:
        assert stats.output_count == written_rows(world), f"{stats.counting} was WRONG"


BAD_RULES = [
    ("closing the parenthesis", "hour < 5) OR (true"),
    ("nonsense", "hour <"),
    ("unknown column", "no_such_column > 1"),
    ("no boolean", "hour + 1"),
    ("aggregate", "count(*) > 1"),
    ("window", "row_number() OVER (ORDER BY id) < 5"),
    ("generator", "explode(array(true))"),
    ("alias", "hour < 5 AS x"),
    ("two statements", "hour < 5; DROP TABLE x"),
    ("star", "*"),
    ("open comment", "hour < 5 /* open"),
    ("unknown function", "no_such_function(id)"),
]


@pytest.mark.parametrize("expectation", [text for _, text in BAD_RULES], ids=[name for name, _ in BAD_RULES])
def test_what_is_no_boolean_over_a_row_is_refused_before_anything_is_read(operator, world, expectation):
    good = {"rule": "good", "expectation": "hour < 25"}
    with (
        pytest.raises(RulesError) as refused,
        operator.run("flights", rules=[good, {"rule": "bad one", "expectation": expectation}]) as run,
    ):
        run.check(world.read())
    assert len(refused.value.mistakes) == 1
    assert "'bad one'" in str(refused.value)
    assert run.stats is None


def test_all_bad_rules_are_named_at_once(operator, world):
    rules = [{"rule": name, "expectation": text} for name, text in BAD_RULES]
    with pytest.raises(RulesError) as refused, operator.run("flights", rules=rules) as run:
        run.check(world.read())
    assert len(refused.value.mistakes) == len(BAD_RULES)


def test_the_oracle_finds_a_difference(world):
    oracle = Oracle(world.rows, FLIGHT_RULES)
    assert oracle.differences("SELECT * FROM kept", "SELECT * FROM kept") == 0
    assert oracle.differences("SELECT id FROM kept", "SELECT id FROM input WHERE id IN (SELECT id FROM kept) OR id = 0") == 1  # 1 January
    assert oracle.differences("SELECT id FROM kept", "SELECT id FROM kept UNION ALL SELECT max(id) FROM kept") == 1
    assert oracle.truth().rows == 6014
