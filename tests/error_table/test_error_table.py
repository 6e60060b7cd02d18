"""The error table in a real session: which rows it gets, by each way of counting, and that it never costs the job its result."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import spark_pd
from spark_pd import ErrorTable, RuleFailed

RULES = [
    {
        "rule": "tens",
        "expectation": "id % 10 <> 0",
        "action_if_failed": "drop",
        "tag": "validity",
        "description": "'no' \"tens\"\n\\ \U0001f600",
    },
    {"rule": "third", "expectation": "id % 3 <> 0", "priority": "high"},
]
FAIL = {"rule": "never_7", "expectation": "id <> 7", "action_if_failed": "fail"}
BAD = [n for n in range(30) if n % 10 == 0 or n % 3 == 0]
COUNTINGS = ("operator", "observation", "two_pass")


@pytest.fixture
def install(spark: Any) -> Iterator[Callable[..., spark_pd.Monitor]]:
    """A monitor that writes error tables. The tables that a test makes begin with `et_`, and are gone after it."""
    monitors = []

    def installed(counting: str = "operator", **config: Any) -> spark_pd.Monitor:
        named = {name.replace("__", "."): value for name, value in config.items()}
        monitors.append(spark_pd.install(spark, {"spark.pd.counting": counting, "se.enable.error.table": True, **named}))
        return monitors[-1]

    yield installed
    for monitor in monitors:
        monitor.uninstall()
    for table in spark.catalog.listTables():
        if table.name.startswith("et_"):
            spark.sql(f"DROP {'VIEW' if table.tableType == 'TEMPORARY' else 'TABLE'} IF EXISTS `{table.name}`")


@pytest.fixture(params=COUNTINGS)
def monitor(request: pytest.FixtureRequest, install: Any) -> spark_pd.Monitor:
    """A monitor for each way of counting."""
    made: spark_pd.Monitor = install(request.param)
    return made


@pytest.fixture(params=("operator", "two_pass"))
def either(request: pytest.FixtureRequest, install: Any) -> spark_pd.Monitor:
    """A monitor that keeps failing rows, and one that reads the input again."""
    made: spark_pd.Monitor = install(request.param)
    return made


def numbers(spark: Any, rows: int = 30) -> Any:
    return spark.range(0, rows, 1, 3)


def outcome(run: spark_pd.Run) -> tuple[bool, int | None, bool]:
    """Whether it was written, how many rows, and whether they are exact."""
    assert run.error_table is not None
    return run.error_table.written, run.error_table.rows, run.error_table.exact


def kept_rows(run: spark_pd.Run, rows: int) -> bool:
    """Whether so many rows were written, none of which was read again."""
    return run.error_table is not None and outcome(run) == (True, rows, True) and not run.error_table.read_again


def ids(spark: Any, table: str, run: spark_pd.Run | None = None) -> list[int]:
    frame = spark.table(table) if run is None else spark.table(table).filter(f"meta_dq_run_id = '{run.run_id}'")
    return sorted(row.id for row in frame.collect())


# ---- which rows ----------------------------------------------------------------------------------------------------------------


@pytest.mark.versions
def test_the_rows_that_fail_any_rule_are_kept_with_the_rules_that_they_failed(spark, monitor):
    with monitor.run("et_orders", rules=RULES) as run:
        run.check(numbers(spark)).write.saveAsTable("et_orders")
    again = monitor.counting != "operator"
    assert run.error_table == ErrorTable(name="et_orders_error", written=True, rows=len(BAD), exact=True, read_again=again)
    table = spark.table("et_orders_error")
    assert table.columns == ["id", "meta_row_dq_results", "meta_dq_run_id", "meta_dq_run_datetime"]
    tens = ("tens", "row_dq", "drop", "validity", "'no' \"tens\"\n\\ \U0001f600", None)
    third = ("third", "row_dq", "ignore", None, None, "high")
    rows = {row.id: (tuple(map(tuple, row.meta_row_dq_results)), row.meta_dq_run_id) for row in table.collect()}
    assert rows == {n: (tuple(each for each, failed in ((tens, n % 10 == 0), (third, n % 3 == 0)) if failed), run.run_id) for n in BAD}
    assert run.stats is not None
    micros = table.selectExpr("unix_micros(meta_dq_run_datetime) AS at").first().at
    assert datetime.fromtimestamp(micros / 1e6, timezone.utc) == run.stats.started_at


def test_nothing_is_written_where_nothing_failed(spark, monitor):
    with monitor.run("et_orders", rules=RULES) as run:
        run.check(numbers(spark).filter("id IN (1, 2)")).write.saveAsTable("et_orders")
    assert run.error_table == ErrorTable(name="et_orders_error", written=False, rows=0, exact=True, reason="no row failed a rule")
    assert not spark.catalog.tableExists("et_orders_error")


@pytest.mark.versions
def test_a_rerun_appends_under_another_run_id(spark, either):
    runs = []
    for _ in range(2):
        with either.run("et_orders", rules=RULES) as run:
            run.check(numbers(spark)).write.mode("overwrite").saveAsTable("et_orders")
        runs.append(run)
    assert [ids(spark, "et_orders_error", run) for run in runs] == [BAD, BAD]


def test_run_write_and_decorated_functions_write_beside_their_target(spark, either, tmp_path):
    with either.run("et_orders", rules=RULES) as run:
        run.write(run.check(numbers(spark)), tmp_path / "orders", format="json")
    with either.run("et_orders", rules=RULES) as run:
        run.write(run.check(numbers(spark).selectExpr("id", "1 AS new")), tmp_path / "orders", format="json")
    assert (run.error_table.name, outcome(run)) == (f"{tmp_path}/orders_error", (True, len(BAD), True))
    assert sorted(row.id for row in spark.read.json(f"{tmp_path}/orders_error").collect()) == sorted(BAD * 2)

    @either.with_expectations("et_daily", rules=RULES, format="parquet")
    def daily() -> Any:
        return numbers(spark)

    assert outcome(daily()) == (True, len(BAD), True)
    assert ids(spark, "et_daily_error") == BAD


def test_without_the_setting_there_is_no_error_table(spark, install):
    monitor = install(se__enable__error__table=False)
    with monitor.run("et_orders", rules=RULES) as run:
        run.check(numbers(spark)).write.saveAsTable("et_orders")
    assert run.error_table is None
    assert not spark.catalog.tableExists("et_orders_error")


def test_nothing_is_written_of_what_was_never_written_or_not_read_to_its_end(spark, monitor, tmp_path):
    with monitor.run("et_orders", rules=RULES) as run:
        run.check(numbers(spark)).count()
    assert outcome(run) == (False, None, False)
    assert "not seen to be written" in run.error_table.reason
    if monitor.counting != "two_pass":  # which cannot see that
        with monitor.run("et_orders", rules=RULES) as run:
            run.check(numbers(spark)).limit(2).write.parquet(str(tmp_path / "out"))
        assert outcome(run) == (False, None, False)
        assert "did not read all" in run.error_table.reason
    assert not spark.catalog.tableExists("et_orders_error")


def test_what_was_written_before_the_block_failed_has_its_error_table_and_the_exception_is_the_jobs(spark, either):
    with pytest.raises(ZeroDivisionError), either.run("et_orders", rules=RULES) as run:
        run.check(numbers(spark)).write.saveAsTable("et_orders")
        _ = 1 / 0
    assert outcome(run) == (True, len(BAD), True)


# ---- fail rules ----------------------------------------------------------------------------------------------------------------


def own_merge(df: Any) -> None:
    """What a user's own function does: the rows that are there and the new ones, to a new folder that takes the old one's place."""
    spark = df.sparkSession
    merged = spark.table("et_target").unionByName(df).dropDuplicates(["id"])
    merged.write.mode("overwrite").saveAsTable("et_merged")


WRITERS: dict[str, Callable[[Any, Path], Any]] = {
    "parquet": lambda df, folder: df.write.mode("overwrite").parquet(str(folder / "target")),
    "saveAsTable": lambda df, folder: df.write.mode("overwrite").saveAsTable("et_target"),
    "insertInto": lambda df, folder: df.write.insertInto("et_target", overwrite=True),
    "own function": lambda df, folder: own_merge(df),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_fail_rule_leaves_the_target_as_it_was_and_its_rows_in_the_error_table(spark, install, tmp_path, writer):
    monitor = install()
    spark.range(100, 103).write.parquet(str(tmp_path / "target"))
    spark.range(100, 103).write.saveAsTable("et_target")
    with pytest.raises(RuleFailed), monitor.run("et_target", rules=[*RULES, FAIL]) as run:
        WRITERS[writer](run.check(numbers(spark)), tmp_path)
    assert ids(spark, "et_target") == [100, 101, 102]
    assert sorted(row.id for row in spark.read.parquet(str(tmp_path / "target")).collect()) == [100, 101, 102]
    assert not spark.catalog.tableExists("et_merged")
    assert outcome(run) == (True, len(BAD) + 1, True)
    assert ids(spark, "et_target_error") == sorted([*BAD, 7])


def test_a_decorated_function_that_is_stopped_has_its_error_table_in_its_format(spark, install):
    @install().with_expectations("et_daily", rules=[FAIL], format="json")
    def daily() -> Any:
        return numbers(spark)

    with pytest.raises(RuleFailed):
        daily()
    rows = spark.sql("DESCRIBE TABLE EXTENDED et_daily_error").filter("col_name = 'Provider'").collect()
    assert [row.data_type for row in rows] == ["json"]
    assert not spark.catalog.tableExists("et_daily")


# ---- rows that were kept as they were counted ------------------------------------------------------------------------------------


def test_an_input_that_is_not_deterministic_has_the_very_rows_that_were_dropped(spark, install):
    monitor = install()
    frame = numbers(spark, 3000).withColumn("x", chance())
    with monitor.run("et_orders", rules=[{"rule": "low", "expectation": "x < 0.9", "action_if_failed": "drop"}]) as run:
        run.check(frame).write.saveAsTable("et_orders")
    assert kept_rows(run, run.stats.dropped_count)
    assert sorted(ids(spark, "et_orders") + ids(spark, "et_orders_error")) == list(range(3000))
    assert spark.table("et_orders_error").filter("x < 0.9").count() == 0


def chance() -> Any:
    """Another number each time: rand() gives the same ones for one plan."""
    from pyspark.sql import functions as F

    return F.udf(lambda: random.random(), "double", useArrow=False).asNondeterministic()()


def test_rows_that_are_read_again_of_such_an_input_are_not_vouched_for(spark, install):
    monitor = install("two_pass")
    frame = numbers(spark, 300).withColumn("x", chance())
    with monitor.run("et_orders", rules=[{"rule": "low", "expectation": "x < 0.5", "action_if_failed": "drop"}]) as run:
        run.check(frame).write.saveAsTable("et_orders")
    written, rows, exact = outcome(run)
    assert (written, exact) == (True, False)
    assert rows == spark.table("et_orders_error").count() > 0
    assert "not deterministic" in run.error_table.reason


def test_a_source_that_lost_its_failing_rows_meanwhile_makes_no_table(spark, install):
    monitor = install("two_pass")
    numbers(spark).write.saveAsTable("et_source")
    with monitor.run("et_orders", rules=RULES) as run:
        checked = run.check(spark.table("et_source"))
        checked.write.saveAsTable("et_orders")
        spark.table("et_orders").filter("id % 3 <> 0").write.insertInto("et_source", overwrite=True)
        spark.catalog.refreshTable("et_source")
    assert outcome(run) == (False, 0, False)
    assert "gave 0, where an unknown number had been counted" in run.error_table.reason
    assert not spark.catalog.tableExists("et_orders_error")


def reads(spark: Any, folder: Path) -> tuple[Any, Callable[[], int]]:
    """Numbers that come by a Python function, and how often it was called."""
    from pyspark.sql import functions as F

    calls = spark.sparkContext.accumulator(0)

    def seen(n: int) -> int:
        calls.add(1)
        return n

    spark.range(0, 30, 1, 3).write.parquet(str(folder / "source"))
    same = F.udf(seen, "long", useArrow=False).asNondeterministic()  # else Spark may call it twice for a row
    return spark.read.parquet(str(folder / "source")).withColumn("id", same("id")), lambda: calls.value


@pytest.mark.versions
@pytest.mark.parametrize(("counting", "times"), [("operator", 1), ("observation", 2)])
def test_the_input_is_read_once_where_rows_are_kept(spark, install, tmp_path, counting, times):
    monitor = install(counting)
    frame, calls = reads(spark, tmp_path)
    with monitor.run("et_orders", rules=RULES) as run:
        run.check(frame).write.saveAsTable("et_orders")
    assert outcome(run) == (True, len(BAD), True)
    assert ids(spark, "et_orders_error") == BAD
    assert calls() == 30 * times


@pytest.fixture
def little_room(spark: Any) -> Iterator[None]:
    """A driver that takes 1 MB of results from all tasks of a stage: then there is room for 128 KB of rows."""
    conf = spark.sparkContext._jsc.sc().conf()
    conf.set("spark.driver.maxResultSize", "1m")
    yield
    conf.remove("spark.driver.maxResultSize")


def test_more_failing_rows_than_there_is_room_for_are_read_again(spark, install, little_room):
    monitor = install()
    wide = spark.range(0, 9000, 1, 3).selectExpr("id", "id % 300 AS n", "repeat('x', 200) AS long")
    rules = [{"rule": "none", "expectation": "n < 0", "action_if_failed": "drop"}]
    with monitor.run("et_orders", rules=rules) as run:
        run.check(wide).write.saveAsTable("et_orders")
    assert outcome(run) == (True, 9000, True)
    assert run.error_table.read_again
    assert spark.table("et_orders_error").count() == 9000


def test_many_tasks_that_all_keep_rows_never_make_spark_end_the_job(spark, install, little_room):
    monitor = install()
    rules = [{"rule": "none", "expectation": "id < 0"}]
    with monitor.run("et_orders", rules=rules) as run:
        run.check(spark.range(0, 40_000, 1, 12).selectExpr("id", "repeat('x', 100) AS long")).write.saveAsTable("et_orders")
    assert outcome(run) == (True, 40_000, True)
    assert spark.table("et_orders").count() == 40_000


def test_looks_before_the_write_do_not_add_rows(spark, install):
    monitor = install()
    with monitor.run("et_orders", rules=RULES) as run:
        checked = run.check(numbers(spark))
        checked.count(), checked.take(1), checked.orderBy("id").collect()
        checked.write.saveAsTable("et_orders")
    assert kept_rows(run, len(BAD))
    assert ids(spark, "et_orders_error") == BAD


USES: dict[str, Callable[[Any], Any]] = {
    "one column": lambda df: df.select("n"),
    "sorted": lambda df: df.orderBy("n"),
    "cached": lambda df: df.cache(),
    "joined": lambda df: df.join(df.sparkSession.range(30).toDF("n"), "n"),
    "aggregated": lambda df: df.groupBy("n").count(),
    "with itself": lambda df: df.union(df),
    "filtered": lambda df: df.filter("n > 3").select("n"),
    "ranged": lambda df: df.repartitionByRange(3, "n").select("n"),
}


@pytest.mark.parametrize("use", USES)
def test_whatever_is_made_of_the_checked_rows_all_columns_of_the_failing_ones_are_kept(spark, install, use, tmp_path):
    monitor = install()
    spark.range(0, 30, 1, 3).selectExpr("id", "id AS n", "'always' AS same", "named_struct('x', id, 'y', -id) AS s").write.parquet(
        str(tmp_path / "source")
    )
    with monitor.run("et_orders", rules=RULES) as run:
        run.check(spark.read.parquet(str(tmp_path / "source"))).transform(USES[use]).write.parquet(str(tmp_path / "out"))
    assert run.stats.exact
    assert kept_rows(run, len(BAD))
    assert sorted((r.id, r.n, r.same, r.s.x, r.s.y) for r in spark.table("et_orders_error").collect()) == [
        (n, n, "always", n, -n) for n in BAD
    ]


TYPES = (
    "id",
    *(f"CAST(id AS {each}) AS {each}" for each in ("byte", "short", "int", "float", "double", "string")),
    "id % 2 = 0 AS yes",
    "CAST(id AS DECIMAL(30, 3)) AS wide",
    "CAST(id AS DECIMAL(9, 2)) AS narrow",
    "encode(CAST(id AS STRING), 'UTF-8') AS bytes",
    "timestamp_seconds(id) AS at",
    "CAST(timestamp_seconds(id) AS TIMESTAMP_NTZ) AS local",
    "date_add(DATE '2020-01-01', CAST(id AS INT)) AS day",
    "array(id, NULL) AS many",
    "map('k', id) AS named",
    "named_struct('in', named_struct('ner', id)) AS deep",
    "IF(id % 2 = 0, id, NULL) AS some",
    "make_dt_interval(1, 2) AS span",
    "CAST(NULL AS STRING) AS nothing",
    "5 AS always",
    "id AS `dotted.name`",
    "id AS `ti``ck`",
    "id AS `\U0001f600`",
)


@pytest.mark.versions
@pytest.mark.parametrize("source", ["scan", "rows"])
def test_every_type_and_name_comes_through_as_it_was(spark, install, source, tmp_path):
    monitor = install()
    frame = spark.range(0, 30, 1, 3).selectExpr(*TYPES)
    if source == "scan":
        frame.write.parquet(str(tmp_path / "source"))
        frame = spark.read.parquet(str(tmp_path / "source"))
    else:  # a limit: no scan, and a row for each row
        frame = frame.limit(30)
    with monitor.run("et_orders", rules=RULES) as run:
        run.check(frame).write.parquet(str(tmp_path / "out"))
    assert kept_rows(run, len(BAD))
    kept = spark.table("et_orders_error")
    assert kept.dtypes[:-3] == frame.dtypes
    bad = frame.filter(f"id IN ({', '.join(map(str, BAD))})")
    own = kept.drop("meta_row_dq_results", "meta_dq_run_id", "meta_dq_run_datetime")
    assert sorted(map(str, own.collect())) == sorted(map(str, bad.collect()))


@pytest.mark.versions
@pytest.mark.parametrize("fields", [100, 500])
def test_two_hundred_columns_and_seventy_rules_in_generated_code_or_beside_it(spark, install, fields, tmp_path):
    monitor = install()
    wide = spark.range(0, 30, 1, 3).selectExpr("id", *[f"id + {n} AS c{n}" for n in range(200)])
    wide.write.parquet(str(tmp_path / "source"))
    rules = [{"rule": f"r{n}", "expectation": f"c{n} <> {100 + n}"} for n in range(69)] + [
        {"rule": "last", "expectation": "exists(array(id), x -> x <> 4)", "action_if_failed": "drop"}
    ]
    source = spark.read.parquet(str(tmp_path / "source"))
    spark.conf.set("spark.sql.codegen.maxFields", fields)
    try:
        with monitor.run("et_orders", rules=rules) as run:
            run.check(source).write.parquet(str(tmp_path / "out"))
    finally:
        spark.conf.unset("spark.sql.codegen.maxFields")
    assert run.stats.error_count == 1
    assert kept_rows(run, 1)
    (row,) = spark.table("et_orders_error").collect()
    assert (row.id, row.c199, [each.rule for each in row.meta_row_dq_results]) == (4, 203, ["last"])


def test_a_row_that_fails_rules_of_two_mask_words_has_them_all_in_their_order(spark, either):
    rules = [{"rule": f"r{n}", "expectation": f"id <> {n % 5}"} for n in range(64)]
    with either.run("et_orders", rules=rules) as run:
        run.check(spark.range(0, 10, 1, 2)).write.saveAsTable("et_orders")
    assert outcome(run) == (True, 5, True)
    for row in spark.table("et_orders_error").collect():
        assert [each.rule for each in row.meta_row_dq_results] == [f"r{n}" for n in range(64) if n % 5 == row.id]


def test_literal_rows_are_kept_too(spark, either):
    frame = spark.sql("SELECT * FROM VALUES (1, 'a'), (10, 'b'), (NULL, 'c') AS t(id, name)")
    with either.run("et_orders", rules=RULES) as run:
        run.check(frame).write.saveAsTable("et_orders")
    assert outcome(run) == (True, 2, True)
    assert sorted(row.name for row in spark.table("et_orders_error").collect()) == ["b", "c"]


def test_what_came_from_an_error_table_gets_this_runs_columns(spark, either):
    with either.run("et_orders", rules=RULES) as run:
        run.check(numbers(spark)).write.saveAsTable("et_orders")
    with either.run("et_again", rules=RULES) as again:
        run2 = again.check(spark.table("et_orders_error"))
        run2.select("id").write.saveAsTable("et_again")
    assert outcome(again) == (True, len(BAD), True)
    assert spark.table("et_again_error").columns == spark.table("et_orders_error").columns
    assert ids(spark, "et_again_error", again) == BAD


# ---- tables that are not as expected -------------------------------------------------------------------------------------------


def test_a_catalogs_table_gets_the_columns_that_it_lacks(spark, install):
    monitor = install()
    for columns in (("id", "1 AS old"), ("id", "named_struct('x', id) AS new"), ("id",)):
        with monitor.run("et_orders", rules=RULES) as run:
            run.check(numbers(spark).selectExpr(*columns)).write.mode("overwrite").saveAsTable("et_orders")
        assert outcome(run) == (True, len(BAD), True), run.error_table
    table = spark.table("et_orders_error")
    assert set(table.columns) >= {"id", "old", "new"}
    assert table.selectExpr("count(*)", "count(old)", "count(new)").first()[:] == (3 * len(BAD), len(BAD), len(BAD))


def test_nested_columns_of_any_name_are_added_and_may_be_gone_again(spark, install):
    monitor = install()
    for columns in (("id",), ("id", "array(named_struct('a b.`c`', id, 'at', timestamp_seconds(id))) AS new"), ("id",)):
        with monitor.run("et_orders", rules=RULES) as run:
            run.check(numbers(spark).selectExpr(*columns)).write.mode("overwrite").saveAsTable("et_orders")
        assert outcome(run) == (True, len(BAD), True), run.error_table
    found = spark.table("et_orders_error")
    assert found.selectExpr("count(*)", "count(new)", "sum(new[0].`a b.``c```)").first()[:] == (3 * len(BAD), len(BAD), sum(BAD))


@pytest.mark.parametrize("pattern", ["{table}_error", "/errors/{table}"])
def test_runs_that_write_one_error_table_of_files_at_once_lose_no_row(spark, install, tmp_path, pattern):
    place = pattern if "/" not in pattern else f"{tmp_path}{pattern}"
    monitor, notifier, done = install(spark__pd__error__table=place), threading.Barrier(4), []

    def write(writer: int) -> None:
        notifier.wait()
        for _ in range(3):
            with monitor.run("et_orders", rules=RULES, scope=str(writer)) as run:
                run.check(numbers(spark)).write.format("noop").mode("overwrite").save()
            done.append(run)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome(run) for run in done] == [(True, len(BAD), True)] * 12, [run.error_table for run in done]
    found = spark.table("et_orders_error") if "/" not in place else spark.read.parquet(f"{tmp_path}/errors/et_orders")
    counts = {row.meta_dq_run_id: row["count"] for row in found.groupBy("meta_dq_run_id").count().collect()}
    assert counts == {run.run_id: len(BAD) for run in done}


def test_a_column_of_another_type_is_told_and_leaves_the_table_as_it_was(spark, install, tmp_path, caplog):
    monitor = install()
    for target in ("et_orders", str(tmp_path / "orders")):
        for column in ("id AS x", "CAST(id AS STRING) AS x"):
            with monitor.run("et_orders", rules=RULES) as run:
                run.write(run.check(numbers(spark).selectExpr("id", column)), target, mode="overwrite")
            assert run.stats.exact
        assert outcome(run) == (False, None, False)
        assert "x is bigint there and string here" in run.error_table.reason
        assert any(run.error_table.reason in record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
    assert ids(spark, "et_orders_error") == BAD


def test_an_error_table_that_cannot_be_written_costs_the_job_nothing(spark, either, caplog):
    with either.run("no_such_schema.et_orders", rules=RULES) as run:
        run.check(numbers(spark)).write.saveAsTable("et_orders")
    assert (run.stats.status, outcome(run)) == ("passed", (False, None, False))
    assert run.error_table.reason.startswith("it could not be written: ")
    assert any("no_such_schema.et_orders_error" in record.getMessage() for record in caplog.records)


def test_nor_does_it_mask_the_failure_of_a_rule(spark, install):
    with pytest.raises(RuleFailed, match="never_7"), install().run("no_such_schema.et_orders", rules=[FAIL]) as run:
        run.check(numbers(spark))
    assert outcome(run) == (False, None, False)


def test_the_generated_text_is_the_same_from_run_to_run_so_that_spark_compiles_it_once(spark, install):
    monitor = install()
    texts = set()
    for _ in range(2):
        with monitor.run("et_orders", rules=RULES) as run:
            checked = run.check(numbers(spark))
            texts.add(checked._jdf.queryExecution().executedPlan().doCodeGen()._2().body())
            checked.write.mode("overwrite").saveAsTable("et_orders")
        assert kept_rows(run, len(BAD))
    assert len(texts) == 1
    assert ".keep(" in texts.pop()


def test_closing_frees_what_was_kept_and_the_checked_rows_stay_usable(spark, install):
    monitor = install()
    with monitor.run("et_orders", rules=RULES) as run:
        checked = run.check(numbers(spark))
        checked.write.saveAsTable("et_orders")
        records = run._checked._counter._java
        assert [each for each in records.evaluations().splitlines() if each]
    assert not records.evaluations()
    assert checked.count() == 27


# ---- samples -------------------------------------------------------------------------------------------------------------------


def test_samples_show_the_allowed_columns_and_hide_the_others(spark, pagerduty):
    for counting in COUNTINGS:
        config = {**pagerduty.config, "spark.pd.counting": counting, "spark.pd.on.ignored_rules": True}
        config |= {"spark.pd.samples": 2, "spark.pd.samples.columns": "id, s"}
        monitor = spark_pd.install(spark, config)
        frame = numbers(spark).selectExpr("id", "'secret' AS name", "named_struct('at', timestamp_seconds(id)) AS s")
        with monitor.run("et_orders", rules=RULES) as run:
            run.check(frame).write.format("noop").mode("overwrite").save()
        monitor.uninstall()
        assert run.error_table is None
        for rule in run.stats.rules:
            assert len(rule.samples) == 2
            for sample in rule.samples:
                assert sample["id"] % (10 if rule.name == "tens" else 3) == 0
                assert (list(sample), sample["name"]) == (["id", "name", "s"], "***")
        (incident,) = pagerduty.open_incidents()
        told = {rule["rule"]: rule["samples"] for rule in incident.details["failed_rules"]}
        assert {rule: len(rows) for rule, rows in told.items()} == {"tens": 2, "third": 2}
        assert all(isinstance(row["s"]["at"], str) and row["name"] == "***" for rows in told.values() for row in rows)
        assert "secret" not in str(pagerduty.events)
        pagerduty.reset()


def test_samples_of_a_rule_that_stops_the_run_are_in_its_incident_and_its_error(spark, pagerduty):
    monitor = spark_pd.install(spark, {**pagerduty.config, "spark.pd.samples": 1, "spark.pd.samples.columns": "*"})
    with pytest.raises(RuleFailed) as error, monitor.run("et_orders", rules=[FAIL]) as run:
        run.check(numbers(spark))
    monitor.uninstall()
    assert error.value.rules[0].samples == run.stats.rule("never_7").samples == ({"id": 7},)
    (incident,) = pagerduty.open_incidents()
    assert incident.details["failed_rules"][0]["samples"] == [{"id": 7}]


def test_without_the_setting_no_value_of_a_row_is_told(spark, install):
    monitor = install()
    with monitor.run("et_orders", rules=RULES) as run:
        run.check(numbers(spark)).write.saveAsTable("et_orders")
    assert [rule.samples for rule in run.stats.rules] == [(), ()]
