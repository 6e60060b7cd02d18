"""What is the operator's own: it lives beside the user's strategies, is freed when its run ends, and says when it cannot work."""

from __future__ import annotations

import time
from typing import Any

import pytest
from counting_world import assert_stats
from flights_data import FLIGHT_RULES, FlightRule, Truth, mappings

import spark_pd
from spark_pd.checks import counting
from spark_pd.spark import java
from spark_pd.spark.executions import executions

pytestmark = pytest.mark.versions

RULES = mappings(FLIGHT_RULES)
STRATEGY = """
package spark_pd_tests;
public class UsersStrategy extends org.apache.spark.sql.execution.SparkStrategy {
  public static final java.util.Vector ASKED = new java.util.Vector();
  public @SEQ@ apply(org.apache.spark.sql.catalyst.plans.logical.LogicalPlan plan) {
    ASKED.add("asked");
    return scala.collection.JavaConverters.asScalaBuffer(new java.util.ArrayList()).toSeq();
  }
}
"""


def static_field(spark: Any, java_class: Any, name: str) -> Any:
    field = java_class.getDeclaredField(name)
    field.setAccessible(True)
    return field.get(None)


def open_checks(spark: Any) -> int:
    """How many checks the driver's JVM holds."""
    return int(static_field(spark, java.load_class(spark, "spark_pd.checks", "operator.java", "spark_pd.Check"), "OPEN").size())


def watched_checks(spark: Any) -> int:
    """How many checks the listener looks for."""
    listener = executions(spark)._java
    field = listener.getClass().getDeclaredField("watched")
    field.setAccessible(True)
    return int(field.get(listener).size())


def strategies(session: Any) -> list[str]:
    found = session._jsparkSession.experimental().extraStrategies()
    return [found.apply(i).getClass().getName() for i in range(found.size())]


def test_a_run_frees_what_it_held_however_it_ends(operator, spark, world):
    assert (open_checks(spark), watched_checks(spark)) == (0, 0)
    with operator.run("flights", rules=RULES) as run:
        checked = run.check(world.read())
        assert (open_checks(spark), watched_checks(spark)) == (1, 1)
        world.save(checked)
    assert (open_checks(spark), watched_checks(spark)) == (0, 0)
    with pytest.raises(ZeroDivisionError), operator.run("flights", rules=RULES) as run:
        run.check(world.read())
        raise ZeroDivisionError
    with operator.run("flights", rules=RULES) as run:
        run.check(world.read())
    assert (open_checks(spark), watched_checks(spark)) == (0, 0)
    with (
        pytest.raises(spark_pd.RuleFailed),
        operator.run("flights", rules=[{"rule": "f", "expectation": "id < 0", "action_if_failed": "fail"}]) as run,
    ):
        run.check(world.read())
    assert (open_checks(spark), watched_checks(spark)) == (0, 0)


def test_a_closed_check_filters_as_before(operator, world):
    with operator.run("flights", rules=RULES) as run:
        checked = run.check(world.read())
        world.save(checked)
    oracle = world.oracle()
    kept = oracle.row("SELECT count(*) FROM kept")[0]
    assert checked.count() == checked.cache().count() == checked.orderBy("id").count() == kept
    checked.unpersist()
    for shape, frame in (("limited", checked.limit(10)), ("sorted", checked.orderBy("id"))):
        world.save(frame, shape)
        assert oracle.row(f"SELECT count(*) FROM ({world.written(shape)}) WHERE id NOT IN (SELECT id FROM kept)") == (0,)


def test_it_counts_nothing_in_a_plan_that_holds_no_check(operator, spark, world):
    with operator.run("flights", rules=RULES) as run:
        run.check(world.read())
        world.save(world.read().filter("distance > 100"))
    assert not run.stats.exact
    assert "SparkPdCheck" not in world.read().filter("distance > 100")._jdf.queryExecution().executedPlan().toString()


def test_the_users_own_strategies_stay_and_are_still_asked(operator, spark, world):
    session = spark.newSession()
    jvm = spark.sparkContext._jvm
    compiler = jvm.org.codehaus.janino.SimpleCompiler()
    compiler.setParentClassLoader(jvm.java.lang.Thread.currentThread().getContextClassLoader())
    two_13 = str(jvm.scala.util.Properties.versionNumberString()).startswith("2.13")
    compiler.cook(STRATEGY.replace("@SEQ@", "scala.collection.immutable.Seq" if two_13 else "scala.collection.Seq"))
    mine = compiler.getClassLoader().loadClass("spark_pd_tests.UsersStrategy")
    given = jvm.java.util.ArrayList()
    given.add(java.construct(spark, mine))
    experimental = session._jsparkSession.experimental()
    getattr(experimental, "extraStrategies_$eq")(jvm.scala.collection.JavaConverters.asScalaBuffer(given).toSeq())

    for _ in range(3):
        asked = static_field(spark, mine, "ASKED").size()
        with operator.run("flights", rules=RULES) as run:
            world.save(run.check(session.read.parquet(str(world.source))))
        assert_stats(run.stats, world.oracle().truth())
        assert static_field(spark, mine, "ASKED").size() > asked
    assert sorted(strategies(session)) == ["spark_pd.CheckStrategy", "spark_pd_tests.UsersStrategy"]


def test_installing_again_does_not_double_anything(spark, world):
    for _ in range(3):
        monitor = spark_pd.install(spark, {"spark.pd.counting": "operator"})
    with monitor.run("flights", rules=RULES) as run:
        world.save(run.check(world.read()))
    assert_stats(run.stats, world.oracle().truth())
    assert strategies(spark).count("spark_pd.CheckStrategy") == 1
    monitor.uninstall()
    again = spark_pd.install(spark, {"spark.pd.counting": "operator"})
    with again.run("flights", rules=RULES) as run:
        world.save(run.check(world.read()), "again")
    assert_stats(run.stats, world.oracle().truth())
    again.uninstall()


def test_auto_takes_the_operator_and_falls_back_where_it_fails_its_proof(spark, world, caplog):
    monitor = spark_pd.install(spark)
    assert monitor.counting == "operator"
    monitor.uninstall()
    counting.forget_methods()
    try:
        with world.conf(spark__sql__codegen__hugeMethodLimit="1"):  # no generated code is used at all
            with pytest.raises(spark_pd.SettingsError, match=r"spark\.pd\.counting: 'operator' does not work in this session"):
                spark_pd.install(spark, {"spark.pd.counting": "operator"})
            fallen_back = spark_pd.install(spark)
            assert fallen_back.counting == "observation"
            assert "counting by 'operator' does not work in this session" in caplog.text
            with fallen_back.run("flights", rules=RULES) as run:
                world.save(run.check(world.read()))
        assert_stats(run.stats, world.oracle().truth())
        fallen_back.uninstall()
    finally:
        counting.forget_methods()


def test_a_rule_that_spark_interprets_beside_rules_over_many_columns(operator, world):
    columns = [f"id + {i} AS c{i}" for i in range(90)]
    frame = world.read().selectExpr("id", "hour", *columns)
    wide = " + ".join(f"c{i}" for i in range(90))
    rules = (
        FlightRule("all columns", "drop", f"({wide}) % 2 = 0", "(90 * id + 4005) % 2 = 0"),
        *[FlightRule(f"half {n}", "ignore", f"{' + '.join(f'c{i}' for i in range(n, 90, 2))} > {4000 * n}") for n in range(2)],
        FlightRule(
            "interpreted", "ignore", f"exists(array({', '.join(f'c{i}' for i in range(90))}), x -> x = 100)", "id BETWEEN 11 AND 100"
        ),
    )
    source = f"SELECT id, hour, {', '.join(columns)} FROM ({world.rows})"
    with operator.run("flights", rules=mappings(rules)) as run:
        world.save(run.check(frame))
    assert_stats(run.stats, world.oracle(rules, source).truth())


def test_the_records_of_retried_and_repeated_evaluations_are_not_kept_for_ever(operator, spark, world):
    with operator.run("flights", rules=RULES) as run:
        checked = run.check(world.read())
        for _ in range(5):
            checked.count()
        world.save(checked)
    assert run.stats.exact
    assert open_checks(spark) == 0


def test_an_ending_without_a_write_does_not_wait(operator, world):
    with operator.run("flights", rules=RULES) as run:
        run.check(world.read())
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert run.stats.input_count is None


def test_one_hundred_rules_over_few_rows_are_all_told(operator, spark, world):
    rules = [{"rule": f"r{n}", "expectation": f"v <> {n}", "action_if_failed": "drop" if n % 2 else "ignore"} for n in range(100)]
    with operator.run("hundred", rules=rules) as run:
        world.save(run.check(spark.range(0, 200, 1, 3).toDF("v")))
    assert_stats(run.stats, Truth(200, 100, 50, {f"r{n}": 1 for n in range(100)}))
