"""A data contract gives the rules, the owner and the schedule; what it cannot express here is one warning."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import spark_pd
from spark_pd import RulesError
from spark_pd.rules.data_contract import read_contract
from spark_pd.rules.loading import load_rules, owner_in
from spark_pd.runs.schedules.schedules_file import schedules_of

CONTRACT = Path(__file__).with_name("orders.odcs.yaml")


def test_the_contract_is_one_by_the_standard_s_own_schema():
    jsonschema = pytest.importorskip("jsonschema")
    package = pytest.importorskip("open_data_contract_standard")
    schema = json.loads(resources.files(package).joinpath("schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(yaml.safe_load(CONTRACT.read_text()))] == []


def test_schema_library_and_sql_are_rules(caplog):
    rules = {rule.name: (rule.rule_type, rule.expectation) for rule in load_rules(str(CONTRACT), table="sales.orders")}
    assert rules == {
        "order_id_required": ("row_dq", "`order_id` IS NOT NULL"),
        "email_unique": ("agg_dq", "count(`email`) = count(DISTINCT `email`)"),
        "email_maxLength": ("row_dq", "`email` IS NULL OR length(`email`) <= 40"),
        "email_pattern": ("row_dq", "`email` IS NULL OR `email` RLIKE '^[^@\\']+@[a-z.]{2,20}$'"),
        "email_quality_1": ("row_dq", "NOT (`email` IS NULL OR (`email` IS NOT NULL AND cast(`email` AS string) IN ('', 'n/a')))"),
        "amount_minimum": ("row_dq", "`amount` IS NULL OR `amount` >= 0"),
        "amount_exclusiveMaximum": ("row_dq", "`amount` IS NULL OR `amount` < 1000"),
        "few_nulls": ("agg_dq", "100.0 * count_if(`amount` IS NULL) / count(*) < 30"),
        "known_currency": ("row_dq", "NOT (`currency` IS NOT NULL AND `currency` NOT IN ('EUR', 'USD'))"),
        "order_id_primary_key": ("agg_dq", "count(*) = count(DISTINCT `order_id`)"),
        "enough": ("agg_dq", "count(*) BETWEEN 2 AND 100"),
        "one_bill": ("agg_dq", "(count(*) - count(DISTINCT struct(`order_id`, `currency`))) = 0"),
        "no_big": ("query_dq", "(SELECT count(*) FROM {source} WHERE amount > 900) = 0"),
    }
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "amount_quality_2 (text), soda (custom)" in warning


def test_owner_and_schedule_are_the_contract_s():
    assert owner_in(str(CONTRACT)) == "orders"
    assert owner_in("sales.rules") is None
    assert owner_in("no_such_file.yaml") is None
    (schedule,) = schedules_of((), CONTRACT)
    assert str(schedule) == "sales.orders every day by 09:00 Etc/GMT+8"


def test_a_run_is_judged_by_its_contract_and_its_owner_is_told(spark, tmp_path):
    from spark_pd.sandbox import Sandbox

    with Sandbox(services=("main", "orders team")) as account:
        file = tmp_path / "pd.yaml"
        file.write_text(
            yaml.safe_dump(
                {
                    "channels": {
                        "team": {"integration_key": account.keys["orders team"]},
                        "rest": {"integration_key": account.keys["main"]},
                    },
                    "routes": [{"match": {"owner": "orders"}, "channels": ["team"]}, {"channels": ["rest"]}],
                }
            )
        )
        config = {**account.config, "spark.pd.on.ignored_rules": True, "spark.pd.outbox.path": str(tmp_path / "outbox")}
        monitor = spark_pd.install(spark, config, config_file=file)
        rows = "(1L, 'a@b.de', 10D, 'EUR'), (2L, 'A', 2000D, 'GBP'), (2L, NULL, NULL, 'USD')"
        frame = spark.sql(f"SELECT * FROM VALUES {rows} AS t(order_id, email, amount, currency)")
        with monitor.run("sales.orders", rules=str(CONTRACT)) as run:
            run.check(frame).write.format("noop").mode("overwrite").save()
        monitor.uninstall()
        failed = {result.name for result in run.stats.rules if result.status == "failed"}
        assert failed == {
            "email_pattern", "email_quality_1", "amount_exclusiveMaximum", "few_nulls", "known_currency", "order_id_primary_key", "no_big",
        }  # fmt: skip
        assert [incident.service for incident in account.open_incidents()] == ["orders team"]


def test_a_contract_that_cannot_be_read_says_why(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("kind: DataContract\napiVersion: v2.2.0\n")
    with pytest.raises(RulesError, match=r"apiVersion is v2\.2\.0"):
        load_rules(str(file))


_KEYS = ["name", "quality", "metric", "mustBe", "properties", "required", "type", "query", "property"]
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b'", "d", "library", "sql", "nullValues", "09:00-08:00"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "quality", "metric", "mustBe", "properties", "required", "type", "query", "property"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.fixed_dictionaries({}, optional={"schema": _values, "team": _values, "slaProperties": _values}))
def test_whatever_is_in_it_is_rules_that_load_or_left_out(content):
    found = read_contract({"kind": "DataContract", "apiVersion": "v3.1.0", **content})
    for rule in found.rules:
        assert rule["rule"]
        assert rule["expectation"]
