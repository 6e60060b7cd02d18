"""The integration key: a reference, a name in a secret store, or the key itself; and what is never shown."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

from spark_pd import SettingsError, user_config
from spark_pd.model import Secret, SecretReference
from spark_pd.settings import Settings, load_settings

ENABLED = user_config.se_notifications_enable_pagerduty
NAME = user_config.se_notifications_pagerduty_integration_key
REDACTED = user_config.spark_pd_secret_integration_key
KEY = "0123456789abcdefABCDEF0123456789"
DATABRICKS = {user_config.secret_type: "databricks", user_config.dbx_secret_scope: "team"}
CERBERUS = {user_config.secret_type: "Cerberus", user_config.cbs_url: "https://c.example", user_config.cbs_sdb_path: "/app/team/orders/"}


@pytest.mark.parametrize(
    ("config", "scheme", "path"),
    [
        ({NAME: "env:PAGERDUTY_KEY"}, "env", "PAGERDUTY_KEY"),
        ({NAME: " ENV:PAGERDUTY_KEY "}, "env", "PAGERDUTY_KEY"),
        ({REDACTED: "file:/run/secrets/key"}, "file", "/run/secrets/key"),
        ({NAME: "databricks:scope/key"}, "databricks", "scope/key"),
        ({NAME: "cerberus:app/team/orders#key"}, "cerberus", "app/team/orders#key"),
        ({NAME: SecretReference("env", "X")}, "env", "X"),
        ({NAME: "integration-key", **DATABRICKS}, "databricks", "team/integration-key"),
        ({NAME: "pagerdutyintegrationkeyforprodAB", **DATABRICKS}, "databricks", "team/pagerdutyintegrationkeyforprodAB"),
        ({NAME: "integration_key", **CERBERUS}, "cerberus", "app/team/orders#integration_key"),
        ({NAME: "env:X", **DATABRICKS}, "env", "X"),
        ({NAME: "databricks:other/key", **CERBERUS}, "databricks", "other/key"),
        ({NAME: "env:X", user_config.secret_type: "databricks"}, "env", "X"),
    ],
)
def test_references_and_names_in_a_store(config: dict[str, Any], scheme: str, path: str, caplog: pytest.LogCaptureFixture) -> None:
    assert load_settings({ENABLED: True, **config}, environ={}).integration_key == SecretReference(scheme, path)
    assert not caplog.records


def test_the_url_of_cerberus_may_come_from_its_own_variable() -> None:
    config = {NAME: "key", **CERBERUS, user_config.cbs_url: ""}
    settings = load_settings(config, environ={"CERBERUS_URL": "https://c.example"})
    assert settings.integration_key == SecretReference("cerberus", "app/team/orders#key")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({NAME: KEY[:-1]}, "32 letters and digits, and this has 31 characters"),
        ({NAME: KEY + "0"}, "32 letters and digits, and this has 33 characters"),
        ({NAME: KEY[:-1] + "-"}, "32 letters and digits"),
        ({NAME: KEY[:-1] + "\u0661"}, "32 letters and digits"),
        ({NAME: Secret(KEY[:-1])}, "32 letters and digits, and this has 31 characters"),
        ({NAME: pickle.loads(pickle.dumps(Secret(KEY)))}, "a secret with a value; this secret came out of a pickle"),
        ({NAME: 12345678901234567890123456789012}, "in a YAML file put a key in quotes"),
        ({NAME: "databrick:scope/key"}, "did you mean databricks:?"),
        ({NAME: f"{KEY}:x"}, "a scheme that is known here (env, file, databricks, cerberus"),
        ({NAME: "env:"}, "something behind 'env:'"),
        ({NAME: "{{secrets/team/pd-key}}"}, "'databricks:team/pd-key'"),
        ({NAME: "{{secrets/team/pd-key}}", **DATABRICKS}, "'databricks:team/pd-key'"),
        ({NAME: "key", user_config.secret_type: "databricks"}, user_config.dbx_secret_scope),
        ({NAME: "key", **CERBERUS, user_config.cbs_sdb_path: None}, user_config.cbs_sdb_path),
        ({NAME: "key", **CERBERUS, user_config.cbs_url: None}, user_config.cbs_url),
        ({NAME: "scope/key", **DATABRICKS}, "the name of a key in databricks"),
        ({NAME: "path#key", **CERBERUS}, "the name of a key in cerberus"),
        ({NAME: "vault:key", **DATABRICKS}, "a scheme that is known here"),
        ({NAME: KEY, **DATABRICKS}, "this looks like the key itself"),
    ],
)
@pytest.mark.parametrize("enabled", [True, False])
def test_what_is_neither_key_nor_reference_is_one_mistake_that_does_not_show_it(
    config: dict[str, Any], expected: str, enabled: bool
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({ENABLED: enabled, **config}, environ={})
    (mistake,) = caught.value.mistakes
    assert mistake.startswith(f"{NAME} (from config) is ****; expected ")
    assert expected in mistake
    assert KEY[:8] not in mistake


@pytest.mark.parametrize("bad", [{user_config.secret_type: "vault"}, {**CERBERUS, user_config.cbs_url: "http://c.example"}])
def test_a_mistake_in_the_store_s_settings_is_told_once(bad: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({ENABLED: True, NAME: "key", **bad}, environ={})
    assert len(caught.value.mistakes) == 1


@pytest.mark.parametrize("config", [{}, {NAME: None}, {NAME: ""}, {NAME: "  "}, DATABRICKS])
def test_enabled_without_a_key_is_a_mistake_that_says_how_to_give_one(config: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({ENABLED: True, **config}, environ={})
    assert caught.value.mistakes == (
        f"{ENABLED} (from config) is true, but there is no integration key; set {NAME} to a reference "
        "(env:NAME, file:path, databricks:scope/key or cerberus:path#key) or to the service's key",
    )
    assert load_settings({ENABLED: False, **config}, environ={}).integration_key is None


@pytest.mark.parametrize("source", ["config", "Spark configuration", "file"])
def test_a_plain_key_works_with_one_warning_that_the_spark_ui_shows_configuration(
    source: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arguments: dict[str, Any] = {"environ": {}}
    if source == "file":
        arguments["config_file"] = tmp_path / "settings.yaml"
        arguments["config_file"].write_text(f"{ENABLED}: true\n{NAME}: '{KEY}'\n", encoding="utf-8")
    else:
        arguments["config" if source == "config" else "spark_conf"] = {ENABLED: "true", NAME: KEY}
    assert load_settings(**arguments).integration_key == Secret(KEY)
    (record,) = caplog.records
    assert f"{NAME} (from {source}" in record.getMessage()
    assert "The Spark UI shows configuration" in record.getMessage()
    assert "env:NAME" in record.getMessage()
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "arguments",
    [
        {"environ": {"SPARK_PD_SECRET_INTEGRATION_KEY": KEY}},
        {"spark_conf": {REDACTED: KEY}, "environ": {}},
        {"config": {NAME: Secret(KEY)}, "environ": {}},
        {"config": {NAME: KEY, user_config.se_notifications_pagerduty_webhook_url: "http://127.0.0.1:1/v2/enqueue"}, "environ": {}},
    ],
    ids=["environment", "redacted by Spark", "a Secret", "a sandbox's"],
)
def test_a_plain_key_that_is_not_on_show_is_not_warned_of(arguments: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    assert load_settings(**arguments).integration_key == Secret(KEY)
    assert not caplog.records


def test_settings_show_no_key_and_carry_none_in_a_pickle() -> None:
    settings = load_settings({ENABLED: True, NAME: KEY, "spark.pd.on.start": True}, environ={})
    restored = pickle.loads(pickle.dumps(settings))
    for text in (repr(settings), str(settings), f"{settings}", str(settings.describe()), repr(pickle.dumps(settings)), repr(restored)):
        assert KEY not in text
    assert settings.describe()[NAME] == ("****", "config")
    assert isinstance(restored, Settings)
    assert restored.on == settings.on
    assert restored.describe()[ENABLED] == (True, "config")
    with pytest.raises(ValueError, match="pickle"):
        restored.integration_key.reveal()  # type: ignore[union-attr]
    assert copy.copy(settings).severity == settings.severity
