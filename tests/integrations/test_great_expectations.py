"""A checkpoint of Great Expectations opens and closes incidents. Run by make test-engines, with the real package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

gx = pytest.importorskip("great_expectations", reason="Great Expectations is not here; make test-engines has it")
pd = pytest.importorskip("pandas")

from spark_pd.integrations.great_expectations import Action, counts_and_rules  # noqa: E402

GOOD = {"id": [1, 2, 3, 4], "amount": [1, 2, 3, 4]}
BAD = {"id": [1, None, 3, 4], "amount": [1, -2, -3, None]}


def checkpoint(monitor, *expectations):
    context = gx.get_context(mode="ephemeral")
    batch = context.data_sources.add_pandas("p").add_dataframe_asset("a").add_batch_definition_whole_dataframe("b")
    suite = context.suites.add(gx.ExpectationSuite(name="orders", expectations=list(expectations)))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name="v", data=batch, suite=suite))
    made = gx.Checkpoint(name="c", validation_definitions=[definition], actions=[Action(monitor=monitor, table="sales.orders")])
    return lambda rows: made.run(batch_parameters={"dataframe": pd.DataFrame(rows)})


def expectations():
    return (
        gx.expectations.ExpectColumnValuesToNotBeNull(column="id"),
        gx.expectations.ExpectColumnValuesToBeBetween(column="amount", min_value=0),
        gx.expectations.ExpectTableRowCountToBeBetween(min_value=2),
    )


def test_a_bad_checkpoint_opens_an_incident_and_a_good_one_closes_it(monitor, pagerduty, firing):
    run = checkpoint(monitor, *expectations())
    assert not run(BAD).success
    assert firing() == {"ignored_rules"}
    (incident,) = pagerduty.open_incidents()
    assert "expect_column_values_to_not_be_null(id)" in str(incident.details)
    assert "expect_table_row_count" not in incident.summary
    assert run(GOOD).success
    assert firing() == set()


def test_an_expectation_that_raises_is_unknown_and_keeps_an_incident_open(monitor, firing):
    checkpoint(monitor, *expectations())(BAD)
    checkpoint(monitor, gx.expectations.ExpectColumnValuesToBeBetween(column="missing", min_value=0))(GOOD)
    assert firing() == {"ignored_rules"}


def test_results_become_rules_with_counts():
    context = gx.get_context(mode="ephemeral")
    batch = context.data_sources.add_pandas("p").add_dataframe_asset("a").add_batch_definition_whole_dataframe("b")
    suite = context.suites.add(
        gx.ExpectationSuite(
            name="orders",
            expectations=[
                *expectations(),
                gx.expectations.ExpectColumnValuesToBeBetween(column="missing", min_value=0),
                gx.expectations.ExpectColumnValuesToBeBetween(column="amount", min_value=0, max_value=1),
                gx.expectations.ExpectColumnValuesToBeBetween(column="amount", min_value=9, severity="info"),
            ],
        )
    )
    definition = context.validation_definitions.add(gx.ValidationDefinition(name="v", data=batch, suite=suite))
    found = definition.run(batch_parameters={"dataframe": pd.DataFrame(BAD)})
    given = counts_and_rules(each.to_json_dict() for each in found.results)
    assert given["input_count"] == 4
    rules = {each["name"]: each for each in given["rules"]}
    assert {name: (each["status"], each["failed_count"], each["rule_type"]) for name, each in rules.items()} == {
        "expect_column_values_to_not_be_null(id)": ("failed", 1, "row_dq"),
        "expect_column_values_to_be_between(amount)": ("failed", 2, "row_dq"),
        "expect_column_values_to_be_between(amount) 2": ("failed", 2, "row_dq"),
        "expect_column_values_to_be_between(missing)": ("unknown", None, "agg_dq"),
        "expect_table_row_count_to_be_between": ("passed", None, "agg_dq"),
    }
    assert rules["expect_table_row_count_to_be_between"]["observed"] == 4
    assert "does not exist" in rules["expect_column_values_to_be_between(missing)"]["reason"]


def test_the_example_in_the_docs_runs(monitor, firing):
    page = Path(__file__).parents[2] / "docs" / "channels.md"
    (example,) = (each for each in re.findall(r"^```py\n(.*?)^```", page.read_text(), flags=re.M | re.S) if "great_expectations" in each)
    context = gx.get_context(mode="ephemeral")
    batch = context.data_sources.add_pandas("p").add_dataframe_asset("a").add_batch_definition_whole_dataframe("b")
    suite = context.suites.add(gx.ExpectationSuite(name="orders", expectations=list(expectations())))
    names = {
        "monitor": monitor,
        "definition": context.validation_definitions.add(gx.ValidationDefinition(name="v", data=batch, suite=suite)),
    }
    exec(example, names)
    names["checkpoint"].run(batch_parameters={"dataframe": pd.DataFrame(BAD)})
    assert firing() == {"ignored_rules"}
