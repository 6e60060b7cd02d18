"""All mistakes together, `on_config_error`, and the Settings value itself."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import pytest

from spark_pd import SettingsError, user_config
from spark_pd.settings import SETTINGS, Settings, load_settings

KEY = "0123456789abcdef0123456789abcdef"


def test_all_mistakes_of_all_sources_are_one_error(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("spark.pd.region: uk\nspark.pd.regon: us\n", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(
            {user_config.se_notifications_enable_pagerduty: "yes", "spark.pd.deadlin": 5, "spark.pd.severity.failure": "high"},
            spark_conf={"spark.pd.counting": "fast", user_config.se_notifications_on_error_drop_threshold: "101"},
            environ={"SPARK_PD_STRICT": "1", "SPARK_PD_ON_STRAT": "true"},
            config_file=file,
        )
    starts = (
        "spark.pd.deadlin (from config) is no setting; did you mean spark.pd.deadline?",
        "SPARK_PD_ON_STRAT (from environment) is no setting; did you mean SPARK_PD_ON_START?",
        f"spark.pd.regon (from file {file}) is no setting; did you mean spark.pd.region?",
        f"{user_config.se_notifications_enable_pagerduty} (from config) is 'yes'; expected true or false",
        f"spark.pd.region (from file {file}) is 'uk'; expected us or eu",
        f"{user_config.se_notifications_on_error_drop_threshold} (from Spark configuration) is '101'; expected a percentage from 0 to 100",
        "spark.pd.severity.failure (from config) is 'high'; expected critical, error, warning or info",
        "SPARK_PD_STRICT (from environment) is '1'; expected true or false",
        "spark.pd.counting (from Spark configuration) is 'fast'; expected auto, operator, observation or two_pass",
    )
    assert len(caught.value.mistakes) == len(starts)
    for mistake, start in zip(caught.value.mistakes, starts, strict=True):
        assert mistake.startswith(start)
    assert str(caught.value).startswith("9 mistakes in the settings:\n  1. ")


@pytest.mark.parametrize("source", ["config", "spark_conf", "environ", "file"])
def test_disable_turns_mistakes_into_one_warning_and_settings_that_send_nothing(
    source: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = {user_config.se_notifications_enable_pagerduty: True, "spark.pd.regon": "eu", user_config.se_notifications_enable_slack: True}
    file = tmp_path / "settings.yaml"
    file.write_text("spark.pd.on_config_error: disable" if source == "file" else "", encoding="utf-8")
    settings = load_settings(
        {**config, **({"spark.pd.on_config_error": "disable"} if source == "config" else {})},
        spark_conf={"spark.pd.on_config_error": "disable"} if source == "spark_conf" else {},
        environ={"SPARK_PD_ON_CONFIG_ERROR": "disable"} if source == "environ" else {},
        config_file=file,
    )
    assert settings == Settings()
    assert not settings.enabled
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "did you mean spark.pd.region?" in record.getMessage()
    assert "there is no integration key" in record.getMessage()


def test_a_mistake_in_on_config_error_itself_is_raised() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"spark.pd.on_config_error": "dsable", "spark.pd.region": "uk"}, environ={"SPARK_PD_ON_CONFIG_ERROR": "disable"})
    assert len(caught.value.mistakes) == 2


def test_a_warning_about_names_comes_with_good_settings_only(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SettingsError):
        load_settings({user_config.se_notifications_enable_slack: True, "spark.pd.region": "uk"}, environ={})
    assert not caplog.records


def test_describe_has_every_setting_in_the_table_s_order_with_its_source() -> None:
    settings = load_settings(
        {user_config.se_notifications_pagerduty_integration_key: "env:X"},
        spark_conf={"spark.pd.limit.error_drop_threshold": "10"},
        environ={"SPARK_PD_ON_START": "true"},
    )
    described = settings.describe()
    assert list(described) == [setting.name for setting in SETTINGS]
    assert described[user_config.se_notifications_pagerduty_integration_key] == ("env:X", "config")
    assert described[user_config.se_notifications_on_error_drop_threshold] == (10.0, "Spark configuration")
    assert described[user_config.se_notifications_on_start] == (True, "environment")
    assert described[user_config.spark_pd_region] == ("us", "default")


def test_settings_do_not_change_and_are_values() -> None:
    settings = load_settings({"spark.pd.deadline": 1}, environ={})
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.deadline = 2.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.on["start"] = True  # type: ignore[index]
    assert settings == load_settings(environ={"SPARK_PD_DEADLINE": "1"})
    assert hash(settings) == hash(load_settings(environ={"SPARK_PD_DEADLINE": "1"}))
    assert Settings(on={"start": True}).on == {**Settings().on, "start": True}
    assert dataclasses.replace(settings, deadline=2.0).deadline == 2.0


@pytest.mark.parametrize(("warning", "alarm"), [(10, 10), (20, 15.5), (100, None)])
def test_a_warning_that_would_come_no_earlier_than_the_alarm_is_a_mistake(warning: float, alarm: float | None) -> None:
    config: dict[str, Any] = {user_config.spark_pd_warning_error_drop_threshold: warning}
    if alarm is not None:
        config[user_config.se_notifications_on_error_drop_threshold] = alarm
    with pytest.raises(SettingsError) as raised:
        load_settings(config, environ={})
    assert raised.value.mistakes == (
        f"spark.pd.warning.error_drop_threshold (from config) is {warning:g}; expected less than the {alarm or 100:g} of "
        "spark.expectations.notifications.error.drop.threshold",
    )
    assert load_settings({**config, user_config.spark_pd_warning_error_drop_threshold: 5}, environ={}).warning_threshold == 5.0
