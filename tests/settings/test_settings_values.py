"""What each setting may be, and what it is where nobody sets it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from spark_pd import SettingsError, user_config
from spark_pd.model import Secret
from spark_pd.settings import SETTINGS, Settings, load_settings

ENABLED = user_config.se_notifications_enable_pagerduty
THRESHOLD = user_config.se_notifications_on_error_drop_threshold
URL = user_config.se_notifications_pagerduty_webhook_url


def load(name: str, value: Any) -> Settings:
    return load_settings({name: value}, environ={})


def field(settings: Settings, path: str) -> Any:
    name, _, entry = path.partition(".")
    value = getattr(settings, name)
    return value[entry] if entry else value


def test_defaults_page_for_failures_only_and_send_nothing_until_enabled() -> None:
    settings = load_settings(environ={})
    assert settings == Settings()
    assert not settings.enabled
    assert settings.integration_key is None
    assert dict(settings.on) == {
        "start": False,
        "completion": False,
        "failure": True,
        "error_drop_threshold": False,
        "ignored_rules": False,
        "unusual_volume": False,
        "unusual_errors": False,
        "job_failure": False,
        "stage_retry": False,
        "task_failures": False,
        "executor_lost": False,
        "overrun": False,
        "no_output": False,
        "query_failure": True,
    }
    assert dict(settings.severity) == {
        "start": "info",
        "completion": "info",
        "failure": "critical",
        "error_drop_threshold": "error",
        "ignored_rules": "warning",
        "unusual_volume": "warning",
        "unusual_errors": "warning",
        "job_failure": "warning",
        "stage_retry": "warning",
        "task_failures": "warning",
        "executor_lost": "warning",
        "overrun": "error",
        "no_output": "error",
        "query_failure": "critical",
    }
    assert (settings.error_drop_threshold, settings.deadline, settings.region) == (100.0, 5.0, "us")
    assert (settings.strict, settings.on_config_error, settings.on_unknown) == (False, "raise", "log")
    assert (settings.counting, settings.exceptions) == ("auto", "scrubbed")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_default_is_a_value_that_its_own_setting_accepts(setting: Any) -> None:
    assert setting.kind.deserialize(setting.default) == setting.default
    assert field(Settings(), setting.field) == setting.default
    assert setting.doc.endswith(".")


@pytest.mark.parametrize(
    ("name", "value", "path", "expected"),
    [
        *((user_config.spark_pd_strict, word, "strict", True) for word in (True, "true", "TRUE", "True", " true ")),
        *((user_config.se_notifications_on_fail, word, "on.failure", False) for word in (False, "false", "FALSE", "False")),
        *(
            (THRESHOLD, value, "error_drop_threshold", 15.5)
            for value in (15.5, "15.5", " 15.5 ", "1.55e1", Decimal("15.5"), Fraction(31, 2))
        ),
        *((THRESHOLD, value, "error_drop_threshold", 0.0) for value in (0, 0.0, "0", "0.0", "-0")),
        *((THRESHOLD, value, "error_drop_threshold", 100.0) for value in (100, "100", "100.", "+100")),
        (THRESHOLD, ".5", "error_drop_threshold", 0.5),
        (user_config.spark_pd_outbox_path, " /var/lib/alerts ", "outbox_path", "/var/lib/alerts"),
        (user_config.spark_pd_outbox_path, Path("/var/lib/alerts"), "outbox_path", "/var/lib/alerts"),
        (user_config.spark_pd_outbox_path, "C:\\alerts", "outbox_path", "C:\\alerts"),
        (user_config.spark_pd_outbox_path, "", "outbox_path", None),
        (user_config.spark_pd_deadline, "2.5", "deadline", 2.5),
        (user_config.spark_pd_rate, "0", "rate", 0.0),
        (user_config.spark_pd_storm_limit, "20", "storm_limit", 20.0),
        (user_config.spark_pd_region, "EU", "region", "eu"),
        (user_config.spark_pd_severity_failure, "Warning", "severity.failure", "warning"),
        (user_config.spark_pd_on_config_error, "disable", "on_config_error", "disable"),
        (user_config.spark_pd_on_unknown, "page", "on_unknown", "page"),
        (user_config.spark_pd_counting, "two_pass", "counting", "two_pass"),
        (user_config.spark_pd_details_exceptions, "full", "exceptions", "full"),
        (user_config.secret_type, "Databricks", "secret_type", "databricks"),
        (user_config.secret_type, "CERBERUS", "secret_type", "cerberus"),
        (user_config.secret_type, "", "secret_type", None),
        (user_config.spark_pd_environment, " prod ", "environment", "prod"),
        (user_config.spark_pd_environment, "", "environment", None),
        (user_config.spark_pd_product_id, None, "product_id", None),
        (user_config.spark_pd_notify_failure, "Change", "notify.failure", "change"),
        *((user_config.spark_pd_after_failure, value, "after.failure", 3) for value in (3, "3", 3.0, " 3 ", "3.0", Decimal(3))),
        (user_config.spark_pd_after_unknown, "2", "after_unknown", 2),
        (user_config.spark_pd_cooldown, "90", "cooldown", 90.0),
        (user_config.spark_pd_min_severity, "ERROR", "min_severity", "error"),
        (user_config.spark_pd_mute, " 0 22 * * 5 for 8h in Europe/Berlin ", "mute", "0 22 * * 5 for 8h in Europe/Berlin"),
        (user_config.spark_pd_mute, "", "mute", None),
        (user_config.spark_pd_mutes_file, Path("/Volumes/ops/mutes.yaml"), "mutes_file", "/Volumes/ops/mutes.yaml"),
        (user_config.se_enable_error_table, "true", "error_table_enabled", True),
        (user_config.spark_pd_error_table, " quality.{table}_error ", "error_table", "quality.{table}_error"),
        (user_config.spark_pd_error_table, "", "error_table", "{table}_error"),
        (user_config.spark_pd_samples, "5", "samples", 5),
        (user_config.spark_pd_samples_columns, " id , name,,id", "samples_columns", ("id", "name")),
        (user_config.spark_pd_samples_columns, ["a, b", "c"], "samples_columns", ("a, b", "c")),
        (user_config.spark_pd_samples_columns, "", "samples_columns", ()),
        (user_config.se_job_metadata, '{"dag": "orders",\n "task": "load"}', "job_metadata", '{"dag": "orders",\n "task": "load"}'),
        *(
            (URL, url, "url", url)
            for url in (
                "https://events.eu.pagerduty.com/v2/enqueue",
                "https://gateway.example.com:8443/pagerduty",
                "http://127.0.0.1:8080/v2/enqueue",
                "http://localhost:1",
                "http://[::1]:8080",
            )
        ),
    ],
)
def test_good_values(name: str, value: Any, path: str, expected: Any) -> None:
    actual = field(load(name, value), path)
    assert actual == expected
    assert type(actual) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        *((ENABLED, value, "true or false") for value in ("yes", "no", "on", "1", 1, 0, 1.0, "", "t", None, [], "truee")),
        *(
            (THRESHOLD, value, "a percentage from 0 to 100")
            for value in (
                101,
                -1,
                "15,5",
                "NaN",
                float("nan"),
                float("inf"),
                "inf",
                True,
                "",
                None,
                "1_0",
                "0x10",
                "\u0661\u0665",
                "15%",
                [15],
            )
        ),
        (THRESHOLD, 10**400, "a percentage from 0 to 100"),
        (THRESHOLD, "1e400", "a percentage from 0 to 100"),
        (THRESHOLD, Decimal("NaN"), "a percentage from 0 to 100"),
        (THRESHOLD, Decimal("sNaN"), "a percentage from 0 to 100"),
        (THRESHOLD, "100.00001", "a percentage from 0 to 100"),
        *((user_config.spark_pd_rate, value, "events a minute from 0") for value in (-1, "all", 1e9)),
        *((user_config.spark_pd_storm_limit, value, "alerts a minute from 0 to 1000, a whole number") for value in (-1, 15.5, "x", 1001)),
        *((user_config.spark_pd_deadline, value, "a number of seconds from 0") for value in (-0.1, "5s", "", None, "nan", 86_401)),
        (user_config.spark_pd_region, "uk", "us or eu"),
        (user_config.spark_pd_region, None, "us or eu"),
        (user_config.spark_pd_severity_start, "high", "critical, error, warning or info"),
        (user_config.spark_pd_severity_start, 1, "critical, error, warning or info"),
        (user_config.secret_type, "vault", "cerberus or databricks"),
        (user_config.spark_pd_counting, "fast", "auto, operator, observation or two_pass"),
        (user_config.spark_pd_details_exceptions, "none", "class, scrubbed or full"),
        (user_config.spark_pd_on_unknown, "raise", "log or page"),
        (user_config.spark_pd_notify_start, "sometimes", "always, change or never"),
        *(
            (user_config.spark_pd_after_failure, value, "a number of runs from 1 to 1000")
            for value in (0, -1, 1001, 1.5, "1.5", "two", None, True)
        ),
        *((user_config.spark_pd_cooldown, value, "a number of seconds from 0") for value in (-1, "1h", "", None)),
        (user_config.spark_pd_min_severity, "high", "critical, error, warning or info"),
        (user_config.spark_pd_mute, "0 22 * * 5", "mute windows such as"),
        (user_config.spark_pd_mute, "0 22 * * 5 for 8h in Europe/Berlin; 0 25 * * * for 1h", "'0 25 * * *' is no cron expression"),
        (user_config.spark_pd_mute, "0 22 * * 5 for 8h in Berlin", "'Berlin' is no time zone"),
        (user_config.spark_pd_mute, "0 22 * * 5 for ever", "'ever' is no duration"),
        (user_config.spark_pd_mutes_file, "dbfs:/mutes.yaml", "a file as Python opens it"),
        *(
            (user_config.spark_pd_error_table, value, "a name or path with {table} in it")
            for value in ("errors", "{table}", "`{table}`", "{Table}_error", "{table}_{date}", "{table", "{{table}}", 5)
        ),
        *((user_config.spark_pd_samples, value, "a number of rows from 0 to 100") for value in (-1, 101, "some", 1.5)),
        *((user_config.spark_pd_samples_columns, value, "names of columns") for value in (5, [1], None)),
        (user_config.spark_pd_environment, 2024, "text on one line; put a number in quotes"),
        (user_config.spark_pd_environment, "prod\nus", "text on one line"),
        *(
            (URL, url, "a URL such as https://")
            for url in (
                "events.pagerduty.com",
                "ftp://x.example",
                "https://",
                "https://x:port",
                "https://[::1",
                "https://x\\@y",
                "https://a b",
                5,
            )
        ),
        (URL, "http://events.pagerduty.com/v2/enqueue", "https, since http is for this machine only"),
        (URL, "http://localhost.example.com", "https, since http is for this machine only"),
        (URL, "https://user@events.pagerduty.com", "without a user or password"),
        (URL, "https://events.pagerduty.com/?a=b", "without a query or fragment"),
        (URL, "https://events.pagerduty.com/#top", "without a query or fragment"),
        (user_config.cbs_url, "http://cerberus.example.com", "https, since http is for this machine only"),
    ],
)
def test_bad_values_are_mistakes_that_say_what_was_expected(name: str, value: Any, expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(name, value)
    (mistake,) = caught.value.mistakes
    assert mistake.startswith(f"{name} (from config) is ")
    assert expected in mistake.split("; expected ", 1)[1]
    assert "\n" not in mistake


def test_a_mistake_shows_the_value_but_no_password_and_no_query_of_a_url() -> None:
    with pytest.raises(SettingsError, match=r"is 'https://\*\*\*\*@events\.pagerduty\.com/\?\*\*\*\*'; expected") as caught:
        load(URL, "https://me:hunter2@events.pagerduty.com/?sig=abc")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(SettingsError, match=r"is 'x{19}\.x{19}\.x{17}\.\.\.'; expected"):
        load(user_config.spark_pd_region, ("x" * 19 + ".") * 50)


def test_a_secret_in_a_setting_that_takes_none_is_not_shown() -> None:
    with pytest.raises(SettingsError, match=r"is \*\*\*\*; expected text on one line"):
        load(user_config.spark_pd_environment, Secret("hunter2"))


@pytest.mark.parametrize("value", ["dbfs:/alerts", "s3://bucket/alerts", "file:/alerts", 3, "two\nlines"])
def test_an_outbox_is_a_folder_as_python_opens_it(value: object) -> None:
    with pytest.raises(SettingsError, match="expected a folder as Python opens it"):
        load_settings({user_config.spark_pd_outbox_path: value}, environ={})


def test_deadline_0_needs_an_outbox_that_somebody_chose(caplog: pytest.LogCaptureFixture) -> None:
    settings = load_settings({user_config.spark_pd_deadline: 0}, environ={})
    assert settings.deadline == 5.0
    assert settings.describe()[user_config.spark_pd_deadline] == (5.0, "default")
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "spark.pd.deadline (from config) is 0, which leaves alerts in the outbox; that needs spark.pd.outbox.path"
    )
    caplog.clear()
    environ = {"SPARK_PD_DEADLINE": "0", "SPARK_PD_OUTBOX_PATH": "/var/lib/alerts"}
    assert load_settings(environ=environ).deadline == 0.0
    assert not caplog.records


def test_by_default_every_bad_run_pages_at_once_and_nothing_is_muted() -> None:
    settings = load_settings(environ={})
    assert set(settings.notify.values()) == {"always"}
    assert set(settings.notify) == set(settings.on)
    judged = ("failure", "error_drop_threshold", "ignored_rules", "unusual_volume", "unusual_errors")
    judged += ("job_failure", "stage_retry", "task_failures", "executor_lost", "overrun", "no_output", "query_failure")
    assert dict(settings.after) == dict.fromkeys(judged, 1)
    assert (settings.after_unknown, settings.cooldown, settings.min_severity) == (1, 0.0, "info")
    assert (settings.mute, settings.mutes_file) == (None, None)
