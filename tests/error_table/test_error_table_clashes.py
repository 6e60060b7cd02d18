"""Tables that would be written into one another: told together, before anything is written."""

from __future__ import annotations

import logging

import pytest

import spark_pd
from spark_pd.checks.error_table.location import same
from tests.end_to_end.shared import RULES, write


@pytest.mark.parametrize(
    ("name", "other", "one_table"),
    [
        ("orders", "ORDERS", True),
        ("orders", "`orders`", True),
        ("orders", "sales.orders", True),
        ("orders", "main.Sales.orders", True),
        ("sales.orders", "main.sales.orders", True),
        ("sales.`or``ders`", "`or``ders`", True),
        ("orders", "other.orders", False),
        ("orders", "main.orders", False),
        ("sales.orders", "other.sales.orders", False),
        ("orders", "orders_error", False),
        ("orders", "/data/orders", False),
        ("/data/orders", "/data//x/../orders/", True),
        ("/data/orders", "file:///data/orders", True),
        ("s3://a/orders/", "s3://a/orders", True),
        ("s3://a/orders", "s3://b/orders", False),
        ("/data/or ders\U0001f600", "/data/or ders\U0001f600/", True),
    ],
)
def test_two_names_of_one_table_are_known(name, other, one_table):
    assert same(name, other, lambda: ("main", "sales")) is same(other, name, lambda: ("main", "sales")) is one_table


CONFIG = {"spark.pd.stats.table": "default.clashing", "se.enable.error.table": True, "spark.pd.error.table": "default.{table}"}


def test_a_run_whose_tables_are_one_is_refused_with_all_that_are(spark):
    monitor = spark_pd.install(spark, CONFIG)
    with pytest.raises(spark_pd.UsageError) as error:
        monitor.run("clashing", rules=RULES)
    monitor.uninstall()
    told = str(error.value)
    assert "the stats table (spark.pd.stats.table) is the run's table, default.clashing" in told
    assert "the error table (spark.pd.error.table) is the run's table, default.clashing" in told
    assert told.count(" is the ") == 3
    assert not spark.catalog.tableExists("clashing")


def test_where_mistakes_disable_there_is_one_warning_and_no_such_table(spark, caplog):
    monitor = spark_pd.install(spark, {**CONFIG, "spark.pd.on_config_error": "disable"})
    with monitor.run("clashing", rules=RULES) as run:
        write(run.check(spark.range(100)))
    monitor.uninstall()
    assert (run.stats.status, run.error_table) == ("passed", None)
    assert not spark.catalog.tableExists("clashing")
    assert len([r for r in caplog.records if r.levelno == logging.WARNING and "written into one another" in r.getMessage()]) == 1


def test_rows_that_failed_are_never_appended_to_the_table_that_run_write_was_told(spark, tmp_path):
    monitor = spark_pd.install(spark, {"se.enable.error.table": True, "spark.pd.error.table": f"{tmp_path}/{{table}}"})
    with monitor.run("clashing", rules=RULES) as run:
        run.write(run.check(spark.range(100)), tmp_path / "orders", format="parquet")
    monitor.uninstall()
    assert (run.stats.exact, run.error_table.written) == (True, False)
    assert "it would be the table that was written" in run.error_table.reason
    assert spark.read.parquet(str(tmp_path / "orders")).count() == 90
