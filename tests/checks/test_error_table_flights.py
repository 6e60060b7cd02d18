"""The error table of real flights, held against DuckDB: the same rows, each with the same failed rules."""

from __future__ import annotations

from typing import Any

import pytest
from counting_world import World
from flights_data import FLIGHT_RULES, mappings, parquet

import spark_pd


@pytest.mark.parametrize("counting", ["operator", "two_pass"])
def test_the_error_table_has_the_rows_that_duckdb_calls_failing_with_the_same_rules(spark: Any, world: World, counting: str) -> None:
    monitor = spark_pd.install(spark, {"spark.pd.counting": counting, "se.enable.error.table": True})
    try:
        with monitor.run("flights", rules=mappings(FLIGHT_RULES)) as run:
            run.write(run.check(world.read()).select("id", "carrier"), world.out, format="parquet")
    finally:
        monitor.uninstall()
    oracle = world.oracle()
    failed = oracle.truth().failed
    assert run.error_table == spark_pd.ErrorTable(
        name=f"{world.out}_error", written=True, rows=failed, exact=True, read_again=counting != "operator"
    )
    bad = " OR ".join(rule.bad for rule in FLIGHT_RULES)
    names = ", ".join(f"CASE WHEN {rule.bad} THEN '{rule.name}' END" for rule in FLIGHT_RULES)
    expected = f"SELECT *, [n FOR n IN [{names}] IF n IS NOT NULL] AS rules FROM input WHERE {bad}"
    kept = (
        "SELECT * EXCLUDE (meta_row_dq_results, meta_dq_run_id, meta_dq_run_datetime), [r.rule FOR r IN meta_row_dq_results] AS rules "
        f"FROM ({parquet(world.folder / 'out_error')})"
    )
    assert failed > 500
    assert oracle.differences(expected, kept) == 0
