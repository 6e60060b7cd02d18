"""Names: misspelt ones, equal ones, and those of spark-expectations that we do not use."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from spark_pd import SettingsError, user_config
from spark_pd.settings import SETTINGS, Settings, load_settings
from spark_pd.settings.names import CONSTANTS, DOTTED, ENVIRONMENT

N = "spark.expectations.notifications."


def test_the_constants_of_spark_expectations_have_its_names_and_values() -> None:
    expected = {
        "se_notifications_enable_pagerduty": N + "pagerduty.enabled",
        "se_notifications_pagerduty_integration_key": N + "pagerduty.integration.key",
        "se_notifications_pagerduty_webhook_url": N + "pagerduty.webhook.url",
        "se_notifications_on_start": N + "on.start",
        "se_notifications_on_completion": N + "on.completion",
        "se_notifications_on_fail": N + "on.fail",
        "se_notifications_on_error_drop_exceeds_threshold_breach": N + "on.error.drop.exceeds.threshold.breach",
        "se_notifications_on_rules_action_if_failed_set_ignore": N + "on.rules.action.if.failed.set.ignore",
        "se_notifications_on_error_drop_threshold": N + "error.drop.threshold",
        "secret_type": "se.streaming.secret.type",
        "cbs_url": "se.streaming.cerberus.url",
        "cbs_sdb_path": "se.streaming.cerberus.sdb.path",
        "dbx_workspace_url": "se.streaming.dbx.workspace.url",
        "dbx_secret_scope": "se.streaming.dbx.secret.scope",
        "se_job_metadata": "spark.expectations.job.metadata",
        "se_enable_error_table": "se.enable.error.table",
        "se_dq_rules_params": "se.dq.rules.params",
        "se_notifications_enable_slack": N + "slack.enabled",
        "se_enable_streaming": "se.streaming.enable",
    }
    assert {constant: getattr(user_config, constant) for constant in expected} == expected
    assert user_config.Constants.se_notifications_on_fail == N + "on.fail"


def test_every_constant_is_a_known_name_and_every_name_of_a_setting_has_a_constant() -> None:
    assert all(name in DOTTED.settings or name in DOTTED.unused for name in CONSTANTS.values())
    assert len(set(CONSTANTS.values())) == len(CONSTANTS)
    assert {name for setting in SETTINGS for name in (setting.name, *setting.also)} <= set(CONSTANTS.values())


def test_no_two_settings_share_an_environment_variable() -> None:
    for dotted, variables in (
        (DOTTED.settings, ENVIRONMENT.settings),
        (DOTTED.unused, ENVIRONMENT.unused),
    ):
        assert len(dotted) == len(variables)
    assert not ENVIRONMENT.settings.keys() & ENVIRONMENT.unused  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("spark.pd.deadlin", "spark.pd.deadline"),
        ("spark.pd.Deadline", "spark.pd.deadline"),
        ("SPARK_PD_DEADLINE", "spark.pd.deadline"),
        ("spark.pd.on.fail", "spark.pd.on.failure"),
        ("spark.pd.on.error.drop.threshold", "spark.pd.on.error_drop_threshold"),
        ("spark.pd.enviroment", "spark.pd.environment"),
        (N + "pagerduty.enable", N + "pagerduty.enabled"),
        (N + "on.failure", N + "on.fail"),
        ("se_notifications_on_fail", N + "on.fail"),
        ("secret_type", "se.streaming.secret.type"),
        (N + "slack.enable", N + "slack.enabled"),
    ],
)
def test_an_unknown_name_in_code_or_a_file_is_a_mistake_with_the_nearest_known_one(tmp_path: Path, name: str, nearest: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({name: "x"}, environ={})
    assert caught.value.mistakes == (f"{name} (from config) is no setting; did you mean {nearest}?",)
    file = tmp_path / "settings.yaml"
    file.write_text(f"{name}: x", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={}, config_file=file)
    assert caught.value.mistakes == (f"{name} (from file {file}) is no setting; did you mean {nearest}?",)


def test_an_unknown_name_that_resembles_none_says_where_the_names_are() -> None:
    with pytest.raises(SettingsError, match=r"^qqq \(from config\) is no setting; spark_pd\.user_config has the names$"):
        load_settings({"qqq": 1}, environ={})


def test_a_key_in_place_of_a_name_is_not_shown() -> None:
    with pytest.raises(SettingsError, match=r"^'\*\*\*\*' \(from config\) is no setting"):
        load_settings({"0123456789abcdef0123456789abcdef": N + "pagerduty.integration.key"}, environ={})


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("spark.pd.deadlin", "spark.pd.deadline"),
        ("spark.pd.x.y.z", None),
        (N + "pagerduty.enable", N + "pagerduty.enabled"),
        ("spark.se.streaming.dbx.secret.scop", "spark.se.streaming.dbx.secret.scope"),
        ("se.streaming.cerberus.sdb.pth", "se.streaming.cerberus.sdb.path"),
    ],
)
def test_a_misspelt_name_of_ours_in_spark_s_configuration_is_a_mistake(name: str, nearest: str | None) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(spark_conf={name: "x", "spark.app.name": "orders"}, environ={})
    (mistake,) = caught.value.mistakes
    assert mistake.startswith(f"{name} (from Spark configuration) is no setting")
    assert nearest is None or mistake.endswith(f"did you mean {nearest}?")


def test_what_else_spark_expectations_may_have_in_spark_s_configuration_is_counted_as_not_used(caplog: pytest.LogCaptureFixture) -> None:
    spark_conf = {"spark.expectations.new.feature": "x", "se.streaming.new": "y", N + "slack.enabledd": "true"}
    assert load_settings(spark_conf=spark_conf, environ={}) == Settings()
    (record,) = caplog.records
    assert all(name in record.getMessage() for name in spark_conf)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("SPARK_PD_DEADLIN", "SPARK_PD_DEADLINE"),
        ("SPARK_PD_ENVIROMENT", "SPARK_PD_ENVIRONMENT"),
        ("SPARK_EXPECTATIONS_NOTIFICATIONS_PAGERDUTY_ENABLE", "SPARK_EXPECTATIONS_NOTIFICATIONS_PAGERDUTY_ENABLED"),
    ],
)
def test_a_variable_that_resembles_a_setting_s_is_a_mistake(name: str, nearest: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={name: "x"})
    assert caught.value.mistakes == (f"{name} (from environment) is no setting; did you mean {nearest}?",)


@pytest.mark.parametrize(
    "name",
    ["SPARK_PD_ORACLES", "SPARK_PD_HOME", "SPARK_HOME", "SE_EVENT_BUS_HOST", "SE_ENABLE", "SPARK_EXPECTATIONS_OWN", "spark_pd_deadline"],
)
def test_other_variables_are_ignored(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert load_settings(environ={name: "x"}) == Settings()
    assert not caplog.records


EQUAL = [
    ("spark.pd.on.start", N + "on.start", True, False),
    ("spark.pd.on.completion", N + "on.completion", True, False),
    ("spark.pd.on.failure", N + "on.fail", False, True),
    ("spark.pd.on.error_drop_threshold", N + "on.error.drop.exceeds.threshold.breach", True, False),
    ("spark.pd.on.ignored_rules", N + "on.rules.action.if.failed.set.ignore", True, False),
    ("spark.pd.limit.error_drop_threshold", N + "error.drop.threshold", 10, 20),
    ("spark.se.streaming.dbx.secret.scope", "se.streaming.dbx.secret.scope", "a", "b"),
]


@pytest.mark.parametrize(("one", "other", "value", "another"), EQUAL)
def test_two_names_of_one_setting_with_different_values_are_a_mistake_that_names_both(
    one: str, other: str, value: object, another: object
) -> None:
    assert load_settings({one: value, other: value}, environ={}) == load_settings({one: value}, environ={}) != Settings()
    assert load_settings({one: value, other: str(value)}, environ={}) == load_settings({other: value}, environ={})
    with pytest.raises(SettingsError) as caught:
        load_settings({one: value, other: another}, environ={})
    assert caught.value.mistakes == (
        f"{one} and {other} (from config) are one setting, and are {value!r} and {another!r}; expected one of the two names, or one value",
    )


def test_two_names_of_the_key_with_different_values_show_neither() -> None:
    with pytest.raises(SettingsError, match=r"are one setting, and are \*\*\*\* and \*\*\*\*") as caught:
        load_settings({N + "pagerduty.integration.key": "a" * 32, "spark.pd.secret.integration.key": "b" * 32}, environ={})
    assert "aaa" not in str(caught.value)
    assert "bbb" not in str(caught.value)


def test_settings_of_spark_expectations_that_are_not_used_are_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    settings = load_settings(
        {
            user_config.se_notifications_enable_email: False,
            user_config.se_notifications_smtp_creds_dict: {"user": "x"},
            user_config.se_notifications_on_fail: True,
        },
        spark_conf={user_config.se_notifications_enable_slack: "true", user_config.se_notifications_enable_email: "true"},
        environ={"SE_STREAMING_ENABLE": "true"},
    )
    assert settings == Settings()
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("spark_pd.settings", logging.WARNING)
    assert record.getMessage() == (
        "spark_pd does not use these settings of spark-expectations: SE_STREAMING_ENABLE, spark.expectations.notifications.email.enabled, "
        "spark.expectations.notifications.slack.enabled, spark.expectations.notifications.smtp.creds.dict"
    )


def test_a_trigger_without_a_number_has_no_limit() -> None:
    for trigger in ("failure", "no_output", "query_failure"):
        with pytest.raises(SettingsError, match=rf"spark\.pd\.limit\.{trigger} \(from config\) is no setting"):
            load_settings({f"spark.pd.limit.{trigger}": 1}, environ={})
