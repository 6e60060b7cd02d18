"""Rules from lists and files: every mistake in one error, NULL means the default."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spark_pd
from spark_pd.model import Rule
from spark_pd.rules.loading import COLUMNS, load_rules

ROW = {"rule": "r", "expectation": "x > 0"}


def test_the_defaults_are_row_dq_ignore_active():
    assert load_rules([ROW]) == (Rule(name="r", expectation="x > 0"),)
    assert (load_rules([ROW])[0].rule_type, load_rules([ROW])[0].action_if_failed, load_rules([ROW])[0].is_active) == (
        "row_dq",
        "ignore",
        True,
    )


def test_null_and_empty_and_nan_mean_the_default():
    nothing = dict.fromkeys(set(COLUMNS) - {"rule", "expectation"})
    assert load_rules([{**nothing, **ROW}]) == load_rules([ROW])
    assert load_rules([{**ROW, "tag": "", "error_drop_threshold": float("nan")}]) == load_rules([ROW])


def test_a_rule_is_taken_as_it_is_and_checked_too():
    rule = Rule(name="r", expectation="x > 0", action_if_failed="drop", tag="t")
    assert load_rules([rule]) == (rule,)
    with pytest.raises(spark_pd.RulesError, match="action_if_failed"):
        load_rules([Rule(name="r", expectation="x", action_if_failed="dorp")])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rule": None}, "'rule' is missing"),
        ({"expectation": ""}, "'expectation' is missing"),
        ({"expectation": 5}, "expectation"),
        ({"action_if_failed": "dorp"}, "expected one of ignore, drop, fail"),
        ({"rule_type": "rowdq"}, "expected one of row_dq, agg_dq, query_dq"),
        ({"rule_type": "agg_dq", "action_if_failed": "drop"}, "no rows to drop"),
        ({"is_active": "yes"}, "is_active"),
        ({"is_active": 1}, "is_active"),
        ({"error_drop_threshold": 101}, "0 to 100"),
        ({"error_drop_threshold": "15,5"}, "error_drop_threshold"),
        ({"error_drop_threshold": True}, "error_drop_threshold"),
        ({"actoin_if_failed": "drop"}, "did you mean 'action_if_failed'?"),
        ({"zzz": 1}, "expected one of rule"),
        ({"priority": "urgent"}, "expected one of low, medium, high"),
        ({"incident": "mine"}, "expected one of table, rule"),
        ({"warning_threshold": 5}, "and enable_error_drop_alert true"),
        ({"warning_threshold": 5, "enable_error_drop_alert": True}, "less than its error_drop_threshold, 0"),
        ({"warning_threshold": 5, "enable_error_drop_alert": True, "error_drop_threshold": 5}, "less than its error_drop_threshold, 5"),
        ({"incident": "rule", "action_if_failed": "drop"}, "which could never open"),
        ({"incident": "rule", "action_if_failed": "fail", "rule_type": "agg_dq", "enable_error_drop_alert": True}, "could never open"),
    ],
)
def test_each_mistake_says_where_and_what_was_expected(change, says):
    with pytest.raises(spark_pd.RulesError) as raised:
        load_rules([{**ROW, **change}])
    assert says in str(raised.value)
    assert "rule 1" in str(raised.value) or "'r'" in str(raised.value)


def test_all_mistakes_come_together_with_the_duplicates():
    with pytest.raises(spark_pd.RulesError) as raised:
        load_rules([ROW, ROW, {**ROW, "is_active": "maybe"}, 7, {"expectation": "x"}])
    assert len(raised.value.mistakes) == 4
    assert "4 mistakes in the rules" in str(raised.value)


def test_rules_of_another_table_or_product_are_left_out_and_may_share_a_name():
    rows = [{**ROW, "table_name": "A.b", "product_id": "p"}, {**ROW, "table_name": "c"}, {**ROW, "product_id": "q", "table_name": "a.b"}]
    assert [r.table_name for r in load_rules(rows, table="`a`.`B`", product_id="p")] == ["A.b"]
    assert len(load_rules([{**ROW, "table_name": "x"}])) == 1


def test_priority_and_incident_are_words_in_any_case_and_the_thresholds_are_kept():
    (rule,) = load_rules(
        [{**ROW, "priority": "HIGH", "incident": "Rule", "enable_error_drop_alert": "true", "error_drop_threshold": "7.5"}]
    )
    assert (rule.priority, rule.incident, rule.enable_error_drop_alert, rule.error_drop_threshold) == ("high", "rule", True, 7.5)


def test_the_hashes_of_spark_expectations_tables_are_left_alone():
    assert load_rules([{**ROW, "id_hash": "0f", "expectation_hash": "ff"}]) == load_rules([ROW])


def test_what_a_table_may_ask_for_and_does_not_get_is_one_warning_each(caplog):
    rows = [
        {**ROW, "rule": "a", "rule_type": "query_dq", "enable_querydq_custom_output": True},
        {**ROW, "rule": "b", "rule_type": "agg_dq", "enable_error_drop_alert": True},
        {**ROW, "rule": "c", "rule_type": "agg_dq", "enable_error_drop_alert": True},
        {**ROW, "rule": "d", "rule_type": "agg_dq", "enable_error_drop_alert": True, "is_active": False},
        {**ROW, "rule": "e", "enable_error_drop_alert": True},
    ]
    with caplog.at_level("WARNING", "spark_pd.rules"):
        load_rules(rows)
    alerts, outputs = (record.getMessage() for record in caplog.records)
    assert "does nothing for b and c" in alerts
    assert "enable_querydq_custom_output does nothing for a: the rows of a query's parts are not stored" in outputs


def test_parameters_stand_in_the_names_of_rule_table_and_product_too():
    rows = [{"rule": "r_{env}", "expectation": "x > 0", "table_name": "sales_{env}.orders", "product_id": "{env}"}]
    (rule,) = load_rules(rows, table="sales_prod.orders", product_id="prod", params={"env": "prod"})
    assert (rule.name, rule.table_name) == ("r_prod", "sales_prod.orders")
    assert load_rules(rows, table="sales_prod.orders", params={"env": "dev"}) == ()


def test_inactive_rules_of_every_type_are_fine():
    assert load_rules([{**ROW, "rule_type": "query_dq", "is_active": "false"}])[0].is_active is False


@pytest.mark.parametrize("suffix", ["yaml", "yml", "json", "csv"])
def test_files_of_each_kind_give_the_same_rules(tmp_path: Path, suffix: str):
    rows = [{"rule": "a", "expectation": "x > 0", "action_if_failed": "drop"}, {"rule": "b", "expectation": "y in ('k', 'l')"}]
    file = tmp_path / f"rules.{suffix}"
    if suffix == "csv":
        file.write_text("rule,expectation,action_if_failed,is_active\na,x > 0,drop,true\nb,\"y in ('k', 'l')\",,\n")
    else:
        file.write_text(json.dumps(rows))  # JSON is YAML too
    assert load_rules(file) == load_rules(str(file)) == load_rules(rows)
    if suffix != "csv":
        file.write_text(json.dumps({"rules": rows}))
        assert load_rules(file) == load_rules(rows)


@pytest.mark.parametrize(
    ("name", "text"), [("r.yaml", "a: [1"), ("r.json", "{"), ("r.yaml", "a: 1"), ("r.json", "3"), ("r.csv", "rule\na,b,c\n")]
)
def test_a_file_that_is_no_list_of_rules_says_so(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(spark_pd.RulesError, match=r"r\.(yaml|json|csv)"):
        load_rules(tmp_path / name)


def test_a_missing_file_and_what_is_no_source_of_rules():
    with pytest.raises(spark_pd.RulesError, match="could not be read"):
        load_rules("no/such/rules.yaml")
    with pytest.raises(spark_pd.UsageError, match="int"):
        load_rules(5)
    with pytest.raises(spark_pd.UsageError, match="needs a Spark session"):
        load_rules("db.rules")
    assert load_rules(None) == ()


@given(
    st.lists(
        st.dictionaries(st.sampled_from([*COLUMNS, "x"]), st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)),
        max_size=4,
    )
)
def test_whatever_is_given_is_rules_or_one_error_with_every_mistake(rows):
    try:
        loaded = load_rules(rows)
    except spark_pd.RulesError as error:
        assert error.mistakes  # noqa: PT017
    else:
        assert len({r.name for r in loaded}) == len(rows)
