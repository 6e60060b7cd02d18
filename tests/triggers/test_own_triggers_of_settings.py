"""Triggers of one's own, from the settings file to decisions: thresholds within a time, groups, unknown, and every mistake."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from spark_pd import SettingsError
from spark_pd.alerting.alerts import alerts_at_end
from spark_pd.alerting.past_runs import History, PastRun
from spark_pd.alerting.triggers import decide
from spark_pd.model import RuleResult
from spark_pd.runs.channels import explain
from spark_pd.runs.wiring import own_triggers_of, triggers_of
from spark_pd.settings import Settings, load_settings
from tests.triggers.test_own_trigger import NOW, facts

GOOD = """
spark.expectations.notifications.pagerduty.enabled: true
channels: {oncall: {integration_key: env:A}, low: {integration_key: env:B}}
routes: [{channels: [low]}]
triggers:
  - {name: many_drops, when: "error_drop_percentage >= 5 and input_count > 1000", severity: critical, channels: [oncall]}
  - {name: thrice, when: "status == 'errored'", threshold: 3, within: 1h}
  - {name: products, when: "status == 'errored'", threshold: 2, within: 1h, for_each: product_id}
  - {name: shrunk, when: "input_count < median.input_count / 2 or rule('key').failed_percentage > 1"}
  - {name: silent, absent: {table: sales.orders}, within: 26h}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "s.yaml"
    file.write_text(GOOD + f"\nspark.pd.outbox.path: {tmp_path / 'outbox'}\n")
    return load_settings(None, environ={}, config_file=file)


def outcomes(some, settings, triggers=None) -> dict[str, tuple[str, str]]:
    policy = triggers or triggers_of(settings)
    own = {each.name for each in settings.own_triggers}
    return {e.decision.trigger: (e.decision.outcome, e.decision.reason) for e in decide(some, policy) if e.decision.trigger in own}


def counted(rows: int, dropped: int):
    some = facts(rows)
    return replace(some, stats=replace(some.stats, dropped_count=dropped, output_count=rows - dropped))


def test_a_condition_fires_by_its_name_with_its_severity_and_its_channels(settings):
    found = outcomes(counted(2000, 100), settings)
    assert found["many_drops"] == ("firing", found["many_drops"][1])
    assert "error_drop_percentage is 5.0, input_count is 2,000" in found["many_drops"][1]
    assert outcomes(counted(2000, 99), settings)["many_drops"][0] == "good"
    assert outcomes(facts(None, "unknown"), settings)["many_drops"][0] == "unknown"
    assert outcomes(counted(0, 0), settings)["many_drops"][0] == "none"
    assert outcomes(counted(2000, 0), settings)["silent"][0] == "none"
    some = counted(2000, 100)
    policy = triggers_of(settings)
    (alert,) = [a for a in alerts_at_end(some, policy, decide(some, policy)) if a.trigger == "many_drops"]
    assert (alert.severity, alert.dedup_key) == ("critical", "spark_pd/prod/p/t/many_drops")
    assert explain(settings, "t", trigger="many_drops").channels == ("oncall",)
    assert explain(settings, "t", trigger="failure").channels == ("low",)


def errored(run: str, minutes: float, table: str = "t"):
    some = facts(10, "errored")
    at = NOW + timedelta(minutes=minutes)
    return replace(some, run_id=run, ended_at=at, stats=None, failure="x", subject=replace(some.subject, table=table))


def test_a_threshold_within_a_time_counts_runs_of_its_group_also_in_another_process(settings):
    first, second = triggers_of(settings), triggers_of(settings)
    found = [
        outcomes(errored("1", 0), settings, first),
        outcomes(errored("2", 10), settings, second),
        outcomes(errored("2", 10), settings, second),  # the same run counts once
        outcomes(errored("3", 20, "other"), settings, first),
        outcomes(errored("4", 30), settings, second),
    ]
    assert [each["thrice"][0] for each in found] == ["none", "none", "none", "none", "firing"]
    assert [each["products"][0] for each in found] == ["none", "firing", "firing", "firing", "firing"]
    assert "3 of the 3 runs within 3600 s" in found[-1]["thrice"][1]
    assert outcomes(replace(facts(10), ended_at=NOW + timedelta(minutes=31)), settings, first)["thrice"][0] == "none"
    assert outcomes(replace(facts(10), ended_at=NOW + timedelta(minutes=91)), settings, first)["thrice"][0] == "good"


def test_history_and_rules_are_names_too_and_unknown_where_there_is_none(settings):
    assert outcomes(counted(100, 0), settings)["shrunk"][0] == "unknown"
    usual = {"status": "passed", "exact": True, "input_count": 1000, "error_count": 0, "dropped_count": 0}
    past = tuple(PastRun(run_id=str(n), started_at=NOW, **usual) for n in range(5))
    some = replace(counted(100, 0), history=History(runs=past))
    assert outcomes(some, settings)["shrunk"][0] == "firing"
    key = RuleResult(
        name="key", rule_type="row_dq", column_name=None, action_if_failed="ignore", status="passed", failed_count=0, failed_percentage=0.0
    )
    good = replace(counted(900, 0), history=History(runs=past))
    assert outcomes(replace(good, stats=replace(good.stats, rules=(key,))), settings)["shrunk"][0] == "good"


def test_every_mistake_comes_in_one_error(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text(
        """
triggers:
  - {name: failure, when: "input_count > 1"}
  - {name: a, when: "input_cuont > 1", severity: loud, channels: [nobody], thresold: 3}
  - {name: b, when: "input_count > 1", threshold: 3}
  - {name: b, absent: {tabel: x}, within: soon, for_each: moon}
  - {name: c}
  - just text
"""
    )
    with pytest.raises(SettingsError) as refused:
        load_settings(None, environ={}, config_file=file)
    text = str(refused.value)
    for part in (
        "triggers[1].name", "did you mean input_count?", "'loud'", "triggers[2].channels", "did you mean threshold?", "triggers[3].within",
        "triggers[4].absent", "triggers[4].within", "triggers[4].for_each", "either `when` or `absent`", "triggers[6]",
    ):  # fmt: skip
        assert part in text, (part, text)


def test_the_triggers_are_made_once_for_a_monitor_and_cost_nothing_where_there_are_none():
    assert own_triggers_of(Settings()) == ()
