"""`spark-pd test` against the sandbox, over real HTTP."""

from __future__ import annotations

import re

import pytest

ENABLED = "spark.expectations.notifications.pagerduty.enabled"
INTEGRATION_KEY = "spark.expectations.notifications.pagerduty.integration.key"
WEBHOOK_URL = "spark.expectations.notifications.pagerduty.webhook.url"


def test_a_test_incident_is_opened_and_resolved(cli, conf, pagerduty):
    result = cli("test", *conf(pagerduty.config), "--conf", "spark.pd.environment=prod", "--conf", "spark.pd.product_id=sales")
    assert result.exit_code == 0, result.output
    (incident,) = pagerduty.incidents()
    assert (incident.status, incident.severity, incident.component, incident.group) == ("resolved", "info", "spark_pd test", "sales")
    assert incident.dedup_key.startswith("spark_pd/prod/sales/spark_pd test/")
    assert [event["event_action"] for event in pagerduty.events] == ["trigger", "resolve"]
    assert re.search(r"^open +sent ", result.output, re.MULTILINE)
    assert re.search(r"^resolve +sent ", result.output, re.MULTILINE)
    assert pagerduty.key not in result.output


def test_two_tests_are_two_incidents(cli, conf, pagerduty):
    for _ in range(2):
        assert cli("test", *conf(pagerduty.config)).exit_code == 0
    assert len(pagerduty.incidents()) == 2


def test_the_severity_can_be_chosen(cli, conf, pagerduty):
    assert cli("test", "--severity", "critical", *conf(pagerduty.config)).exit_code == 0
    assert pagerduty.incidents()[0].severity == "critical"


def test_settings_come_from_a_file_and_the_key_from_the_environment(cli, pagerduty, tmp_path, monkeypatch):
    path = tmp_path / "pagerduty.yaml"
    path.write_text(f"{ENABLED}: true\n{INTEGRATION_KEY}: env:THE_KEY\n{WEBHOOK_URL}: {pagerduty.url}\n")
    monkeypatch.setenv("THE_KEY", pagerduty.key)
    result = cli("test", "--config-file", path)
    assert result.exit_code == 0, result.output
    assert pagerduty.incidents()[0].status == "resolved"


@pytest.mark.parametrize("config", [{}, {INTEGRATION_KEY: "env:THE_KEY"}, {ENABLED: "true"}, {"spark.pd.regoin": "eu"}])
def test_settings_that_send_nowhere_or_are_wrong_exit_with_2(cli, conf, config):
    result = cli("test", *conf(config))
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_refused_key_exits_with_1_and_resolves_nothing(cli, conf, pagerduty):
    wrong = "f" * 32
    result = cli("test", *conf({**pagerduty.config, INTEGRATION_KEY: wrong}))
    assert result.exit_code == 1
    assert len(pagerduty.requests) == 1
    assert re.search(r"^open +dead .*400", result.output, re.MULTILINE)
    assert wrong not in result.output


def test_a_key_that_cannot_be_had_exits_with_1_and_names_its_reference(cli, conf, pagerduty):
    result = cli("test", *conf({**pagerduty.config, INTEGRATION_KEY: "env:NO_SUCH_VARIABLE"}))
    assert result.exit_code == 1
    assert "NO_SUCH_VARIABLE" in result.output
    assert pagerduty.requests == []


def test_an_answer_that_never_comes_exits_with_1_and_is_resolved_all_the_same(cli, conf, pagerduty):
    pagerduty.fault("lost", times=1)
    pagerduty.fault("hang")
    result = cli("test", *conf({**pagerduty.config, "spark.pd.deadline": 1}))
    assert result.exit_code == 1
    assert len(pagerduty.incidents()) == 1, "the first event arrived, though nobody was told"
    assert re.search(r"^resolve ", result.output, re.MULTILINE)


def test_a_resolve_that_is_not_delivered_exits_with_1(cli, conf, pagerduty):
    pagerduty.fault("slow", times=1, seconds=0)
    pagerduty.fault(403)
    result = cli("test", *conf(pagerduty.config))
    assert result.exit_code == 1
    assert len(pagerduty.open_incidents()) == 1
    assert re.search(r"^open +sent ", result.output, re.MULTILINE)
    assert re.search(r"^resolve +dead ", result.output, re.MULTILINE)


def test_the_exit_code_reaches_the_shell(start, conf, pagerduty):
    process = start("test", *conf({**pagerduty.config, INTEGRATION_KEY: "f" * 32}))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    process = start("test", *conf(pagerduty.config))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
