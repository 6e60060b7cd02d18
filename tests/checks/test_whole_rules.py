"""Rules over the whole data: agg_dq and query_dq, on source and target, with the value that was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import spark_pd

TENTH = {"rule": "tenth", "expectation": "id % 10 <> 0", "action_if_failed": "drop"}


def agg(name: str, expectation: str, action: str = "ignore", **more: Any) -> dict[str, Any]:
    return {"rule": name, "rule_type": "agg_dq", "expectation": expectation, "action_if_failed": action, **more}


def query(name: str, expectation: str, action: str = "ignore", **more: Any) -> dict[str, Any]:
    return {**agg(name, expectation, action, **more), "rule_type": "query_dq"}


def run_of(monitor: Any, df: Any, folder: Path, rules: list[dict[str, Any]]) -> Any:
    with monitor.run("numbers", rules=rules) as run:
        run.check(df).write.mode("overwrite").parquet(str(folder / "out"))
    return run


def shown(run: Any) -> dict[str, tuple[str, Any, str | None]]:
    return {rule.name: (rule.status, rule.observed, rule.judged_on) for rule in run.stats.rules}


@pytest.mark.versions
def test_aggregates_are_judged_on_what_is_checked_and_on_what_is_written(monitor, spark, tmp_path):
    rules = [
        agg("rows_of_source", "count(*) >= 1000", enable_for_target_dq_validation=False),
        agg("rows_of_target", "count(*) >= 950", enable_for_source_dq_validation=False),
        TENTH,
        agg("both", "count(*) >= 950"),
        agg("largest", "max(id) BETWEEN 0 AND 2000"),
        agg("two_parts", "min(id) >= 0 AND max(id) < 2000"),
        agg("off", "count(*) > 5000", is_active=False),
        agg("nowhere", "count(*) > 5000", enable_for_source_dq_validation=False, enable_for_target_dq_validation=False),
    ]
    run = run_of(monitor, spark.range(1000), tmp_path, rules)
    assert shown(run) == {
        "rows_of_source": ("passed", 1000, "source"),
        "rows_of_target": ("failed", 900, "target"),
        "tenth": ("failed", None, None),
        "both": ("failed", 900, "target"),
        "largest": ("passed", 999, "target"),
        "two_parts": ("passed", True, "target"),
    }
    assert [rule.name for rule in run.stats.rules] == ["rows_of_source", "rows_of_target", "tenth", "both", "largest", "two_parts"]
    assert (run.stats.exact, run.stats.input_count, run.stats.output_count) == (True, 1000, 900)


def test_the_side_that_failed_is_told(monitor, spark, tmp_path):
    run = run_of(monitor, spark.range(1000), tmp_path, [TENTH, agg("few", "count(*) < 1000"), agg("mean", "avg(id) > 499.5")])
    assert shown(run)["few"] == ("failed", 1000, "source")
    assert shown(run)["mean"] == ("failed", 499.5, "source")


def test_null_counts_as_failed(monitor, spark, tmp_path):
    run = run_of(monitor, spark.range(10), tmp_path, [agg("sum_of_nothing", "sum(CAST(NULL AS INT)) >= 0")])
    assert shown(run) == {"sum_of_nothing": ("failed", None, "target")}


def test_queries_see_the_source_the_target_and_every_table(monitor, spark, tmp_path):
    spark.range(7).createOrReplaceTempView("seven")
    before = {view.name for view in spark.catalog.listTables()}
    rules = [
        TENTH,
        query("kept", "(SELECT count(*) FROM {target}) = (SELECT count(*) FROM {source}) - 100"),
        query("seven_rows", "(SELECT count(*) FROM seven) > 7"),
        query(
            "parts", "((SELECT count(*) FROM ({s}) a) - (SELECT count(*) FROM ({t}) b)) < 3@s@SELECT * FROM {source}@t@SELECT * FROM seven"
        ),
        query("text", "(SELECT count(*) FROM {source} WHERE CAST(id AS STRING) LIKE '%@%') = 0"),
    ]
    try:
        run = run_of(monitor, spark.range(1000), tmp_path, rules)
        assert {view.name for view in spark.catalog.listTables()} == before
    finally:
        spark.catalog.dropTempView("seven")
    found = shown(run)
    assert found["kept"] == ("passed", 900, None)
    assert found["seven_rows"] == ("failed", 7, None)
    assert found["parts"] == ("failed", 993, None)
    assert found["text"] == ("passed", 0, None)


def test_parameters_stand_in_expectations(spark, tmp_path):
    monitor = spark_pd.install(spark, {spark_pd.user_config.se_dq_rules_params: {"least": 1001}})
    try:
        run = run_of(monitor, spark.range(1000), tmp_path, [agg("rows", "count(*) >= {least}")])
        assert shown(run) == {"rows": ("failed", 1000, "target")}
    finally:
        monitor.uninstall()


@pytest.mark.parametrize("rule", [agg("a", "count(*) > 5000", "fail"), query("a", "(SELECT max(id) FROM {target}) > 5000", "fail")])
def test_fail_stops_the_run_before_anything_is_written(monitor, spark, tmp_path, rule):
    rules = [TENTH, agg("fine", "count(*) > 0", "fail"), rule, {"rule": "row", "expectation": "id < 990", "action_if_failed": "fail"}]
    with pytest.raises(spark_pd.RuleFailed) as raised, monitor.run("numbers", rules=rules) as run:
        run.check(spark.range(1000)).write.parquet(str(tmp_path / "out"))
    assert [result.name for result in raised.value.rules] == ["a", "row"]
    assert not (tmp_path / "out").exists()
    assert (run.stats.status, run.stats.input_count, run.stats.output_count) == ("failed", 1000, None)
    assert shown(run)["fine"][0] == "passed"


def test_what_was_judged_and_was_not_written_is_unknown(monitor, spark, tmp_path):
    """The source grows between the look and the write: the aggregate is of other rows than those in the target."""
    source = tmp_path / "rows"
    source.write_text("1000")
    growing = spark.sparkContext.parallelize([str(source)], 1).flatMap(lambda file: [(n,) for n in range(int(Path(file).read_text()))])
    # No aggregate of distinct values rides along with the write: it is judged before it.
    with monitor.run("numbers", rules=[agg("rows", "count(DISTINCT id) < 1050")]) as run:
        checked = run.check(spark.createDataFrame(growing, "id LONG"))
        source.write_text("1100")
        checked.write.parquet(str(tmp_path / "out"))
    assert spark.read.parquet(str(tmp_path / "out")).count() == 1100
    assert shown(run) == {"rows": ("unknown", None, None)}
    assert (run.stats.status, run.stats.exact) == ("unknown", False)


def test_a_random_input_is_unknown(monitor, spark, tmp_path):
    random = spark.range(1000).selectExpr("rand() AS x")
    run = run_of(monitor, random, tmp_path, [agg("mean", "avg(x) > 0.9"), agg("settled", "count(*) > 0", "fail")])
    assert shown(run).pop("settled") == ("unknown", None, None)
    run = run_of(monitor, random, tmp_path, [agg("mean", "avg(DISTINCT x) > 0.9")])
    assert shown(run) == {"mean": ("unknown", None, None)}
    assert run.stats.status == "unknown"
    assert not run.stats.exact


def test_never_written_is_unknown(monitor, spark):
    with monitor.run("numbers", rules=[agg("rows", "count(*) > 5000")]) as run:
        run.check(spark.range(1000))
    assert shown(run) == {"rows": ("unknown", None, None)}


def test_every_mistake_is_told_before_any_data_is_read(monitor, spark):
    rules = [
        {"rule": "row", "expectation": "nothing > 1"},
        agg("plain", "id > 1"),
        agg("number", "count(*)"),
        agg("column", "sum(nothing) > 1"),
        agg("sql", "count(*) >"),
        agg("good", "count(*) > 1"),
        query("table", "(SELECT count(*) FROM no_such_table) > 1"),
        query("no_boolean", "(SELECT count(*) FROM {source})"),
    ]
    run = monitor.run("numbers", rules=rules)
    with pytest.raises(spark_pd.RulesError) as raised, run:
        run.check(spark.range(10).selectExpr("id", "assert_true(id < 0) AS boom"))
    named = [mistake.split("'")[1] for mistake in raised.value.mistakes]
    assert named == ["row", "plain", "number", "column", "sql", "table", "no_boolean"]


def test_an_ignored_aggregate_opens_an_incident_and_the_good_run_closes_it(spark, pagerduty, tmp_path):
    monitor = spark_pd.install(spark, {**pagerduty.config, "spark.pd.on.ignored_rules": True})
    try:
        rules = [agg("enough_rows", "count(*) >= 500")]
        run_of(monitor, spark.range(100), tmp_path, rules)
        (incident,) = pagerduty.open_incidents()
        assert "enough_rows" in incident.summary
        (rule,) = incident.details["failed_rules"]
        assert (rule["observed"], rule["judged_on"], rule["expectation"]) == (100, "target", "count(*) >= 500")
        run_of(monitor, spark.range(1000), tmp_path, rules)
        assert not pagerduty.open_incidents()
        run_of(monitor, spark.sql("SELECT 'ann@example.com' AS mail"), tmp_path, [agg("no_mail", "max(mail) = ''")])
        (incident,) = pagerduty.open_incidents()
        assert "ann@" not in str(pagerduty.events), "a value of a row left the cluster"
    finally:
        monitor.uninstall()


def test_many_aggregates_are_one_pass(monitor, spark, tmp_path):
    rules = [agg(f"rule_{n}", f"sum(id % {n + 2}) > 0") for n in range(200)]
    run = run_of(monitor, spark.range(1000), tmp_path, rules)
    assert {status for status, _, _ in shown(run).values()} == {"passed"}
