"""`spark-pd validate`: every mistake, the settings in force, and no network."""

from __future__ import annotations

import socket

import pytest

KEY = "0123456789abcdef0123456789abcdef"
ENABLED = "spark.expectations.notifications.pagerduty.enabled"
INTEGRATION_KEY = "spark.expectations.notifications.pagerduty.integration.key"
GOOD_RULES = """
- {rule: has_id, expectation: id IS NOT NULL, action_if_failed: drop}
- {rule: has_name, expectation: name IS NOT NULL}
- {rule: positive, expectation: amount > 0}
"""


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*arguments, **named):
        raise AssertionError("validate went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def file(tmp_path):
    def write(name: str, text: str) -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def lines_of(output: str, name: str) -> list[str]:
    return [line for line in output.splitlines() if line.split()[:1] == [name]]


def test_good_settings_and_rules_exit_with_0_and_are_shown(cli, file):
    result = cli("validate", file("rules.yaml", GOOD_RULES), "--conf", f"{ENABLED}=true", "--conf", f"{INTEGRATION_KEY}=env:THE_KEY")
    assert result.exit_code == 0, result.output
    assert "3 rules (1 drop, 2 ignore)" in result.output


def test_nothing_given_shows_the_defaults(cli):
    result = cli("validate")
    assert result.exit_code == 0
    (line,) = lines_of(result.output, "spark.pd.region")
    assert line.split()[1] == "us"
    assert line.split()[2].startswith("default")


def test_each_setting_is_shown_with_where_it_comes_from(cli, file, monkeypatch):
    config = file("pagerduty.yaml", "spark.pd.region: eu\nspark.pd.deadline: 7\nspark.pd.environment: dev\n")
    monkeypatch.setenv("SPARK_PD_DEADLINE", "8")
    monkeypatch.setenv("SPARK_PD_ENVIRONMENT", "staging")
    result = cli("validate", "--config-file", config, "--conf", "spark.pd.environment=prod")
    assert result.exit_code == 0, result.output
    shown = {
        name: lines_of(result.output, name)[0].split(maxsplit=2)[1:]
        for name in ("region", "deadline", "environment")
        for name in [f"spark.pd.{name}"]
    }
    assert shown["spark.pd.region"][0] == "eu"
    assert "pagerduty.yaml" in shown["spark.pd.region"][1]
    assert float(shown["spark.pd.deadline"][0]) == 8
    assert "SPARK_PD_DEADLINE" in shown["spark.pd.deadline"][1] or "environment" in shown["spark.pd.deadline"][1]
    assert shown["spark.pd.environment"][0] == "prod"
    assert len({source for _, source in shown.values()}) == 3


def test_a_key_given_as_it_stands_is_never_shown(cli):
    result = cli("validate", "--conf", f"{ENABLED}=true", "--conf", f"{INTEGRATION_KEY}={KEY}")
    assert result.exit_code == 0, result.output
    assert KEY not in result.output
    assert lines_of(result.output, INTEGRATION_KEY)


def test_every_mistake_in_the_settings_is_printed_and_exits_with_2(cli):
    result = cli("validate", "--conf", "spark.pd.regoin=eu", "--conf", "spark.pd.deadline=soon", "--conf", f"{ENABLED}=true")
    assert result.exit_code == 2
    assert "spark.pd.region" in result.output, "the nearest known name"
    assert "spark.pd.deadline" in result.output
    assert INTEGRATION_KEY in result.output, "enabled without a key"
    assert "3 mistakes" in result.output


def test_mistakes_that_a_job_would_live_with_are_mistakes_here(cli):
    result = cli("validate", "--conf", "spark.pd.on_config_error=disable", "--conf", "spark.pd.deadline=soon")
    assert result.exit_code == 2
    assert "spark.pd.deadline" in result.output
    result = cli("validate", "--conf", "spark.pd.on_config_error=disable")
    assert result.exit_code == 0
    assert lines_of(result.output, "spark.pd.on_config_error")[0].split()[1] == "disable"


def test_every_mistake_in_every_rules_file_is_printed_and_exits_with_1(cli, file):
    first = file("first.yaml", "- {rule: a, expectation: x > 0, action_if_failed: explode}\n- {rule: b}\n")
    second = file("second.json", '[{"rule": "c", "expectaton": "x > 0", "expectation": "x > 0"}]')
    third = file("third.csv", "rule,expectation\nd,x > 0\nd,y > 0\n")
    result = cli("validate", first, "--rules", second, "--rules", third)
    assert result.exit_code == 1, result.output
    for mistake in ("explode", "'expectation' is missing", "expectaton", "named 'd'"):
        assert mistake in result.output
    for name in ("first.yaml", "second.json", "third.csv"):
        assert name in result.output
    assert "4 mistakes" in result.output


def test_mistakes_in_both_are_all_printed_and_exit_with_2(cli, file):
    result = cli("validate", "--conf", "spark.pd.deadline=soon", file("rules.yaml", "- {rule: b}\n"))
    assert result.exit_code == 2
    assert "spark.pd.deadline" in result.output
    assert "'expectation' is missing" in result.output
    assert "2 mistakes" in result.output


@pytest.mark.parametrize("text", ["rules: [", "just text", "\x00\x01"])
def test_a_file_that_holds_no_rules_is_one_mistake(cli, file, text):
    result = cli("validate", file("rules.yaml", text))
    assert result.exit_code == 1
    assert "rules.yaml" in result.output
    assert "1 mistake\n" in result.output


def test_the_exit_code_reaches_the_shell(start):
    process = start("validate", "--conf", "spark.pd.deadline=soon")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "Traceback" not in errors
