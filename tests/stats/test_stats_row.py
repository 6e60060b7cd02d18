"""A run's row of the stats table: pure, and literal."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from spark_pd.alerting.facts import RunFacts
from spark_pd.history.stats_columns import COLUMNS
from spark_pd.history.stats_row import Ended, row_of
from spark_pd.model import Alert, Decision, Delivery, Rule, RuleResult, RunStats, Subject

T0 = datetime(2026, 11, 20, 23, 59, 59, 500_000, tzinfo=timezone.utc)
RULES = (
    Rule(
        name="tens",
        expectation="id % 10 <> 0",
        action_if_failed="drop",
        column_name="id",
        tag="validity",
        description="no tens",
        priority="high",
        enable_error_drop_alert=True,
        error_drop_threshold=10.0,
    ),
    Rule(name="rows", expectation="count(*) > 5", rule_type="agg_dq"),
    Rule(name="late", expectation="(SELECT 1) = 1", rule_type="query_dq", is_active=False),
)
RESULTS = (
    RuleResult.of(RULES[0], "failed", failed_count=10, failed_percentage=10.0),
    RuleResult.of(RULES[1], "passed", observed=90, judged_on="target"),
)
STATS = RunStats(
    product_id="sales", table_name="Sales.Orders", run_id="r1", started_at=T0, ended_at=T0 + timedelta(seconds=2.5), status="passed",
    input_count=100, error_count=10, dropped_count=10, output_count=90, exact=True, counting="operator", rules=RESULTS,
)  # fmt: skip
SUBJECT = Subject(environment="prod", product_id="sales", table="sales.orders", scope="2026-11-20")
FACTS = RunFacts(
    subject=SUBJECT, run_id="r1", status="passed", stats=STATS, unknown=None, failure=None, rules=RULES, rules_source="code",
    started_at=T0, ended_at=T0 + timedelta(seconds=2.5), application="nightly", application_id="app-1", job_metadata="job 7",
)  # fmt: skip
ALERT = Alert(
    trigger="error_drop_threshold", state="firing", severity="error", summary="s", dedup_key=SUBJECT.dedup_key("error_drop_threshold"),
    source="nightly", component="sales.orders", at=T0,
)  # fmt: skip
ENDED = Ended(
    facts=FACTS,
    table_name="Sales.Orders",
    decisions=(Decision(trigger="error_drop_threshold", outcome="firing", reason="10 % of the rows were dropped"),),
    deliveries=(Delivery(alert=ALERT, channel="pagerduty", status="sent", reason="accepted", status_code=202, attempts=1),),
)


def test_a_run_s_row_is_spark_expectations_and_ours():
    rule = {"rule_type": "row_dq", "action_if_failed": "drop", "column_name": "id", "tag": "validity", "description": "no tens",
            "priority": "high"}  # fmt: skip
    aggregate = {"rule_type": "agg_dq", "action_if_failed": "ignore", "column_name": None, "tag": None, "description": None,
                 "priority": None}  # fmt: skip
    assert row_of(ENDED) == {
        "product_id": "sales",
        "table_name": "Sales.Orders",
        "input_count": 100,
        "error_count": 10,
        "output_count": 90,
        "output_percentage": 90.0,
        "success_percentage": 90.0,
        "error_percentage": 10.0,
        "source_agg_dq_results": None,
        "final_agg_dq_results": [{"rule": "rows", "status": "pass", **aggregate}],
        "source_query_dq_results": None,
        "final_query_dq_results": None,
        "row_dq_res_summary": [{"rule": "tens", "failed_row_count": "10", **rule}],
        "row_dq_error_threshold": [{"rule_name": "tens", "error_drop_threshold": "10", "error_drop_percentage": "10.0", **rule}],
        "dq_status": {"run_status": "Passed", "row_dq": "Failed", "final_agg_dq": "Passed"},
        "dq_run_time": {"run_time": 2.5},
        "dq_rules": {
            "rules": {"num_row_dq_rules": 1, "num_dq_rules": 2},
            "agg_dq_rules": {"num_agg_dq_rules": 1, "num_source_agg_dq_rules": 1, "num_final_agg_dq_rules": 1},
            "query_dq_rules": {"num_query_dq_rules": 0, "num_source_query_dq_rules": 0, "num_final_query_dq_rules": 0},
        },
        "meta_dq_run_id": "r1",
        "meta_dq_run_date": date(2026, 11, 20),
        "meta_dq_run_datetime": T0,
        "dq_env": "prod",
        "se_job_metadata": "job 7",
        "status": "passed",
        "exact": True,
        "counting": "operator",
        "unknown_because": None,
        "dropped_count": 10,
        "error_drop_percentage": 10.0,
        "started_at": T0,
        "ended_at": T0 + timedelta(seconds=2.5),
        "subject": "spark_pd/prod/sales/sales.orders/scope=2026-11-20",
        "scope": "2026-11-20",
        "job": None,
        "application": "nightly",
        "application_id": "app-1",
        "rules_source": "code",
        "failure": None,
        "failure_class": None,
        "rules": [
            {"name": "tens", "status": "failed", "failed_count": 10, "failed_percentage": 10.0, "observed": None, "judged_on": None,
             **rule},
            {"name": "rows", "status": "passed", "failed_count": None, "failed_percentage": None, "observed": "90", "judged_on": "target",
             **aggregate},
        ],
        "decisions": [{"trigger": "error_drop_threshold", "outcome": "firing", "reason": "10 % of the rows were dropped"}],
        "deliveries": [
            {
                "trigger": "error_drop_threshold",
                "state": "firing",
                "severity": "error",
                "dedup_key": "spark_pd/prod/sales/sales.orders/scope=2026-11-20/error_drop_threshold",
                "channel": "pagerduty",
                "status": "sent",
                "reason": "accepted",
                "status_code": 202,
                "attempts": 1,
            }
        ],
    }  # fmt: skip


def test_spark_expectations_columns_come_first_and_a_row_has_each_once():
    assert [column.name for column in COLUMNS][:22] == [
        "product_id", "table_name", "input_count", "error_count", "output_count", "output_percentage", "success_percentage",
        "error_percentage", "source_agg_dq_results", "final_agg_dq_results", "source_query_dq_results", "final_query_dq_results",
        "row_dq_res_summary", "row_dq_error_threshold", "dq_status", "dq_run_time", "dq_rules", "meta_dq_run_id", "meta_dq_run_date",
        "meta_dq_run_datetime", "dq_env", "se_job_metadata",
    ]  # fmt: skip
    assert {column.name for column in COLUMNS} == set(row_of(ENDED))
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)


def test_a_run_that_checked_nothing_has_no_counts_and_what_is_unknown_is_no_zero():
    row = row_of(replace(ENDED, facts=replace(FACTS, stats=None, status="errored", failure="ValueError: no"), failure_class="ValueError"))
    assert {row[name] for name in ("input_count", "error_count", "dropped_count", "output_count", "error_percentage", "exact")} == {None}
    assert (row["status"], row["failure"], row["failure_class"]) == ("errored", "ValueError: no", "ValueError")
    assert row["dq_status"] == {"run_status": "Failed"}
    unknown = replace(STATS, status="unknown", exact=False, input_count=None, error_count=None, dropped_count=None, output_count=None)
    row = row_of(replace(ENDED, facts=replace(FACTS, stats=unknown, status="unknown", unknown="nobody knows")))
    assert (row["input_count"], row["error_percentage"], row["exact"], row["unknown_because"]) == (None, None, False, "nobody knows")


def test_a_message_is_scrubbed_also_where_pagerduty_gets_all_of_it():
    failure = "ValueError: row 'ann@example.com' at s3://bucket/x?sig=abc password=hunter2"
    decision = Decision(trigger="failure", outcome="firing", reason=f"{failure}; not told: muted")
    row = row_of(replace(ENDED, facts=replace(FACTS, failure=failure), decisions=(decision,)))
    for text in (row["failure"], row["decisions"][0]["reason"]):
        assert "ValueError" in text
        assert not any(secret in text for secret in ("ann@", "abc", "hunter2"))
    assert row["decisions"][0]["reason"].endswith("; not told: muted")


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_the_docs_have_every_column_with_its_type(column):
    page = (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")
    assert f"| `{column.name}` | {column.type} | {column.doc} |" in page
