"""`monitor.report`: another engine's counts have the triggers, the incidents and the history of any run."""

from __future__ import annotations

import pytest

import spark_pd
from spark_pd import DeliveryError, RuleResult, UsageError, user_config
from tests.end_to_end.conftest import install  # noqa: F401

ON = {
    "spark.pd.on.ignored_rules": True,
    "spark.pd.on.error_drop_threshold": True,
    user_config.se_notifications_on_error_drop_threshold: 10,
}

CURRENCY = {"name": "currency", "rule_type": "row_dq", "column_name": "c", "action_if_failed": "ignore"}


@pytest.fixture
def monitor(install):  # noqa: F811
    return install(ON)


def test_a_bad_report_opens_incidents_and_a_good_one_closes_them(monitor, pagerduty):
    bad = monitor.report(
        "sales.orders",
        input_count=100,
        error_count=30,
        dropped_count=20,
        rules=[
            {"name": "positive", "failed_count": 20, "action_if_failed": "drop"},
            RuleResult(**CURRENCY, status="failed", failed_count=10, failed_percentage=10.0),
        ],
    )
    assert (bad.stats.status, bad.stats.counting, bad.stats.output_count, bad.stats.exact) == ("passed", "reported", 80, True)
    assert bad.stats.error_drop_percentage == 20.0
    assert bad.stats.rule("positive").failed_percentage == 20.0
    assert {i.dedup_key.rsplit("/", 1)[1] for i in pagerduty.open_incidents()} == {"error_drop_threshold", "ignored_rules"}
    good = monitor.report(
        "sales.orders",
        input_count=100,
        error_count=0,
        dropped_count=0,
        rules=[{"name": "positive", "failed_count": 0, "action_if_failed": "drop"}, {"name": "currency", "failed_count": 0}],
    )
    assert [d.status for d in good.deliveries] == ["sent"] * len(good.deliveries)
    assert pagerduty.open_incidents() == []


@pytest.mark.parametrize("failure", ["the load is broken: password=hunter2", ValueError("the load is broken")])
def test_a_failure_pages_and_nothing_is_raised(monitor, pagerduty, failure):
    run = monitor.report("sales.orders", failure=failure)
    assert run.stats is None
    (incident,) = pagerduty.open_incidents()
    assert "the load is broken" in str(incident.details) + incident.summary
    assert "hunter2" not in str(pagerduty.events)
    monitor.report("sales.orders", input_count=1, error_count=0, dropped_count=0)
    assert pagerduty.open_incidents() == []


def test_a_rule_with_action_fail_that_failed_is_a_failed_run(monitor, pagerduty):
    run = monitor.report("t", input_count=5, rules=[{"name": "key", "failed_count": 1, "action_if_failed": "fail"}])
    assert run.stats.status == "failed"
    assert [i.dedup_key.rsplit("/", 1)[1] for i in pagerduty.open_incidents()] == ["failure"]


def test_what_is_not_reported_is_unknown_and_never_zero(monitor, pagerduty):
    run = monitor.report("t", input_count=10, rules=[{"name": "a"}])
    assert (run.stats.dropped_count, run.stats.output_count, run.stats.rule("a").status) == (None, None, "unknown")
    outcomes = {d.trigger: d.outcome for d in run.decisions}
    assert outcomes["error_drop_threshold"] == "unknown"
    assert pagerduty.open_incidents() == []


def test_every_mistake_of_a_report_comes_in_one_error(monitor):
    with pytest.raises(UsageError) as refused:
        monitor.report(
            "t", input_count=-1, dropped_count=True, rules=[{"name": "a", "failed_cuont": 1}, {}, {"name": "b", "status": "bad"}, 5]
        )
    for part in ("input_count is -1", "dropped_count is True", "did you mean failed_count?", "has no name", "status is 'bad'", "a int"):
        assert part in str(refused.value)
    with pytest.raises(UsageError, match="more than the input_count"):
        monitor.report("t", input_count=1, dropped_count=2)


def test_strict_raises_what_was_not_delivered(install, pagerduty):  # noqa: F811
    pagerduty.fault(400)
    monitor = install({**ON, "spark.pd.strict": True})
    with pytest.raises(DeliveryError):
        monitor.report("t", failure="broken")


def test_a_monitor_that_was_uninstalled_reports_nothing(spark, pagerduty):
    monitor = spark_pd.install(spark, pagerduty.config)
    monitor.uninstall()
    with pytest.raises(UsageError, match="uninstalled"):
        monitor.report("t", input_count=1)


def test_results_without_counts_are_enough_for_ignored_rules(monitor, pagerduty):
    """Engines that give only results, such as expectations over a whole table, page by them."""
    run = monitor.report("sales.orders", rules=[{"name": "currency", "failed_count": 3}, {"name": "total", "status": "passed"}])
    assert "currency" in run._repr_html_()
    (incident,) = pagerduty.open_incidents()
    assert incident.dedup_key.endswith("/ignored_rules")
    assert "currency (3 rows)" in incident.summary
    monitor.report("sales.orders", rules=[{"name": "currency"}, {"name": "total", "status": "passed"}])
    assert len(pagerduty.open_incidents()) == 1, "an unknown result closes nothing"
    monitor.report("sales.orders", input_count=0, rules=[{"name": "currency", "failed_count": 0}])
    assert len(pagerduty.open_incidents()) == 1, "an empty input closes nothing"
    monitor.report("sales.orders", rules=[{"name": "currency", "failed_count": 0}, {"name": "total", "status": "passed"}])
    assert pagerduty.open_incidents() == []
