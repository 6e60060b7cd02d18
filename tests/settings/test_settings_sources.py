"""Where settings come from, and which source wins."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from spark_pd import SettingsError, user_config
from spark_pd.settings import SETTINGS, Settings, load_settings

DEADLINE = user_config.spark_pd_deadline
SOURCES = ("config", "Spark configuration", "environment", "file")


def variable(name: str) -> str:
    return name.upper().replace(".", "_")


def load_from(folder: Path, **values: dict[str, str]) -> Settings:
    """Load with each source's values: config, spark, environment, file."""
    file = None
    if "file" in values:
        file = folder / "settings.yaml"
        file.write_text("".join(f"{name}: {value!r}\n" for name, value in values["file"].items()), encoding="utf-8")
    environ = {variable(name): value for name, value in values.get("environment", {}).items()}
    return load_settings(values.get("config"), spark_conf=values.get("spark"), environ=environ, config_file=file)


@pytest.mark.parametrize(
    ("stronger", "weaker"), list(itertools.combinations(("config", "spark", "environment", "file"), 2)), ids=lambda source: source
)
def test_the_stronger_source_wins_and_its_value_alone_is_judged(tmp_path: Path, stronger: str, weaker: str) -> None:
    assert load_from(tmp_path, **{stronger: {DEADLINE: "1"}, weaker: {DEADLINE: "2"}}).deadline == 1.0
    assert load_from(tmp_path, **{stronger: {DEADLINE: "1"}, weaker: {DEADLINE: "soon"}}).deadline == 1.0
    with pytest.raises(SettingsError, match="'soon'"):
        load_from(tmp_path, **{stronger: {DEADLINE: "soon"}, weaker: {DEADLINE: "2"}})


@pytest.mark.parametrize("source", ["config", "spark", "environment", "file"])
@pytest.mark.parametrize(
    "setting", [setting for setting in SETTINGS if setting.name != user_config.spark_pd_config], ids=lambda setting: setting.name
)
def test_every_setting_is_read_from_every_source_by_each_of_its_names(tmp_path: Path, setting: Any, source: str) -> None:
    kinds = {
        "Switch": str(not setting.default),
        "Number": "7",
        "Count": "3",
        "Url": "https://x.example",
        "Key": "env:X",
        "Params": '{"env": "prod"}',
        "Hosts": "events.pagerduty.com, x.example",
        "Windows": "0 0 * * * for 1h",
        "TableName": "quality.{table}",
    }
    words = {
        "region": "eu",
        "secret_type": "cerberus",
        "on_config_error": "disable",
        "on_unknown": "page",
        "counting": "observation",
        "exceptions": "full",
        "severity": "critical",
        "by_priority": "critical",
        "min_severity": "critical",
        "notify": "never",
        "notify_late": "never",
        "severity_late": "critical",
        "lifecycle_as": "change",
    }
    text = kinds.get(type(setting.kind).__name__) or words.get(setting.field.partition(".")[0], "x y")
    twins = [f"spark.{name}" for name in (setting.name,) if name.startswith("se.")]
    for name in (setting.name, *setting.also, *twins):
        values = (
            {name: text} if setting.field != "enabled" else {name: text, user_config.se_notifications_pagerduty_integration_key: "env:X"}
        )
        described = load_from(tmp_path, **{source: values}).describe()[setting.name]
        assert str(described[0]).lower() == (f"{float(text)}" if text == "7" else text.lower())
        assert described[1].startswith({"spark": "Spark configuration"}.get(source, source))


def test_an_equal_name_in_a_stronger_source_wins_over_the_first_name_in_a_weaker_one() -> None:
    settings = load_settings(
        {"spark.pd.on.start": False}, spark_conf={user_config.se_notifications_on_start: "true"}, environ={"SPARK_PD_ON_START": "true"}
    )
    assert settings.on["start"] is False


def test_spark_s_other_settings_and_other_variables_are_nobody_s_business() -> None:
    settings = load_settings(spark_conf={"spark.master": "local", "spark.pdf": "x", "sex": "y"}, environ={"PATH": "/bin", "HOME": "/"})
    assert settings == Settings()


def test_the_environment_is_this_process_s_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_PD_DEADLINE", "3")
    assert load_settings().deadline == 3.0


def test_none_overrides_a_weaker_source_where_a_setting_may_be_unset() -> None:
    environ = {"SPARK_PD_ENVIRONMENT": "prod"}
    assert load_settings({"spark.pd.environment": None}, environ=environ).environment is None
    assert load_settings(spark_conf={"spark.pd.environment": ""}, environ=environ).environment is None


@pytest.mark.parametrize("given", [["spark.pd.deadline"], "spark.pd.deadline=5", 5])
def test_a_config_that_is_no_mapping_is_a_mistake(given: Any) -> None:
    with pytest.raises(SettingsError, match=f"config is of type {type(given).__name__}; expected a mapping"):
        load_settings(given, environ={})


def test_a_key_of_config_that_is_no_text_is_a_mistake() -> None:
    with pytest.raises(SettingsError, match="a key of type int in config"):
        load_settings({5: "x"}, environ={})  # type: ignore[dict-item]


NESTED = """
spark:
  pd:
    deadline: 3
    on: {start: true, completion: True}
    severity:
      failure: warning
  expectations.notifications:
    on.fail: false
se.streaming:
  dbx.secret.scope: team
"""
FLAT = """
spark.pd.deadline: 3
spark.pd.on.start: true
spark.pd.on.completion: 'true'
spark.pd.severity.failure: warning
spark.expectations.notifications.on.fail: FALSE
se.streaming.dbx.secret.scope: team
"""
MERGED = """
spark.pd:
  deadline: 3
  on: &on {start: true}
  severity.failure: warning
spark.pd.on.completion: true
spark.expectations.notifications.on: {fail: false}
se: {streaming: {dbx: {secret: {scope: team}}}}
"""


@pytest.mark.parametrize(
    "text", [NESTED, FLAT, MERGED, FLAT.replace("\n", "\r\n"), "\ufeff" + FLAT], ids=["nested", "flat", "both", "crlf", "bom"]
)
def test_a_yaml_file_may_be_nested_or_flat(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_bytes(text.encode())
    settings = load_settings(environ={}, config_file=file)
    assert settings.deadline == 3.0
    assert {trigger for trigger, on in settings.on.items() if on} == {"start", "completion", "query_failure"}
    assert settings.severity["failure"] == "warning"
    assert settings.databricks_secret_scope == "team"


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "spark:\n  pd:\n    # deadline: 3\n", "spark.pd: {}\n", "---\n"])
def test_a_yaml_file_may_say_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.yaml").write_text(text, encoding="utf-8")
    assert load_settings(environ={}, config_file=tmp_path / "settings.yaml") == Settings(config_file=str(tmp_path / "settings.yaml"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("spark.pd.deadline: [", "not valid YAML in line 1, column 21"),
        ("a: b: c", "not valid YAML in line 1, column 5 (mapping values are not allowed here)"),
        ("spark.pd.deadline: 1\nspark.pd.deadline: 2", "not valid YAML in line 2, column 1 (a name occurs twice)"),
        ("a: !!python/object/apply:os.system ['true']", "not valid YAML in line 1, column 4"),
        ("a: !!timestamp never", "not valid YAML (AttributeError)"),
        ("a: !!bool never", "not valid YAML (KeyError)"),
        ("a: !!int ''", "not valid YAML (IndexError)"),
        ("a: 2024-99-99", "not valid YAML (ValueError)"),
        ("a: " + "[" * 3000, "not valid YAML (RecursionError)"),
        ("--- 1\n--- 2", "not valid YAML"),
        ("a: \x01", "not valid YAML (ReaderError)"),
        ("- spark.pd.deadline", "holds a list; expected names and values"),
        ("5", "holds a int; expected names and values"),
        ("spark.pd.deadline", "holds a str; expected names and values"),
        ("spark.pd: {5: x}", "has a name that is a int, not text"),
        ("a: &a {b: *a}", "nests without end"),
        ("spark.pd.deadline: {seconds: 5}", "spark.pd.deadline.seconds (from file"),
        ("spark.pd.deadline: {}", "is {}; expected a number of seconds"),
        ("spark.pd.deadline: [5]", "is [5]; expected a number of seconds"),
        ("spark.pd.strict: yes", "is 'yes'; expected true or false"),
        ("spark.pd.deadline: 1\nspark: {pd: {deadline: 2}}", "is given twice, as 1 and 2; expected one value"),
        ("spark.pd.config: other.yaml", "names another file; put all settings into one file"),
    ],
)
def test_a_bad_yaml_file_is_a_mistake_that_says_where(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={}, config_file=file)
    assert len(caught.value.mistakes) == 1
    assert expected in str(caught.value)
    assert str(file) in str(caught.value)


def test_an_error_about_a_yaml_file_shows_none_of_its_text(tmp_path: Path) -> None:
    key = "0123456789abcdef0123456789abcdef"
    file = tmp_path / "settings.yaml"
    for text in (
        f"a: *{key}",
        f"a: !{key} b",
        f"a: '{key}",
        f"a: {key}: {key}",
        f"a: &{key} b\nc: &{key} d: e",
        f"%{key}\n---\na: b",
        f"{key}",
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError) as caught:
            load_settings(environ={}, config_file=file)
        assert key not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None


def test_a_missing_file_is_a_mistake_from_wherever_it_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.yaml")
    for arguments in (
        {"config": {"spark.pd.config": missing}},
        {"spark_conf": {"spark.pd.config": missing}},
        {"environ": {"SPARK_PD_CONFIG": missing}},
        {"config_file": missing},
        {"config_file": Path(missing)},
    ):
        with pytest.raises(SettingsError, match=r"missing\.yaml cannot be read \(No such file or directory\); expected a YAML file"):
            load_settings(**{"environ": {}, **arguments})  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"cannot be read \(Is a directory\)"):
        load_settings(environ={}, config_file=tmp_path)
    with pytest.raises(SettingsError, match=r"config_file \(from argument\) is 5; expected the path of a YAML file"):
        load_settings(environ={}, config_file=5)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="expected the path of a YAML file"):
        load_settings(environ={}, config_file="a\0b")


def test_the_argument_names_the_file_before_the_settings_do(tmp_path: Path) -> None:
    for number, name in enumerate(("argument", "config", "spark", "environment"), 1):
        (tmp_path / name).write_text(f"spark.pd.deadline: {number}", encoding="utf-8")
    arguments: dict[str, Any] = {
        "config_file": tmp_path / "argument",
        "config": {"spark.pd.config": str(tmp_path / "config")},
        "spark_conf": {"spark.pd.config": str(tmp_path / "spark")},
        "environ": {"SPARK_PD_CONFIG": str(tmp_path / "environment")},
    }
    for number, name in enumerate(("config_file", "config", "spark_conf"), 1):
        assert load_settings(**arguments).deadline == number
        del arguments[name]
    assert load_settings(**arguments).deadline == 4


def test_a_home_folder_in_the_file_s_path_is_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "settings.yaml").write_text("spark.pd.deadline: 4", encoding="utf-8")
    assert load_settings(environ={}, config_file="~/settings.yaml").deadline == 4.0
