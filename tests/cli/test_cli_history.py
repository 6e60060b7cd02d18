"""`spark-pd history` over a real stats table."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from spark_pd.history.stats_columns import COLUMNS
from spark_pd.history.stats_row import row_of
from spark_pd.model import Decision, Subject
from spark_pd.spark.tables import Table
from tests.stats.test_stats_row import ENDED, FACTS, STATS

SUBJECT = Subject(environment="prod", product_id="sales", table="sales.orders")
CONF = ("--conf", "spark.pd.environment=prod", "--conf", "spark.pd.product_id=sales", "--conf", "spark.pd.history.min_runs=3")


@pytest.fixture
def stats(spark, tmp_path):
    """Five good runs, an hour apart, and two bad ones."""
    table, now = Table(spark, str(tmp_path / "stats"), format="parquet", columns=COLUMNS), datetime.now(timezone.utc)
    for n, (rows, fired) in enumerate([(100, False)] * 5 + [(110, True)] * 2):
        at = now - timedelta(hours=7 - n)
        counts = replace(STATS, input_count=rows, error_count=10, dropped_count=10, output_count=rows - 10, started_at=at)
        facts = replace(FACTS, subject=SUBJECT, run_id=f"r{n}", started_at=at, ended_at=at, stats=counts)
        decision = Decision(trigger="ignored_rules", outcome="firing" if fired else "good", reason="because")
        table.append(row_of(replace(ENDED, facts=facts, decisions=(decision,))))
    return tmp_path / "stats"


def test_it_tells_what_was_what_is_usual_and_since_when_it_is_bad(cli, stats):
    result = cli("history", "Sales.Orders", "--stats-table", stats, "--runs", 3, *CONF)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "spark_pd/prod/sales/sales.orders"
    assert lines[3].split()[2:] == ["passed", "yes", "110", "9.09", "9.09", "ignored_rules"]
    assert len([line for line in lines if " passed " in line]) == 3
    assert "Bad since the run r5: 2 bad runs in a row." in lines
    assert "Changes between good and bad in the last 7 runs: 1." in lines
    assert "input_count: median 100, expected 82.5 to 117.5, from 7 runs, changes by +0 a run" in result.output


def test_json_has_the_same_for_programs(cli, stats):
    told = json.loads(cli("history", "sales.orders", "--conf", f"spark.pd.stats.table={stats}", "--json", *CONF).output)
    assert told["subject"] == "spark_pd/prod/sales/sales.orders"
    assert [run["run_id"] for run in told["runs"]] == ["r6", "r5", "r4", "r3", "r2", "r1", "r0"]
    assert told["first_bad_run"] == "r5"
    assert told["usual"]["input_count"] == {
        "median": 100.0,
        "expected_from": 82.5,
        "expected_to": 117.5,
        "runs": 7,
        "same_weekday_only": False,
        "change_from_run_to_run": 0.0,
    }


def test_before_enough_runs_nothing_is_usual(cli, stats):
    result = cli("history", "sales.orders", "--stats-table", stats, *CONF[:4], "--conf", "spark.pd.history.min_runs=8")
    assert "What is usual is not known yet: 7 exact runs, and it takes 8 (spark.pd.history.min_runs)." in result.output


def test_a_table_that_has_no_run_is_a_finding_and_says_what_a_run_is_known_by(cli, stats):
    result = cli("history", "sales.orders", "--stats-table", stats)
    assert result.exit_code == 1
    assert f"{stats} has no run of spark_pd/-/-/sales.orders" in result.stderr


def test_without_a_stats_table_it_says_how_to_name_one(cli):
    result = cli("history", "sales.orders")
    assert result.exit_code == 2
    assert "give --stats-table, or set spark.pd.stats.table" in result.stderr


def test_a_table_that_cannot_be_read_is_named(cli, spark, tmp_path):
    (tmp_path / "stats").mkdir()
    (tmp_path / "stats" / "x.parquet").write_text("no Parquet")
    result = cli("history", "sales.orders", "--stats-table", tmp_path / "stats")
    assert result.exit_code == 2
    assert f"the stats table {tmp_path / 'stats'} could not be read" in result.stderr
