"""spark.pd.lifecycle.as=change, from a DataFrame to PagerDuty."""

from __future__ import annotations

import pytest

from tests.end_to_end.shared import ALL_ON, RULES, write


def test_a_run_s_start_and_completion_are_changes_and_page_nobody(spark, install, pagerduty):
    monitor = install({**ALL_ON, "spark.pd.lifecycle.as": "change"})
    with monitor.run("sales.orders", rules=RULES[:1]) as run:
        write(run.check(spark.range(1, 10)))
    assert [change["payload"]["summary"] for change in pagerduty.changes] == [
        "sales.orders run started",
        "sales.orders run completed: 9 rows written of 9",
    ]
    assert pagerduty.changes[1]["payload"]["custom_details"]["input_count"] == 9
    assert pagerduty.incidents() == []
    became = {(each.alert.trigger, each.alert.state): each.status for each in run.deliveries}
    assert became["start", "firing"] == became["completion", "firing"] == "sent"
    assert became["start", "resolved"] == became["completion", "resolved"] == "suppressed"


def test_a_strict_run_is_content_with_changes(spark, install, pagerduty):
    with install({**ALL_ON, "spark.pd.lifecycle.as": "change", "spark.pd.strict": True}).run("sales.orders", rules=RULES[:1]) as run:
        write(run.check(spark.range(1, 10)))
    assert {each.status for each in run.deliveries} == {"sent", "suppressed"}


def test_a_failed_run_leaves_the_start_as_a_change_and_opens_the_failure(install, pagerduty):
    with pytest.raises(ValueError, match="boom"), install({**ALL_ON, "spark.pd.lifecycle.as": "change"}).run("sales.orders"):
        raise ValueError("boom")
    assert [incident.dedup_key.rpartition("/")[2] for incident in pagerduty.open_incidents()] == ["failure"]
    assert len(pagerduty.changes) == 1
