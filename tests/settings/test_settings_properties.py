"""What holds for any input."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_pd import SettingsError, user_config
from spark_pd.model import Secret, SecretReference
from spark_pd.settings import SETTINGS, Settings, load_settings

THRESHOLD = user_config.se_notifications_on_error_drop_threshold
KEY = user_config.se_notifications_pagerduty_integration_key
NAMES = sorted({name for setting in SETTINGS for name in (setting.name, *setting.also)} - {user_config.spark_pd_config})
HEX = "0123456789abcdef"

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.decimals(),
    st.sampled_from([(), [], {}, object, ["a"]]),
)


def outcome(**arguments: Any) -> Settings | SettingsError:
    """What loading gives: anything else than these two fails the test."""
    try:
        return load_settings(**{"environ": {}, **arguments})
    except SettingsError as error:
        return error


@unhurried
@given(st.floats(min_value=0, max_value=100))
def test_any_threshold_survives_each_source_as_text(threshold: float) -> None:
    for text in (repr(threshold), threshold):
        assert load_settings({THRESHOLD: text}, environ={}).error_drop_threshold == threshold
    assert load_settings(spark_conf={THRESHOLD: str(threshold)}, environ={}).error_drop_threshold == threshold
    assert load_settings(environ={"SPARK_PD_LIMIT_ERROR_DROP_THRESHOLD": str(threshold)}).error_drop_threshold == threshold
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "settings.yaml")
        for text in (repr(threshold), f"'{threshold!r}'"):
            file.write_text(f"{THRESHOLD}: {text}", encoding="utf-8")
            assert load_settings(environ={}, config_file=file).error_drop_threshold == threshold


@unhurried
@given(st.one_of(st.floats(max_value=0, exclude_max=True), st.floats(min_value=100, exclude_min=True), st.just(float("nan"))))
def test_no_threshold_outside_0_to_100_is_accepted(threshold: float) -> None:
    for value in (threshold, str(threshold)):
        if threshold == 0:
            continue
        with pytest.raises(SettingsError):
            load_settings({THRESHOLD: value}, environ={})


@unhurried
@given(st.dictionaries(st.sampled_from(NAMES), anything, max_size=6))
def test_any_value_gives_settings_or_a_settings_error(config: dict[str, Any]) -> None:
    result = outcome(config=config)
    if isinstance(result, Settings):
        assert isinstance(result.enabled, bool)
        assert 0 <= result.error_drop_threshold <= 100
    else:
        assert result.mistakes
        assert all("; " in mistake and "\n" not in mistake for mistake in result.mistakes)


@unhurried
@given(st.dictionaries(st.text(), st.text(), max_size=6))
def test_any_names_in_any_source_give_settings_or_a_settings_error(pairs: dict[str, str]) -> None:
    for source in ("config", "spark_conf", "environ"):
        result = outcome(**{source: pairs})
        assert isinstance(result, Settings) or result.mistakes


@unhurried
@given(st.one_of(st.binary(max_size=200), st.text(alphabet="spark.pd:{}[]&*!|>'\"%@`,?-#\n 01ontrue<", max_size=60).map(str.encode)))
def test_any_file_gives_settings_or_a_settings_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "settings.yaml")
        file.write_bytes(content)
        result = outcome(config_file=file)
        assert isinstance(result, Settings) or result.mistakes


@unhurried
@given(
    st.text(alphabet=HEX, min_size=28, max_size=36).filter(lambda text: not text.isalpha()),
    st.sampled_from(["{}", " {}\n", "{}:", "vault:{}", "{}!", "key={}", "{}#", "{{{{secrets/{}}}}}", "\u200b{}"]),
    st.sampled_from(
        [{}, {user_config.secret_type: "databricks", user_config.dbx_secret_scope: "team"}, {user_config.secret_type: "nowhere"}]
    ),
)
def test_no_error_repr_or_description_ever_shows_a_key_or_nearly_one(near: str, form: str, others: dict[str, str]) -> None:
    value = form.format(near)
    for arguments in (
        {"config": {KEY: value, **others}},
        {"config": {KEY: value, user_config.spark_pd_secret_integration_key: "x" + value, **others}},
        {"config": {user_config.spark_pd_region: value, **others}},
        {"config": {value: KEY, **others}},
        {"spark_conf": {KEY: value, **others}},
        {"environ": {"SPARK_PD_SECRET_INTEGRATION_KEY": value}},
    ):
        result = outcome(**arguments)
        text = repr(result) + str(result)
        if isinstance(result, Settings):
            text += str(result.describe())
            assert isinstance(result.integration_key, (Secret, SecretReference, type(None)))
        else:
            assert result.__cause__ is None
            assert result.__context__ is None
        assert near not in text
