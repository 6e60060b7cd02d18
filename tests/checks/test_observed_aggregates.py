"""Aggregates that ride along with the write: one pass, of what was written, or a pass after it where Spark's observation is in doubt."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

import spark_pd

ROWS, DROPPED = 400, 100
DROP = {"rule": "kept", "expectation": "id >= 100", "action_if_failed": "drop"}
TOTAL = {"rule": "total", "rule_type": "agg_dq", "expectation": "sum(id) >= 0"}
MEAN = {"rule": "mean", "rule_type": "agg_dq", "expectation": "avg(id) > 200"}
RULES = [DROP, TOTAL, MEAN]
RIGHT = {"total": ("passed", sum(range(100, 400)), "target"), "mean": ("failed", 199.5, "source")}
UNKNOWN = dict.fromkeys(("total", "mean"), ("unknown", None, None))


@pytest.fixture(scope="module", params=["operator", "observation"])
def monitor(request: pytest.FixtureRequest, spark: Any) -> Iterator[spark_pd.Monitor]:
    installed = spark_pd.install(spark, {"spark.pd.counting": request.param})
    yield installed
    installed.uninstall()


@pytest.fixture
def numbers(spark: Any) -> tuple[Any, Any]:
    """Rows, and how many of them were computed so far."""
    computed = spark.sparkContext.accumulator(0)

    def number(n: int) -> tuple[int]:
        computed.add(1)
        return (n,)

    return spark.createDataFrame(spark.sparkContext.range(ROWS, numSlices=4).map(number), "id LONG"), computed


def shown(run: Any) -> dict[str, tuple[str, Any, str | None]]:
    return {r.name: (r.status, r.observed, r.judged_on) for r in run.stats.rules if r.rule_type != "row_dq"}


def save(df: Any, folder: Any, name: str = "out") -> None:
    df.write.mode("overwrite").parquet(str(folder / name))


@pytest.mark.versions
def test_aggregates_of_source_and_target_take_no_pass_of_their_own(monitor, numbers, tmp_path):
    df, computed = numbers
    with monitor.run("numbers", rules=RULES) as run:
        checked = run.check(df)
        assert computed.value == 0
        save(checked, tmp_path)
    assert computed.value == ROWS
    assert shown(run) == RIGHT
    assert (run.stats.exact, run.stats.dropped_count) == (True, DROPPED)


STOP = {"rule": "stop", "expectation": "id < 1000", "action_if_failed": "fail"}
MOST = {"rule": "most", "rule_type": "agg_dq", "expectation": "max(id) < 1000", "action_if_failed": "fail"}
QUERY = {"rule": "query", "rule_type": "query_dq", "expectation": "(SELECT count(*) FROM range(7)) > 7"}
DISTINCT = {"rule": "distinct", "rule_type": "agg_dq", "expectation": "count(DISTINCT id % 7) = 7"}
FILTER = {"rule": "filter", "rule_type": "agg_dq", "expectation": "count(*) FILTER (WHERE id % 2 = 0) > 150"}
BESIDE: dict[str, tuple[list[dict[str, str]], int, dict[str, tuple[str, Any, str | None]]]] = {
    # Rules that do not ride, how often the input is read for them, and what is found of them.
    "a row rule that fails": ([STOP], 1, {}),
    "an aggregate that fails": ([MOST], 2, {"most": ("passed", 399, "target")}),
    "a query": ([QUERY], 1, {"query": ("failed", 7, None)}),
    "DISTINCT": ([DISTINCT], 2, {"distinct": ("passed", 7, "target")}),
    "FILTER": ([FILTER], 2, {"filter": ("failed", 150, "target")}),
}


@pytest.mark.parametrize("beside", list(BESIDE))
def test_aggregates_ride_beside_what_is_settled_before_the_write(monitor, numbers, tmp_path, capfd, beside):
    rules, reads, found = BESIDE[beside]
    df, computed = numbers
    with monitor.run("numbers", rules=[*rules, *RULES]) as run:
        checked = run.check(df)
        # PySpark 4 logs, with all of its trace, whatever Spark is asked and refuses.
        assert "INVALID_OBSERVED_METRICS" not in capfd.readouterr().err
        assert computed.value == reads * ROWS
        save(checked, tmp_path)
    assert computed.value == (reads + 1) * ROWS
    assert shown(run) == {**RIGHT, **found}
    assert (run.stats.exact, run.stats.dropped_count) == (True, DROPPED)


def test_what_rides_is_known_where_what_was_judged_before_is_not(monitor, spark, tmp_path):
    """Of a random input only the write itself can tell."""
    random = spark.range(0, ROWS, 1, 4).selectExpr("id", "rand() AS luck")
    rules = [
        {"rule": "luck", "rule_type": "agg_dq", "expectation": "max(luck) > 1"},
        {"rule": "other", "rule_type": "agg_dq", "expectation": "count(DISTINCT luck) > 1"},
        DROP,
    ]
    with monitor.run("numbers", rules=rules) as run:
        save(run.check(random), tmp_path)
    written = spark.read.parquet(str(tmp_path / "out")).selectExpr("max(luck)").collect()[0][0]
    assert shown(run) == {"luck": ("failed", written, "target"), "other": ("unknown", None, None)}
    assert not run.stats.exact


@pytest.mark.parametrize("stopping", [{**STOP, "expectation": "id < 399"}, {**MOST, "expectation": "max(id) < 399"}])
def test_where_a_rule_stops_the_run_the_aggregates_are_judged_all_the_same(monitor, spark, tmp_path, stopping):
    with pytest.raises(spark_pd.RuleFailed) as raised, monitor.run("numbers", rules=[stopping, *RULES]) as run:
        save(run.check(spark.range(0, ROWS, 1, 4)), tmp_path)
    assert [rule.name for rule in raised.value.rules] == [stopping["rule"]]
    assert {name: told for name, told in shown(run).items() if name in RIGHT} == RIGHT
    assert not (tmp_path / "out").exists()
    assert (run.stats.status, run.stats.input_count, run.stats.output_count) == ("failed", ROWS, None)


def test_aggregates_that_ride_and_that_do_not_agree_with_duckdb(monitor, spark, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    spark.range(0, 2_000, 1, 4).selectExpr(
        "id", "if(id % 11 = 0, NULL, id % 40) AS grade", "CAST(id % 90 AS DECIMAL(9, 2)) / 8 AS price", "concat('k', id % 13) AS k"
    ).write.parquet(str(tmp_path / "in"))
    values = [
        "count(*)", "count(grade)", "sum(grade)", "min(price)", "max(k)", "avg(grade)", "sum(id * 2)",
        "count(DISTINCT k)", "count(*) FILTER (WHERE grade > 20)", "sum(id) FILTER (WHERE k = 'k3')",
    ]  # fmt: skip
    sides = {"source": "enable_for_target_dq_validation", "target": "enable_for_source_dq_validation"}
    rules = [
        {"rule": f"{side} {value}", "rule_type": "agg_dq", "expectation": f"{value} IS NOT NULL", off: False}
        for side, off in sides.items()
        for value in values
    ]
    rows = [
        {"rule": "dear", "expectation": "price < 9", "action_if_failed": "drop"},
        {"rule": "known", "expectation": "id IS NOT NULL", "action_if_failed": "fail"},
        {"rule": "query", "rule_type": "query_dq", "expectation": "(SELECT count(*) FROM {target}) > 0", "action_if_failed": "fail"},
    ]
    with monitor.run("numbers", rules=[*rows, *rules]) as run:
        save(run.check(spark.read.parquet(str(tmp_path / "in"))), tmp_path)
    assert run.stats.exact
    for side, where in (("source", "true"), ("target", "price < 9")):
        query = f"SELECT {', '.join(values)} FROM '{tmp_path / 'in'}/*.parquet' WHERE {where}"
        expected = duckdb.sql(query).fetchall()[0]
        found = [run.stats.rule(f"{side} {value}").observed for value in values]
        assert [str(value) if isinstance(value, str) else float(value) for value in found] == pytest.approx(
            [str(value) if isinstance(value, str) else float(value) for value in expected]
        )
    # And with what Spark says of the rows that were written.
    row = spark.read.parquet(str(tmp_path / "out")).selectExpr(*[f"{value} AS v{n}" for n, value in enumerate(values)]).first()
    assert [run.stats.rule(f"target {value}").observed for value in values] == list(row)


USES: dict[str, Callable[[Any, Any], None]] = {
    "shown before": lambda df, folder: (df.take(3), save(df, folder)),  # type: ignore[assignment]
    "counted before": lambda df, folder: (df.count(), save(df, folder)),  # type: ignore[assignment]
    "sorted": lambda df, folder: save(df.orderBy("id"), folder),
    "repartitioned by range": lambda df, folder: save(df.repartitionByRange(3, "id"), folder),
    "two writes": lambda df, folder: (save(df, folder), save(df, folder, "again")),  # type: ignore[assignment]
    "grouped": lambda df, folder: save(df.groupBy((df.id % 7).alias("k")).count(), folder),
    "one column of it": lambda df, folder: save(df.selectExpr("id + 1 AS x").filter("x % 2 = 0"), folder),
    "union with itself": lambda df, folder: save(df.union(df), folder),
}


@pytest.mark.versions
@pytest.mark.parametrize("use", list(USES))
def test_whatever_is_done_with_the_checked_rows(monitor, spark, tmp_path, use):
    with monitor.run("numbers", rules=RULES) as run:
        USES[use](run.check(spark.range(0, ROWS, 1, 4)), tmp_path)
    if run.stats.exact:
        assert shown(run) == RIGHT
    else:
        assert shown(run) == UNKNOWN
        # before 4.3 Spark observes sorted rows twice, the rows that are counted so too
        assert monitor.counting == "observation"
        assert use in ("sorted", "repartitioned by range")


def test_behind_a_cache(monitor, spark, tmp_path):
    with monitor.run("numbers", rules=RULES) as run:
        cached = run.check(spark.range(0, ROWS, 1, 4)).cache()
        assert cached.count() == ROWS - DROPPED
        save(cached, tmp_path)
    cached.unpersist()
    assert shown(run) == (RIGHT if run.stats.exact else UNKNOWN)
    assert run.stats.exact or monitor.counting == "observation"


@pytest.mark.parametrize("use", ["limited", "never written"])
def test_what_was_not_written_whole_is_unknown(monitor, spark, tmp_path, use):
    with monitor.run("numbers", rules=RULES) as run:
        checked = run.check(spark.range(0, ROWS, 1, 4))
        if use == "limited":
            save(checked.limit(5), tmp_path)
    assert shown(run) == UNKNOWN
    assert not run.stats.exact


def test_what_is_written_is_judged_though_it_is_random(monitor, spark, tmp_path):
    random = spark.range(0, ROWS, 1, 4).selectExpr("id", "rand() AS luck")
    rules = [{"rule": "luck", "rule_type": "agg_dq", "expectation": "max(luck) > 1"}, DROP]
    with monitor.run("numbers", rules=rules) as run:
        save(run.check(random), tmp_path)
    written = spark.read.parquet(str(tmp_path / "out")).selectExpr("max(luck)").collect()[0][0]
    assert shown(run) == {"luck": ("failed", written, "target")}
    assert run.stats.exact


def test_an_empty_input_and_one_of_literal_rows(monitor, spark, tmp_path):
    rules = [{"rule": "rows", "rule_type": "agg_dq", "expectation": "count(*) > 1"}, DROP]
    for df, rows in ((spark.range(0, ROWS, 1, 4).filter("id < 0"), 0), (spark.sql("SELECT * FROM VALUES (300L) AS t(id)"), 1)):
        with monitor.run("numbers", rules=rules) as run:
            save(run.check(df), tmp_path)
        assert shown(run) == {"rows": ("failed", rows, "target")} or shown(run) == {"rows": ("failed", rows, "source")}
        assert run.stats.exact


def test_values_come_back_as_a_query_gives_them(monitor, spark, tmp_path):
    df = spark.range(0, 3, 1, 2).selectExpr(
        "id", "CAST(id + 0.1 AS FLOAT) AS f", "CAST('NaN' AS DOUBLE) AS nan", "CAST(id AS DECIMAL(20, 5)) AS d",
        "date_add(DATE'2026-11-20', CAST(id AS INT)) AS day", "concat('quote \" é ', id) AS text", "CAST(NULL AS INT) AS nothing",
    )  # fmt: skip
    values = ["count(*)", "max(f)", "max(nan)", "sum(d)", "max(day)", "max(text)", "sum(nothing)", "avg(id)", "min(id) = 0"]
    rules = [{"rule": value, "rule_type": "agg_dq", "expectation": f"{value} IS NOT NULL"} for value in values]
    with monitor.run("numbers", rules=rules) as run:
        save(run.check(df), tmp_path)
    row = df.selectExpr(*[f"{value} AS v{n}" for n, value in enumerate(values)]).collect()[0]
    found = [run.stats.rule(value).observed for value in values]
    expected = [row[f"v{n}"] for n in range(len(values))]
    expected[6] = None
    expected[8] = found[8]  # of two comparisons it is not told which is the value
    assert str(found) == str(expected)
    assert [type(value) for value in found[:6]] == [int, float, float, Decimal, datetime.date, str]
    assert run.stats.rule("sum(nothing)").status == "failed"


def test_a_failed_write_that_is_done_again(monitor, spark, tmp_path):
    (tmp_path / "there").mkdir()
    with monitor.run("numbers", rules=RULES) as run:
        checked = run.check(spark.range(0, ROWS, 1, 4))
        with pytest.raises(Exception, match="there"):
            checked.write.parquet(str(tmp_path / "there"))
        save(checked, tmp_path)
    assert shown(run) == RIGHT
