"""Rules that cannot be evaluated: an error at run time is a failed row of that rule, and the job goes on, on every way of counting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import spark_pd

ROWS = [("1", 1), ("x", 2), (None, 0), ("-5", 9)]
ARRAY = "element_at(array(1, 2), b) > 0"
# Rule, rows that fail under ANSI, rows among them for which it raises an error; and the failed rows without ANSI.
CASES = [
    ("cast(a as int) > 0", 3, 1, 3),
    ("cast(a as int) < 100", 2, 1, 2),
    ("a > 0", 3, 1, 3),
    ("b / (b - 2) <= 0", 2, 1, 2),
    ("b > 1 / 0", 4, 4, 4),
    ("1 / 0 > 1", 4, 4, 4),
    ("b + 2147483640 > 0", 1, 1, 1),
    ("exists(array(a), q -> cast(q as int) > 0)", 3, 1, 3),
    ("CASE WHEN cast(a as int) > 0 THEN true ELSE b = 9 END", 2, 1, 2),
    ("to_date(concat('2026-01-0', b)) IS NOT NULL AND cast(a as int) > 0", 3, 2, 3),
    ("not (cast(a as int) > 0) -- of the source", 3, 1, 3),
    ("raise_error('no') IS NULL", 4, 4, 4),
    ("b IN (0, 1, 2, 9)", 0, 0, 0),
    ("1 = 1", 0, 0, 0),
    ("a RLIKE '^[0-9]+$'", 3, 0, 3),
]


@pytest.fixture(autouse=True)
def with_ansi(spark: Any) -> Any:
    before = spark.conf.get("spark.sql.ansi.enabled")
    spark.conf.set("spark.sql.ansi.enabled", "true")
    yield
    spark.conf.set("spark.sql.ansi.enabled", before)


@pytest.fixture(params=[True, False], ids=["ansi", "no_ansi"])
def ansi(request: pytest.FixtureRequest, spark: Any, with_ansi: None) -> Any:
    spark.conf.set("spark.sql.ansi.enabled", str(request.param).lower())
    return request.param


def rows(spark: Any) -> Any:
    return spark.createDataFrame(ROWS, "a string, b int").repartition(2)


def rules(action: str = "ignore") -> list[dict[str, Any]]:
    return [{"rule": f"r{n}", "expectation": text, "action_if_failed": action} for n, (text, *_) in enumerate(CASES)]


def test_an_error_is_a_failed_row_of_its_rule(monitor: Any, spark: Any, tmp_path: Path, ansi: bool) -> None:
    some = [case for case in CASES if ansi or "raise_error" not in case[0]]
    with monitor.run("numbers", rules=[rule for rule in rules() if rule["expectation"] in {case[0] for case in some}]) as run:
        run.check(rows(spark)).write.mode("overwrite").parquet(str(tmp_path / "out"))
    assert (run.stats.exact, run.stats.input_count, run.stats.output_count) == (True, 4, 4)
    assert spark.read.parquet(str(tmp_path / "out")).count() == 4
    found = {text: result for (text, *_), result in zip(some, run.stats.rules, strict=True)}
    assert {text: result.failed_count for text, result in found.items()} == {text: under if ansi else off for text, under, _, off in some}
    counted = monitor.counting == "operator"
    for text, _, errors, _ in some:
        expected = (errors if ansi else 0) if counted or found[text].failed_count == 0 else None
        assert (text, found[text].evaluation_errors) == (text, expected)


def test_rows_with_errors_are_dropped_and_stop_a_run(monitor: Any, spark: Any, tmp_path: Path) -> None:
    text = "cast(if(b = 2, 'x', '1') as int) > 0 AND b <> 9"
    with monitor.run("numbers", rules=[{"rule": "number", "expectation": text, "action_if_failed": "drop"}]) as run:
        run.check(rows(spark)).write.mode("overwrite").parquet(str(tmp_path / "out"))
    assert (run.stats.dropped_count, run.stats.output_count) == (2, 2)
    assert sorted(row.b for row in spark.read.parquet(str(tmp_path / "out")).collect()) == [0, 1]
    with (
        pytest.raises(spark_pd.RuleFailed),
        monitor.run("numbers", rules=[{"rule": "number", "expectation": text, "action_if_failed": "fail"}]) as run,
    ):
        run.check(rows(spark))
    assert [rule.failed_count for rule in run.stats.rules] == [2]


BIG = "sum(big) > 0"
WHOLE = [
    ("cast", "agg_dq", "max(cast(a as int)) > 0", "unknown"),
    ("overflow", "agg_dq", BIG, "unknown"),
    ("rows", "agg_dq", "count(*) = 4", "passed"),
    ("total", "agg_dq", "sum(b) = 12", "passed"),
    ("share", "agg_dq", "sum(b) / (count(*) - 4) > 0", "unknown"),
    ("query", "query_dq", "(SELECT max(cast(a as int)) FROM {source}) > 0", "unknown"),
    ("fine", "query_dq", "(SELECT count(*) FROM {source}) = 4", "passed"),
]


@pytest.mark.parametrize("action", ["ignore", "fail"])
def test_a_rule_over_the_whole_data_is_unknown_and_says_why(monitor: Any, spark: Any, tmp_path: Path, caplog: Any, action: str) -> None:
    df = rows(spark).selectExpr("*", "9223372036854775807L as big")
    rules = [{"rule": n, "rule_type": kind, "expectation": text, "action_if_failed": action} for n, kind, text, _ in WHOLE]
    with monitor.run("numbers", rules=rules) as run:
        run.check(df).write.mode("overwrite").parquet(str(tmp_path / "out"))
    assert run.stats.input_count == 4
    assert {rule.name: rule.status for rule in run.stats.rules} == {name: status for name, _, _, status in WHOLE}
    for rule in run.stats.rules:
        assert (rule.reason or "").startswith("it could not be evaluated: ") == (rule.status == "unknown"), rule
        assert "'x'" not in (rule.reason or "")


def test_rows_that_cannot_be_read_still_end_the_job(monitor: Any, spark: Any, tmp_path: Path) -> None:
    bad = rows(spark).selectExpr("cast(a as int) AS a", "b")
    rules = [{"rule": "total", "rule_type": "agg_dq", "expectation": "sum(a) > 0", "action_if_failed": "fail"}]
    with pytest.raises(Exception, match=r"CAST_INVALID_INPUT"), monitor.run("numbers", rules=rules) as run:
        run.check(bad).write.mode("overwrite").parquet(str(tmp_path / "out"))


def test_pyspark_logs_no_trace_of_mistakes_that_are_reported_together(monitor: Any, spark: Any, capfd: Any) -> None:
    rules = [{"rule": f"r{n}", "expectation": text} for n, text in enumerate(["missing > 1", "b >", "b + 1", "b > 0"])]
    rules.append({"rule": "whole", "rule_type": "agg_dq", "expectation": "sum(other) > 0"})
    with pytest.raises(spark_pd.RulesError) as mistakes, monitor.run("numbers", rules=rules) as run:
        run.check(rows(spark))
    assert len(mistakes.value.mistakes) == 4
    assert "SQLQueryContextLogger" not in "".join(capfd.readouterr())
