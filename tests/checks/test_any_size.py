"""Rules in any number, over any columns, in any time zone, under ANSI and not; and how often an input is read."""

from __future__ import annotations

from typing import Any

import pytest
from counting_world import World, counts_of
from flights_data import Truth
from pyspark.sql import functions as F

MANY = {"operator": 1000, "observation": 130, "two_pass": 130}  # the others take seconds for an aggregation of 1,000 columns


def row(name: str, expectation: str, action: str = "ignore", **more: Any) -> dict[str, Any]:
    return {"rule": name, "expectation": expectation, "action_if_failed": action, **more}


def counted(monitor: Any, df: Any, rules: list[dict[str, Any]]) -> Truth:
    with monitor.run("anything", rules=rules) as run:
        run.check(df).write.format("noop").mode("overwrite").save()
    truth = counts_of(run.stats)
    assert truth is not None
    return truth


@pytest.mark.parametrize("columns", [50, pytest.param(500, marks=pytest.mark.exhaustive)])
def test_a_thousand_rules_over_five_hundred_columns(monitor, spark, columns):
    """And, for every day, a hundred over fifty: with more rules than a long has bits, and than there are columns."""
    rules, rows = (MANY[monitor.counting], 300) if columns == 500 else (100, 300)
    df = spark.range(0, rows, 1, 2).select(*[(F.col("id") + n).alias(f"c{n}") for n in range(columns)])
    # Rule n fails the ids below its limit, n % 7; those of every third rule are dropped.
    given = [row(f"rule {n}", f"c{n % columns} >= {n % columns + n % 7}", "drop" if n % 3 == 0 else "ignore") for n in range(rules)]
    assert counted(monitor, df, given) == Truth(rows, 6, 6, {f"rule {n}": n % 7 for n in range(rules)})


def test_names_and_nesting_of_every_kind(monitor, spark):
    df = spark.range(100).selectExpr(
        "id AS `id`",
        "id AS `a.b`",
        "id AS `back``tick`",
        "id AS `🛫 delay`",
        "id AS `SELECT`",
        "named_struct('in.ner', named_struct('`x`', id), 'items', array(named_struct('v', id), named_struct('v', 99 - id)))"
        " AS `outer.most`",
        "map('k 🛬', id) AS m",
    )
    rules = [
        row("a.dot", "`a.b` < 90", "drop"),
        row("back`tick", "`back``tick` < 80"),
        row("🛫", "`🛫 delay` < 70"),
        row('it\'s "quoted", | and, separated', "`SELECT` < 60"),
        row("nested", "`outer.most`.`in.ner`.```x``` < 50"),
        row("array", "`outer.most`.items[1].v < 60"),
        row("every", "forall(`outer.most`.items, item -> item.v > 9)"),
        row("map", "m['k 🛬'] < 30"),
    ]
    found = counted(monitor, df, rules)
    assert list(found.rules.values()) == [10, 20, 30, 40, 50, 40, 20, 70]
    assert list(found.rules) == [rule["rule"] for rule in rules]
    assert (found.rows, found.dropped) == (100, 10)


def test_an_input_with_the_names_that_we_use(monitor, spark):
    names = ["__spark_pd_mask_0", "__spark_pd_mask_1", "m0", "m1", "r0", "v0", "r", "v", "source", "target", "id"]
    df = spark.range(100).selectExpr(*[f"id + {n} AS {name}" for n, name in enumerate(names)])
    rules = [row(name, f"{name} < {50 + n}", "drop" if n == 0 else "ignore") for n, name in enumerate(names)]
    rules += [
        row("whole", "max(r0) + max(m0) + max(__spark_pd_mask_0) < 0", rule_type="agg_dq"),
        row("query", "(SELECT max(v0) + max(source) FROM {target}) < 0", rule_type="query_dq"),
    ]
    with monitor.run("anything", rules=rules) as run:
        run.check(df).write.format("noop").mode("overwrite").save()
    assert run.stats.exact
    assert [run.stats.rule(name).failed_count for name in names] == [50] * len(names)
    assert run.stats.rule("whole").observed == 49 + 4 + 49 + 2 + 49
    assert run.stats.rule("query").observed == 49 + 5 + 49 + 8


@pytest.mark.parametrize(("zone", "failed"), [("UTC", 6), ("Asia/Kolkata", 11), ("America/St_Johns", 6)])
def test_times_are_those_of_the_session_s_zone(monitor, world: World, zone, failed):
    with world.conf(spark__sql__session__timeZone=zone):
        df = world.spark.range(12).selectExpr("timestamp_seconds(id * 3600) AS at")
        assert counted(monitor, df, [row("night", "hour(at) < 6")]).rules == {"night": failed}


def test_what_ansi_makes_an_error_is_a_failed_row_as_it_is_without_ansi(monitor, world: World):
    df = world.spark.sql("SELECT * FROM VALUES ('1'), ('x'), ('-3'), (NULL) AS t(amount)").repartition(2)
    cast, tried = row("cast", "CAST(amount AS INT) > 0"), row("tried", "try_cast(amount AS INT) > 0", "drop")
    with world.conf(spark__sql__ansi__enabled="false"):
        assert counted(monitor, df, [cast, tried]) == Truth(4, 3, 3, {"cast": 3, "tried": 3})
    with world.conf(spark__sql__ansi__enabled="true"):
        assert counted(monitor, df, [cast, tried]) == Truth(4, 3, 3, {"cast": 3, "tried": 3})


def test_the_input_is_computed_once_on_the_ways_that_promise_it(monitor, spark):
    """An expensive or random upstream: what is counted is what is written, of one computation."""
    computed = spark.sparkContext.accumulator(0)

    def expensive(n: int) -> tuple[int, float]:
        import random

        computed.add(1)
        return n, random.random()

    df = spark.createDataFrame(spark.sparkContext.range(200, numSlices=4).map(expensive), "id LONG, luck DOUBLE")
    rules = [row("lucky", "luck < 0.5", "drop"), row("small", "id < 150")]
    with monitor.run("anything", rules=rules) as run:
        checked = run.check(df)
        before = computed.value
        checked.write.format("noop").mode("overwrite").save()
    if monitor.counting == "two_pass":
        assert (before, computed.value) == (200, 600)
    else:
        assert (before, computed.value) == (0, 200)
        assert run.stats.rule("small").failed_count == 50
