"""When an incident opens and closes: the whole road, with a real session and real HTTP."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import spark_pd
from spark_pd import user_config
from tests.end_to_end.shared import ALL_OFF, ALL_ON, FAIL, IGNORED_ON, RULES, THRESHOLD_ON, write


def outcome(run: Any, trigger: str) -> str:
    return next(d.outcome for d in run.decisions if d.trigger == trigger)


@pytest.mark.versions
def test_a_bad_run_opens_one_incident_per_trigger_with_all_that_the_one_woken_needs(spark, pagerduty, install):
    monitor = install(
        {**THRESHOLD_ON, **IGNORED_ON, user_config.se_notifications_on_error_drop_threshold: 10, "spark.pd.environment": "prod"}
    )
    with monitor.run("sales.orders", rules=RULES, product_id="sales") as run:
        write(run.check(spark.range(100)))

    stats = run.stats
    assert (stats.input_count, stats.error_count, stats.dropped_count, stats.output_count) == (100, 19, 10, 90)
    assert (stats.error_percentage, stats.error_drop_percentage, stats.output_percentage, stats.success_percentage) == (
        19.0,
        10.0,
        90.0,
        81.0,
    )
    assert (stats.status, stats.exact, stats.rule("below_90").failed_count) == ("passed", True, 10)
    threshold, ignored = sorted(pagerduty.open_incidents(), key=lambda i: i.severity)
    assert (threshold.severity, ignored.severity) == ("error", "warning")
    assert threshold.dedup_key == "spark_pd/prod/sales/sales.orders/error_drop_threshold"
    assert threshold.summary == "[prod] sales.orders dropped 10 % of its rows (10 of 100), threshold 10 %: tens (10 rows, 10 %)"
    assert threshold.details["failed_rules"][0]["expectation"] == "id % 10 <> 0"
    assert (threshold.class_, threshold.component, threshold.group) == ("error_drop_threshold", "sales.orders", "sales")
    assert {d.status for d in run.deliveries} == {"sent"}


@pytest.mark.versions
def test_two_runs_of_one_broken_table_are_one_open_incident_and_the_good_run_closes_it(spark, pagerduty, install):
    monitor = install({**THRESHOLD_ON, user_config.se_notifications_on_error_drop_threshold: 5})
    for table in ("sales.orders", "`Sales`.`Orders`"):
        with monitor.run(table, rules=RULES) as run:
            write(run.check(spark.range(100)))
    assert [i.trigger_count for i in pagerduty.open_incidents()] == [2]
    with monitor.run("sales.orders", rules=RULES) as run:
        write(run.check(spark.range(1, 10)))
    assert pagerduty.open_incidents() == []
    assert outcome(run, "error_drop_threshold") == "good"


def test_a_good_run_in_another_process_that_shares_nothing_closes_the_incident(spark, pagerduty, install, tmp_path):
    monitor = install({**THRESHOLD_ON, user_config.se_notifications_on_error_drop_threshold: 5})
    with monitor.run("sales.orders", rules=RULES) as run:
        write(run.check(spark.range(100)))
    assert len(pagerduty.open_incidents()) == 1
    config = {**pagerduty.config, **THRESHOLD_ON, user_config.se_notifications_on_error_drop_threshold: 5}
    script = tmp_path / "good_run.py"
    script.write_text(
        textwrap.dedent(f"""
        from pyspark.sql import SparkSession
        import spark_pd
        spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
        monitor = spark_pd.install(spark, {config!r})
        with monitor.run("sales.orders", rules={RULES!r}) as run:
            run.check(spark.range(1, 10)).write.format("noop").mode("overwrite").save()
        assert run.stats.exact, run.stats
        spark.stop()
        """)
    )
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert pagerduty.open_incidents() == []


def test_a_table_named_failed_payments_with_a_clean_run_pages_nobody(spark, pagerduty, install):
    with install(ALL_ON).run("failed_payments", rules=RULES) as run:
        write(run.check(spark.range(1, 10)))
    assert [i.severity for i in pagerduty.open_incidents()] == ["info"]  # that it completed


def test_all_triggers_off_sends_nothing_and_every_trigger_still_says_why(spark, pagerduty, install):
    with install(ALL_OFF).run("t", rules=RULES) as run:
        write(run.check(spark.range(100)))
    with pytest.raises(ZeroDivisionError), install(ALL_OFF).run("t") as broken:
        _ = 1 / 0
    assert pagerduty.requests == []
    judged = ["failure", "error_drop_threshold", "ignored_rules", "unusual_volume", "unusual_errors"]
    judged += ["job_failure", "stage_retry", "task_failures", "executor_lost", "overrun", "no_output", "query_failure"]
    assert [d.trigger for d in run.decisions] == ["start", "completion", *judged]
    assert {d.outcome for d in run.decisions} == {d.outcome for d in broken.decisions} == {"none"}
    assert all("switched off" in d.reason for d in run.decisions)


def test_an_empty_input_opens_nothing_and_closes_failure_only(spark, pagerduty, install):
    monitor = install({**THRESHOLD_ON, **IGNORED_ON, user_config.se_notifications_on_error_drop_threshold: 0})
    with monitor.run("t", rules=RULES) as run:
        write(run.check(spark.range(100)))
    with pytest.raises(ZeroDivisionError), monitor.run("t", rules=RULES):
        _ = 1 / 0
    assert len(pagerduty.open_incidents()) == 3
    with monitor.run("t", rules=RULES) as run:
        write(run.check(spark.range(100).filter("id < 0")))
    assert (run.stats.input_count, run.stats.status, run.stats.exact, run.stats.error_drop_percentage) == (0, "passed", True, 0.0)
    assert sorted(i.class_ for i in pagerduty.open_incidents()) == ["error_drop_threshold", "ignored_rules"]


@pytest.mark.parametrize(
    ("threshold", "dropped", "rows", "fires"),
    [
        (0, 0, 10, False),
        (0, 1, 10_000, True),
        (15.5, 155, 1000, True),
        (15.5, 154, 1000, False),
        (100, 10, 10, True),
        (100, 9, 10, False),
        (10, 2499, 25_000, False),
    ],
)
def test_thresholds_are_compared_unrounded(spark, pagerduty, install, threshold, dropped, rows, fires):
    monitor = install({**THRESHOLD_ON, user_config.se_notifications_on_error_drop_threshold: threshold})
    with monitor.run("t", rules=[{"rule": "r", "expectation": f"id >= {dropped}", "action_if_failed": "drop"}]) as run:
        write(run.check(spark.range(rows)))
    assert run.stats.dropped_count == dropped
    assert bool(pagerduty.open_incidents()) is fires
    assert outcome(run, "error_drop_threshold") == ("firing" if fires else "good")


@pytest.mark.versions
def test_a_failing_fail_rule_leaves_the_target_as_it_was_and_pages_before_the_exception_arrives(spark, pagerduty, install, tmp_path):
    target = str(tmp_path / "target")
    spark.range(3).write.parquet(target)
    with pytest.raises(spark_pd.RuleFailed) as raised, install().run("t", rules=[*RULES, FAIL]) as run:
        try:
            run.check(spark.range(100)).write.mode("overwrite").parquet(target)
        except spark_pd.RuleFailed:
            assert [i.severity for i in pagerduty.open_incidents()] == ["critical"]
            raise
    assert [r.name for r in raised.value.rules] == ["never_7"]
    assert spark.read.parquet(target).count() == 3
    assert (run.stats.status, run.stats.input_count, run.stats.error_count) == ("failed", 100, 20)
    assert (run.stats.dropped_count, run.stats.output_count, run.stats.error_drop_percentage, run.stats.output_percentage) == (None,) * 4
    assert "never_7 (1 row, 1 %)" in pagerduty.open_incidents()[0].summary
    assert len(pagerduty.events) == 1


def test_a_passing_fail_rule_lets_the_run_pass(spark, pagerduty, install):
    with install().run("t", rules=[FAIL]) as run:
        write(run.check(spark.range(5)))
    assert (run.stats.status, run.stats.rule("never_7").status, run.stats.output_count) == ("passed", "passed", 5)


@pytest.mark.versions
def test_an_exception_pages_and_is_the_very_same_object_outside(spark, pagerduty, install):
    error = ValueError("password=hunter2 and 'a quoted value'")
    with pytest.raises(ValueError) as raised, install().run("t", rules=RULES) as run:  # noqa: PT011
        run.check(spark.range(10))
        raise error
    assert raised.value is error
    assert error.__context__ is None
    assert run.stats.status == "errored"
    assert outcome(run, "error_drop_threshold") == "none"  # switched off by default
    (incident,) = pagerduty.open_incidents()
    assert (incident.severity, incident.class_) == ("critical", "failure")
    assert "ValueError" in incident.summary
    sent = str(pagerduty.events)
    assert "hunter2" not in sent
    assert "a quoted value" not in sent


def test_after_an_exception_the_counts_are_unknown_unless_a_completed_write_made_them_known(spark, pagerduty, install):
    monitor = install({**THRESHOLD_ON, **IGNORED_ON, user_config.se_notifications_on_error_drop_threshold: 5})
    with pytest.raises(ZeroDivisionError), monitor.run("a", rules=RULES) as run:
        run.check(spark.range(100))
        _ = 1 / 0
    assert [outcome(run, t) for t in ("error_drop_threshold", "ignored_rules")] == ["unknown", "unknown"]
    with pytest.raises(ZeroDivisionError), monitor.run("b", rules=RULES) as run:
        write(run.check(spark.range(100)))
        _ = 1 / 0
    assert run.stats.dropped_count == 10
    assert [outcome(run, t) for t in ("failure", "error_drop_threshold", "ignored_rules")] == ["firing"] * 3
    with pytest.raises(ZeroDivisionError), monitor.run("b", rules=RULES) as run:  # good counts in an errored run close nothing
        write(run.check(spark.range(1, 5)))
        _ = 1 / 0
    assert sorted(i.class_ for i in pagerduty.open_incidents() if i.component == "b") == [
        "error_drop_threshold",
        "failure",
        "ignored_rules",
    ]


def test_rules_that_cannot_be_read_page_as_a_failure_and_the_good_run_closes_it(spark, pagerduty, install):
    monitor = install()
    run = monitor.run("orders", rules="no_such_table_of_rules")
    with pytest.raises(spark_pd.RulesError), run:
        raise AssertionError("the block was entered")
    assert [i.dedup_key.rsplit("/", 1)[1] for i in pagerduty.open_incidents()] == ["failure"]
    assert [d.status for d in run.deliveries if d.alert.trigger == "failure"] == ["sent"]
    with monitor.run("orders"):
        pass
    assert not pagerduty.open_incidents()


@pytest.mark.parametrize(
    ("leaves", "status", "pages"),
    [
        (SystemExit(0), "cancelled", 0),
        (SystemExit(None), "cancelled", 0),
        (KeyboardInterrupt(), "cancelled", 0),
        (SystemExit(3), "errored", 1),
        (SystemExit("no"), "errored", 1),
    ],
)
def test_leaving_on_purpose_pages_nobody_and_closes_nothing(spark, pagerduty, install, leaves, status, pages):
    monitor = install(THRESHOLD_ON | {user_config.se_notifications_on_error_drop_threshold: 5})
    with monitor.run("t", rules=RULES) as run:
        write(run.check(spark.range(100)))
    with pytest.raises(type(leaves)) as raised, monitor.run("t", rules=RULES) as run:
        write(run.check(spark.range(1, 5)))
        raise leaves
    assert raised.value is leaves
    assert run.stats.status == status
    assert len(pagerduty.open_incidents()) == 1 + pages


def test_a_notebook_that_exits_pages_nobody(spark, pagerduty, install):
    class NotebookExit(Exception):
        """As the Databricks runtime's own, which no package exports."""

    with pytest.raises(NotebookExit), install().run("t") as run:
        raise NotebookExit
    assert outcome(run, "failure") == "none"
    assert pagerduty.events == []


def test_checked_but_never_written_is_unknown_says_so_and_closes_nothing(spark, pagerduty, install, caplog):
    monitor = install({**THRESHOLD_ON, user_config.se_notifications_on_error_drop_threshold: 5})
    with monitor.run("t", rules=RULES) as run:
        write(run.check(spark.range(100)))
    with monitor.run("t", rules=RULES) as run:
        assert run.check(spark.range(1, 5)).count() == 4
    assert (run.stats.status, run.stats.exact, run.stats.input_count, run.stats.error_percentage) == ("unknown", False, None, None)
    assert "not seen to be written" in caplog.text
    assert len(pagerduty.open_incidents()) == 1
    assert outcome(run, "failure") == "unknown"


def test_a_run_without_check_has_no_stats_and_still_pages_for_failure(pagerduty, install):
    monitor = install(THRESHOLD_ON)
    with pytest.raises(ZeroDivisionError), monitor.run("t") as run:
        _ = 1 / 0
    assert run.stats is None
    assert [i.class_ for i in pagerduty.open_incidents()] == ["failure"]
    with monitor.run("t") as run:
        pass
    assert run.stats is None
    assert pagerduty.open_incidents() == []
    assert outcome(run, "error_drop_threshold") == "none"


def test_start_closes_at_the_verdict_and_completion_at_the_next_start(spark, pagerduty, install):
    monitor = install({**ALL_OFF, user_config.se_notifications_on_start: True, user_config.se_notifications_on_completion: "true"})
    with monitor.run("t", rules=RULES) as run:
        write(run.check(spark.range(1, 5)))
    assert [(i.class_, i.severity) for i in pagerduty.open_incidents()] == [("completion", "info")]
    with pytest.raises(ZeroDivisionError), monitor.run("t"):
        _ = 1 / 0
    assert pagerduty.open_incidents() == []
    assert {(i.class_, i.status) for i in pagerduty.incidents()} == {("start", "resolved"), ("completion", "resolved")}


def test_a_scope_has_incidents_of_its_own_and_a_renamed_table_takes_its_own_along(spark, pagerduty, install):
    monitor = install({**THRESHOLD_ON, user_config.se_notifications_on_error_drop_threshold: 5})
    for scope in ("2026-01-01", "2026-01-02"):
        with monitor.run("t", rules=RULES, scope=scope) as run:
            write(run.check(spark.range(100)))
    with monitor.run("t", rules=RULES, scope="2026-01-02") as run:
        write(run.check(spark.range(1, 5)))
    assert [i.dedup_key for i in pagerduty.open_incidents()] == ["spark_pd/-/-/t/scope=2026-01-01/error_drop_threshold"]
    with monitor.run("u", rules=RULES, scope="2026-01-01", previous_name="t") as run:
        write(run.check(spark.range(100)))
    assert [i.dedup_key for i in pagerduty.open_incidents()] == ["spark_pd/-/-/u/scope=2026-01-01/error_drop_threshold"]


def test_unknown_counts_page_where_that_is_asked_for(spark, pagerduty, install):
    with install({"spark.pd.on_unknown": "page"}).run("t", rules=RULES) as run:
        write(run.check(spark.range(100)).limit(3))
    assert run.stats.status == "unknown"
    assert [i.class_ for i in pagerduty.open_incidents()] == ["failure"]


def test_not_enabled_decides_and_reports_everything_and_sends_nothing(spark, pagerduty):
    monitor = spark_pd.install(spark, {**THRESHOLD_ON, user_config.se_notifications_on_error_drop_threshold: 5})
    with monitor.run("t", rules=RULES) as run:
        write(run.check(spark.range(100)))
    monitor.uninstall()
    assert {(d.alert.trigger, d.status) for d in run.deliveries} == {("error_drop_threshold", "suppressed"), ("failure", "suppressed")}
    assert "enabled" in run.deliveries[0].reason
    assert pagerduty.requests == []


def test_rules_come_from_a_file_a_dataframe_and_a_table(spark, pagerduty, install, tmp_path: Path):
    file = tmp_path / "rules.yaml"
    file.write_text(
        "rules:\n"
        "- {rule: tens, expectation: 'id % 10 <> 0', action_if_failed: drop, table_name: t}\n"
        "- {rule: other, expectation: 'id < 0', table_name: u}\n"
    )
    frame = spark.createDataFrame(
        [("tens", "id % 10 <> 0", "drop", None)], "rule string, expectation string, action_if_failed string, tag string"
    )
    frame.createOrReplaceTempView("order_rules")
    monitor = install()
    for rules in (file, str(file), frame, "order_rules"):
        with monitor.run("t", rules=rules) as run:
            write(run.check(spark.range(100)))
        assert run.stats.dropped_count == 10
        assert [r.name for r in run.stats.rules] == ["tens"]


def test_every_mistake_in_the_rules_is_one_error_before_any_data_is_touched(spark, pagerduty, install):
    frame = spark.range(10).selectExpr("assert_true(id < 0) as boom", "id")
    rules = [
        {"rule": "bad_sql", "expectation": "id >"},
        {"rule": "no_column", "expectation": "amount > 0"},
        {"rule": "no_boolean", "expectation": "id + 1"},
        {"rule": "aggregate", "expectation": "sum(id) > 0"},
        {"rule": "two", "expectation": "id > 0) or (id < 5"},
        {"rule": "fine", "expectation": "id > 0 -- a comment"},
    ]
    with pytest.raises(spark_pd.RulesError) as raised, install().run("t", rules=rules) as run:
        run.check(frame)
    assert len(raised.value.mistakes) == 5
    assert all(
        f"'{name}'" in mistake
        for name, mistake in zip(["bad_sql", "no_column", "no_boolean", "aggregate", "two"], raised.value.mistakes, strict=True)
    )
    assert "amount" in raised.value.mistakes[1]
