"""Channels, routes, owners and tables as they are written: what they mean, and every mistake of all of them together."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_pd import SettingsError
from spark_pd.model import Secret
from spark_pd.settings import load_settings

KEY = "0123456789abcdef0123456789abcdef"
ENABLED = {"spark.expectations.notifications.pagerduty.enabled": "true"}
GOOD = """
spark.expectations.notifications.pagerduty.enabled: true
channels:
  oncall: {integration_key: env:PD_ONCALL}
  low: {integration_key: env:PD_LOW, severity: warning}
  pipeline: {service: Orders pipeline}
  eu_prod: {integration_key: "databricks:pd/eu", region: eu, environment: prod, severity: {critical: error}}
routes:
  - {match: {table: "sales.*", trigger: [failure, error_drop_threshold], severity: [critical, error]}, channels: [oncall, low]}
  - {match: {owner: orders, environment: prod}, channels: [pipeline], continue: true}
  - {channels: [low]}
owners:
  orders: {channels: [pipeline], runbook: "https://runbooks.example/orders"}
tables:
  "sales.orders*": {owner: orders, runbook: "https://runbooks.example/t", description: what depends on it}
"""


def file(folder: Path, text: str) -> Path:
    path = folder / "spark_pd.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(folder: Path, text: str, **config: object) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        load_settings({**ENABLED, **config}, environ={}, config_file=file(folder, text))
    return list(refused.value.mistakes)


def test_the_contract_s_example_is_read(tmp_path):
    found = load_settings(None, environ={}, config_file=file(tmp_path, GOOD)).directions
    assert list(found.channels) == ["oncall", "low", "pipeline", "eu_prod"]
    assert str(found.channels["oncall"].integration_key) == "env:PD_ONCALL"
    assert found.channels["low"].severity_of("critical") == "warning"
    assert found.channels["eu_prod"].severity_of("critical") == "error"
    assert found.channels["eu_prod"].severity_of("info") == "info"
    assert (found.channels["eu_prod"].region, found.channels["eu_prod"].environment) == ("eu", "prod")
    assert found.channels["pipeline"].service == "Orders pipeline"
    assert [route.goes_on for route in found.routes] == [False, True, False]
    assert found.routes[0].match["trigger"] == ("failure", "error_drop_threshold")
    assert found.routes[2].match == {}
    assert found.owners["orders"].runbook == "https://runbooks.example/orders"
    assert found.tables[0].description == "what depends on it"


def test_configuration_gives_channels_too_and_is_stronger_than_the_file(tmp_path):
    spark = {
        "spark.pd.channel.oncall.integration_key": "env:OTHER",
        "spark.pd.channel.new.service": "S",
        "spark.pd.channel.new.severity": "info",
    }
    found = load_settings(None, spark_conf=spark, environ={}, config_file=file(tmp_path, GOOD)).directions
    assert str(found.channels["oncall"].integration_key) == "env:OTHER"
    assert (found.channels["new"].service, found.channels["new"].severity_of("critical")) == ("S", "info")


def test_with_channels_the_main_key_need_not_be_set_and_enabled_stays_the_switch(tmp_path):
    assert load_settings(ENABLED, environ={}, config_file=file(tmp_path, "channels: {a: {integration_key: env:A}}")).enabled
    assert not load_settings(None, environ={}, config_file=file(tmp_path, "channels: {a: {integration_key: env:A}}")).enabled
    with pytest.raises(SettingsError, match="no integration key"):
        load_settings(ENABLED, environ={})


def test_every_mistake_comes_in_one_error_with_the_nearest_names(tmp_path):
    found = mistakes(
        tmp_path,
        """
channels:
  oncall: {integration_kee: env:A}
  both: {integration_key: env:A, service: S}
  mars: {integration_key: env:A, region: mars}
  loud: {integration_key: env:A, severity: loud}
routes:
  - {match: {tabel: x}, channels: [oncal]}
  - {match: {severity: [urgent]}, channels: []}
  - {channels: [both], continue: maybe}
owners:
  orders: {channels: [nobody], runbook: "not a link"}
tables:
  a.b: {owner: order}
""",
        **{"spark.pd.deadlin": 5},
    )
    text = "\n".join(found)
    for part in (
        "integration_kee", "did you mean integration_key?", "neither a key nor a service", "both a key and a service", "region", "'loud'",
        "did you mean table?", "did you mean oncall?", "routes[2].channels", "'urgent'", "routes[3].continue", "owners.orders.channels",
        "owners.orders.runbook", "did you mean orders?", "spark.pd.deadlin",
    ):  # fmt: skip
        assert part in text, (part, text)


def test_no_key_is_shown_in_an_error_a_repr_or_a_pickle(tmp_path, caplog):
    (mistake,) = mistakes(tmp_path, f"channels: {{a: {{integration_key: '{KEY}x'}}}}")
    assert KEY not in mistake
    found = load_settings(ENABLED, environ={}, config_file=file(tmp_path, f"channels: {{a: {{integration_key: '{KEY}'}}}}"))
    key = found.directions.channels["a"].integration_key
    assert isinstance(key, Secret)
    assert key.reveal() == KEY
    assert KEY not in repr(found) + str(found.describe()) + caplog.text
    assert KEY.encode() not in pickle.dumps(found)
    assert "better give references" in caplog.text


def test_a_configuration_that_is_wrong_disables_where_that_is_asked_for(tmp_path, caplog):
    found = load_settings(
        {**ENABLED, "spark.pd.on_config_error": "disable"}, environ={}, config_file=file(tmp_path, "channels: {a: {key: 1}}")
    )
    assert not found.enabled
    assert "spark_pd is disabled" in caplog.text


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab*.\n", max_size=8) | st.sampled_from(["env:A", "oncall", "critical", "sales.*"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["match", "channels", "table", "owner", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.fixed_dictionaries({}, optional={"channels": _values, "routes": _values, "owners": _values, "tables": _values}))
def test_whatever_is_given_is_directions_or_mistakes(sections):
    from spark_pd.settings.directions import DirectionsReader

    reader = DirectionsReader("file x", {"secret_type": None}, {})
    found = reader.read(sections, {}, has_default=False)
    assert reader.mistakes or all(name in found.channels for route in found.routes for name in route.channels)
