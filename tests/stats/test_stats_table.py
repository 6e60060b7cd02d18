"""The stats table on the road: a real session, real Parquet, in a catalog and in folders."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import spark_pd
from spark_pd import RuleFailed
from spark_pd.history.past_runs_reader import newest_runs, past_runs
from spark_pd.history.stats_columns import COLUMNS
from spark_pd.history.stats_row import row_of
from spark_pd.model import Rule, RuleResult
from spark_pd.spark.file_tables import mended_by
from spark_pd.spark.tables import Table, beside
from tests.end_to_end.shared import write
from tests.stats.test_stats_row import ENDED, FACTS, STATS

TENS = {"rule": "tens", "expectation": "id % 10 <> 0", "action_if_failed": "drop", "description": 'it\'s `tens`, "ünïcødé" 🎈'}
ROWS = {"rule": "rows", "rule_type": "agg_dq", "expectation": "count(*) > 5"}
NEVER = {"rule": "never", "expectation": "id <> 7", "action_if_failed": "fail"}
THRESHOLD = {"spark.pd.on.error_drop_threshold": True, "spark.pd.limit.error_drop_threshold": 10}


@pytest.fixture
def stats(tmp_path: Path) -> str:
    return str(tmp_path / "stats")


@pytest.fixture
def run(spark, stats):
    """Runs `orders` over so many numbers with rules, and gives the Run; nothing is sent."""

    def ran(rows: int = 100, rules: Any = (TENS,), name: str = "orders", config: Any = None, use: Any = write, **fields: Any) -> Any:
        monitor = spark_pd.install(spark, {"spark.pd.stats.table": stats, "spark.pd.environment": "test", **(config or {})})
        try:
            with monitor.run(name, rules=list(rules), **fields) as run:
                use(run.check(spark.range(rows)))
        finally:
            monitor.uninstall()
        return run

    return ran


def rows_of(spark: Any, name: str) -> list[dict[str, Any]]:
    frame = spark.read.parquet(name) if "/" in name else spark.table(name)
    return [row.asDict(recursive=True) for row in frame.orderBy("started_at").collect()]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.versions
def test_each_run_appends_its_row_to_a_folder(spark, run, stats):
    first = run(rules=[TENS, ROWS], scope="today", product_id="sales")
    run(rows=20, config={**THRESHOLD})
    one, two = rows_of(spark, stats)
    assert list(one) == [column.name for column in COLUMNS]
    assert {name: one[name] for name in ("product_id", "table_name", "input_count", "error_count", "output_count", "dropped_count")} == {
        "product_id": "sales", "table_name": "orders", "input_count": 100, "error_count": 10, "output_count": 90, "dropped_count": 10,
    }  # fmt: skip
    assert (one["meta_dq_run_id"], one["exact"], one["status"], one["counting"]) == (first.run_id, True, "passed", first.stats.counting)
    assert (one["output_percentage"], one["error_drop_percentage"]) == (90.0, 10.0)
    assert one["subject"] == "spark_pd/test/sales/orders/scope=today"
    assert one["row_dq_res_summary"][0]["description"] == TENS["description"]
    assert one["dq_rules"]["rules"] == {"num_row_dq_rules": 1, "num_dq_rules": 2}
    assert [(each["name"], each["status"], each["failed_count"], each["observed"]) for each in one["rules"]] == [
        ("tens", "failed", 10, None),
        ("rows", "passed", None, "90"),
    ]
    assert {each["trigger"]: each["outcome"] for each in two["decisions"]}["error_drop_threshold"] == "firing"
    assert [(each["trigger"], each["state"], each["status"]) for each in two["deliveries"]] == [
        ("error_drop_threshold", "firing", "suppressed"),
        ("failure", "resolved", "suppressed"),
    ]


def test_times_are_the_run_s_whatever_the_session_s_time_zone(spark, run, stats):
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", "Pacific/Kiritimati")
    try:
        found = run()
        (row,) = (
            spark.read.parquet(stats)
            .selectExpr("unix_micros(started_at) AS s", "unix_micros(ended_at) AS e", "CAST(meta_dq_run_date AS STRING) AS d")
            .collect()
        )
    finally:
        spark.conf.set("spark.sql.session.timeZone", before)
    # A time travels through a float nowhere.
    assert row.s == round(found.stats.started_at.timestamp() * 1e6)
    assert row.e >= round(found.stats.ended_at.timestamp() * 1e6)
    assert row.d == found.stats.started_at.date().isoformat()


def test_a_run_that_failed_was_stopped_or_cancelled_has_its_row_and_its_exception(spark, run, stats):
    def failing(error: BaseException) -> Any:
        def use(df: Any) -> None:
            raise error

        return use

    with pytest.raises(ValueError, match="hunter2"):
        run(use=failing(ValueError("password=hunter2")))
    with pytest.raises(RuleFailed):
        run(rules=[NEVER])
    with pytest.raises(KeyboardInterrupt):
        run(use=failing(KeyboardInterrupt()))
    run(use=lambda df: None)
    rows = rows_of(spark, stats)
    assert [(r["status"], r["failure"], r["failure_class"], r["input_count"]) for r in rows] == [
        ("errored", "ValueError: password=***", "ValueError", None),
        ("failed", rows[1]["failure"], "RuleFailed", 100),
        ("cancelled", None, None, None),
        ("unknown", None, None, None),
    ]
    assert "never" in rows[1]["failure"]
    assert rows[3]["unknown_because"]
    assert "hunter2" not in json.dumps(rows, default=str)


@pytest.mark.versions
def test_a_table_of_a_catalog_gets_its_columns_comments_and_rows(spark, run):
    name = "stats_of_a_catalog"
    try:
        run(config={"spark.pd.stats.table": name})
        run(config={"spark.pd.stats.table": name})
        assert [row["input_count"] for row in rows_of(spark, name)] == [100, 100]
        comments = {row.col_name: row.comment for row in spark.sql(f"DESCRIBE TABLE {name}").collect()}
        assert comments == {column.name: column.doc for column in COLUMNS}
    finally:
        spark.sql(f"DROP TABLE IF EXISTS {name}")


def test_a_table_with_fewer_and_other_columns_gets_those_that_it_has_and_one_warning(spark, run, caplog):
    """Such as one that spark-expectations made."""
    name = "stats_of_another"
    spark.sql(f"CREATE TABLE {name} (databricks_hostname STRING, Input_Count INT, table_name STRING, status STRING) USING parquet")
    try:
        monitor = spark_pd.install(spark, {"spark.pd.stats.table": name})
        for rows in (100, 50):
            with monitor.run("orders", rules=[TENS]) as found:
                write(found.check(spark.range(rows)))
            assert found.stats.exact
        monitor.uninstall()
        assert sorted(tuple(row) for row in spark.table(name).collect()) == [
            (None, 50, "orders", "passed"),
            (None, 100, "orders", "passed"),
        ]
        lacking = [text for text in warnings(caplog) if f"{name} lacks the columns product_id, error_count" in text]
        assert len(lacking) == 1
        assert past_runs(Table(spark, name, format=None, columns=COLUMNS), "spark_pd/-/-/orders", most=5) == ()
    finally:
        spark.sql(f"DROP TABLE {name}")


def test_columns_of_another_type_get_what_fits_and_one_warning_and_tell_nothing_wrong(spark, caplog):
    name = "stats_of_other_types"
    types = "input_count TINYINT, status INT, exact STRING, output_percentage DECIMAL(4, 1), subject STRING, Started_At TIMESTAMP"
    spark.sql(f"CREATE TABLE {name} ({types}) USING parquet")
    try:
        monitor = spark_pd.install(spark, {"spark.pd.stats.table": name})
        for rows in (100, 300):
            with monitor.run("orders", rules=[TENS]) as found:
                write(found.check(spark.range(rows)))
        monitor.uninstall()
        written = spark.table(name).orderBy("started_at").selectExpr("input_count", "status", "exact", "int(output_percentage)")
        assert [tuple(row) for row in written.collect()] == [(100, None, "true", 90), (None, None, "true", 90)]
        (told,) = (text for text in warnings(caplog) if "has other types than ours" in text)
        assert "input_count is tinyint there and bigint here; status is int there and string here; exact is string there" in told
        spark.sql(f"INSERT INTO {name} SELECT 7, NULL, 'false', NULL, subject, timestamp_micros(0) FROM {name} LIMIT 1")
        past = past_runs(Table(spark, name, format=None, columns=COLUMNS), "spark_pd/-/-/orders", most=5)
        assert [(each.input_count, each.exact) for each in past] == [(None, True), (100, True), (7, False)]
    finally:
        spark.sql(f"DROP TABLE {name}")


def test_of_a_table_of_files_that_others_made_one_warning_has_the_statement_that_mends_it(spark, caplog):
    """That it does: test_stats_processes.py."""
    name = "stats_of_others"
    spark.sql(f"CREATE TABLE {name} (table_name STRING) USING parquet")

    def told() -> list[str]:
        """The statements of the warnings of one monitor's two runs."""
        caplog.clear()
        monitor = spark_pd.install(spark, {"spark.pd.stats.table": name})
        for _ in range(2):
            with monitor.run("orders"):
                pass
        monitor.uninstall()
        return [text[text.index("ALTER TABLE") :] for text in warnings(caplog) if f"{name} is a table of files" in text]

    try:
        (statement,) = told()
        assert statement == mended_by(name)
        spark.sql(statement)
        assert told() == []
        assert spark.table(name).count() == 4
    finally:
        spark.sql(f"DROP TABLE {name}")
    assert mended_by("dq_stats") in (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")


def test_a_table_that_cannot_be_written_changes_nothing_but_for_one_warning(spark, run, tmp_path, caplog):
    (tmp_path / "a file").write_text("no folder")
    found = run(config={"spark.pd.stats.table": str(tmp_path / "a file" / "stats")})
    assert (found.stats.status, found.stats.exact) == ("passed", True)
    told = [text for text in warnings(caplog) if "row could not be written" in text]
    assert len(told) == 1
    with pytest.raises(ZeroDivisionError):
        run(config={"spark.pd.stats.table": "no_such_catalog.s.t"}, use=lambda df: 1 / 0)


def test_a_run_that_gets_its_verdict_from_outside_asks_spark_for_nothing_and_has_no_row(spark, run, stats, caplog):
    """As SIGTERM and the interpreter's end do it: nobody may wait for Spark then."""
    run()
    monitor = spark_pd.install(spark, {"spark.pd.stats.table": stats, "spark.pd.on.unusual_volume": True})
    with monitor.run("orders", rules=[TENS]) as found:
        checked = found.check(spark.range(100))
        assert found.conclude("errored", "terminated by SIGTERM")
        write(checked)
    monitor.uninstall()
    assert found.stats.status == "errored"
    assert len(rows_of(spark, stats)) == 1
    assert f"{stats}: this run gets no row: terminated by SIGTERM" in warnings(caplog)
    (decision,) = [d for d in found.decisions if d.trigger == "unusual_volume"]
    assert (decision.outcome, decision.reason) == ("unknown", "terminated by SIGTERM")


def test_without_the_setting_there_is_no_table_and_no_history(spark, run, stats):
    found = run(config={"spark.pd.stats.table": "", "spark.pd.on.unusual_volume": True})
    assert not Path(stats).exists()
    assert [d.reason for d in found.decisions if d.trigger == "unusual_volume"] == ["there is no history: spark.pd.stats.table is not set"]


def test_1000_rules_make_one_row(spark, stats):
    rules = tuple(Rule(name=f"rule {n}", expectation=f"id <> {n}", description="d" * 100) for n in range(1000))
    results = tuple(RuleResult.of(rule, "failed", failed_count=n, failed_percentage=1.0) for n, rule in enumerate(rules))
    facts = replace(FACTS, rules=rules, stats=replace(STATS, rules=results))
    Table(spark, stats, format=None, columns=COLUMNS).append(row_of(replace(ENDED, facts=facts)))
    (row,) = rows_of(spark, stats)
    assert [rule["failed_count"] for rule in row["rules"]] == list(range(1000))
    assert len(row["row_dq_res_summary"]) == 1000


# ---- the history -----------------------------------------------------------------------------------------------------------------


def test_an_unusual_volume_fires_once_there_is_history_and_is_good_again_afterwards(spark, run, stats):
    config = {"spark.pd.on.unusual_volume": True, "spark.pd.history.min_runs": 3}
    found = [run(rows=rows, config=config) for rows in (100, 101, 99, 500, 100)]
    outcomes = [next(d for d in each.decisions if d.trigger == "unusual_volume") for each in found]
    assert [d.outcome for d in outcomes] == ["none", "none", "none", "firing", "good"]
    assert outcomes[0].reason == "0 exact runs so far, and 3 are needed (spark.pd.history.min_runs)"
    assert outcomes[3].reason == "500 rows (expected 82 to 118 rows, from 3 runs)"
    (alert,) = [a for a in found[3].alerts if a.trigger == "unusual_volume"]
    assert alert.details["previous"]["input_count"] == 99
    past = past_runs(Table(spark, stats, format=None, columns=COLUMNS), "spark_pd/test/-/orders", most=3)
    assert [(each.input_count, each.firing, each.exact) for each in past] == [
        (100, (), True),
        (500, ("unusual_volume",), True),
        (99, (), True),
    ]
    assert past[0].rules == {"tens": 10.0}
    assert past[0].started_at == found[4].stats.started_at


def test_another_subject_s_runs_are_no_history(spark, run, stats):
    run(scope="monday")
    run(name="refunds")
    assert past_runs(Table(spark, stats, format=None, columns=COLUMNS), "spark_pd/test/-/orders", most=30) == ()


def test_the_newest_rows_alone_are_read_with_the_columns_that_are_needed(spark, run, stats):
    run()
    newest = newest_runs(Table(spark, stats, format=None, columns=COLUMNS), "spark_pd/test/-/orders", most=5)
    plan = newest._jdf.queryExecution().executedPlan().toString()
    assert "EqualTo(subject,spark_pd/test/-/orders)" in plan
    assert "TakeOrderedAndProject(limit=5" in plan
    read = plan[plan.index("ReadSchema") :]
    assert "input_count" in read
    assert not any(name in read for name in ("deliveries", "row_dq_res_summary", "failure", "observed", "reason"))


@pytest.mark.parametrize(
    ("table", "companion"),
    [("stats", "stats_state"), ("a.b.stats", "a.b.stats_state"), ("a.`my stats`", "a.`my stats_state`"), ("/x/stats/", "/x/stats_state")],
)
def test_the_state_s_table_is_beside_it(table, companion):
    assert beside(table, "_state") == companion


# ---- Spark that is gone ----------------------------------------------------------------------------------------------------------

JOB = """
import logging, sys, time
logging.basicConfig(level=logging.WARNING, format="%(name)s %(message)s")
from pyspark.sql import SparkSession
import spark_pd
from spark_pd.sandbox import Sandbox

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
spark.sparkContext.setLogLevel("OFF")
with Sandbox() as sandbox:
    folder = sys.argv[1]
    monitor = spark_pd.install(spark, {**sandbox.config, "spark.pd.stats.table": folder + "/stats", "spark.pd.outbox.path": folder})
    try:
        with monitor.run("orders") as run:
            run.check(spark.range(10)).write.format("noop").mode("overwrite").save()
            started = time.monotonic()
            spark.stop()
            raise ValueError("mine")
    except ValueError as error:
        print("RAISED", error, flush=True)
    print("TOOK", time.monotonic() - started)
    print("OPEN", [i.trigger_count for i in sandbox.open_incidents()], run.stats.status)
"""


def test_a_session_that_was_stopped_in_the_block_costs_no_wait_and_its_exception_stays(tmp_path):
    job = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(JOB), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable},
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    told = dict(line.split(" ", 1) for line in job.stdout.splitlines() if line.split(" ")[0] in ("RAISED", "TOOK", "OPEN"))
    assert told["RAISED"] == "mine"
    assert told["OPEN"] == "[1] errored"
    assert float(told["TOOK"]) < 10, job.stderr
    assert job.stderr.count("the run's row could not be written") == 1
