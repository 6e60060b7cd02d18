"""`spark-pd validate` with columns: Spark reads the rules' SQL, and no data."""

from __future__ import annotations

import pytest

RULES = """
- {rule: has_id, expectation: id IS NOT NULL, action_if_failed: drop}
- {rule: positive, expectation: amount > 0}
- {rule: rows, rule_type: agg_dq, expectation: count(*) > 10}
- {rule: query, rule_type: query_dq, expectation: (SELECT count(*) FROM no_such_table) > 0}
"""


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


def test_good_rules_over_a_schema(cli, rules, spark):
    result = cli("validate", rules, "--schema", "id INT, amount DOUBLE")
    assert result.exit_code == 0, result.output
    assert "1 of type query_dq are not read without --table" in result.output
    assert not spark.sparkContext._jsc.sc().isStopped(), "a session that was there stays"


def test_a_column_that_is_not_there_and_a_rule_that_nothing_fails(cli, rules, spark):
    result = cli("validate", rules, "--schema", "id INT NOT NULL, amuont DOUBLE")
    assert result.exit_code == 1
    assert "there is no column amount; did you mean amuont?" in result.output
    assert "1 mistake\n" in result.output
    result = cli("validate", rules, "--schema", "id INT NOT NULL, amount DOUBLE")
    assert result.exit_code == 0
    assert "no row can ever fail rule has_id (id IS NOT NULL)" in result.output


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_the_columns_of_a_sample(cli, rules, spark, tmp_path, form):
    sample = tmp_path / f"orders.{form}"
    if form == "parquet":
        spark.sql("SELECT 1 AS id, 2.5 AS amount").write.parquet(str(sample))
    else:
        sample.write_text("id,amount\n1,2.5\n" if form == "csv" else '{"id": 1, "amount": 2.5}\n')
    assert cli("validate", rules, "--sample", sample).exit_code == 0
    rules.write_text(RULES.replace("amount", "price"))
    assert "there is no column price" in cli("validate", rules, "--sample", sample).output


def test_queries_are_read_with_a_table(cli, rules, spark):
    spark.sql("SELECT 1 AS id, 2.5 AS amount").createOrReplaceTempView("orders_to_validate")
    try:
        result = cli("validate", rules, "--table", "orders_to_validate")
    finally:
        spark.catalog.dropTempView("orders_to_validate")
    assert result.exit_code == 1
    assert "rule 'query'" in result.output
    assert "no_such_table" in result.output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--schema", "id WHAT"], "gives no columns"),
        (["--table", "no.such.table"], "gives no columns"),
        (["--sample", __file__], "expected a file ending in .parquet"),
        (["--schema", "id INT", "--table", "t"], "--schema and --table do"),
    ],
)
def test_what_gives_no_columns_is_a_mistake_of_usage(cli, rules, spark, options, says):
    result = cli("validate", rules, *options)
    assert result.exit_code == 2
    assert says in " ".join(result.output.split())


def test_where_no_spark_runs_one_is_started_and_says_little(start, rules):
    process = start("validate", str(rules), "--schema", "id INT, amuont DOUBLE")
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 1, errors
    assert "4 rules" in output
    assert "there is no column amount; did you mean amuont?" in errors
    assert "Py4JJavaError" not in errors
