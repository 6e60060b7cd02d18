"""Whether the demo can write Delta, and how it counts what was written without it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from urllib.parse import unquote, urlparse

import pyarrow
import pyarrow.parquet
import pytest

from spark_pd.cli.demo.delta_jars import search
from spark_pd.cli.demo.flights_data import count_rows

HAS_DELTA = importlib.util.find_spec("delta") is not None


def test_without_the_package_there_is_no_delta_and_it_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with search(60) as searching:
        delta = searching.result()
    assert delta.jars == ()
    assert "delta-spark is not installed" in delta.missing


@pytest.mark.skipif(not HAS_DELTA, reason="delta-spark is not installed, or there is none for this PySpark")
def test_a_search_that_takes_too_long_is_given_up_and_ended():
    with search(0.05) as searching:  # less than any JVM takes to start
        delta = searching.result()
    assert delta.jars == ()
    assert "could not be had within 0.05 s" in delta.missing
    assert searching._child is not None
    assert searching._child.poll() is not None


@pytest.mark.skipif(not HAS_DELTA, reason="delta-spark is not installed, or there is none for this PySpark")
def test_a_repository_that_refuses_is_no_delta_and_no_wait(monkeypatch, tmp_path):
    # A home without jars, and every repository behind a proxy that is not there.
    proxy = " ".join(f"-D{kind}.proxyHost=127.0.0.1 -D{kind}.proxyPort=1" for kind in ("http", "https"))
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", f"-Duser.home={tmp_path} {proxy}")
    with search(120) as searching:
        delta = searching.result()
    assert delta.jars == ()
    assert delta.missing == "its jars could not be had; is there a network, and a Delta for this PySpark?"


@pytest.mark.skipif(not HAS_DELTA, reason="delta-spark is not installed, or there is none for this PySpark")
def test_jars_that_can_be_had_are_files():
    with search(120) as searching:
        delta = searching.result()
    if delta.missing:
        pytest.skip(delta.missing)
    names = [Path(unquote(urlparse(jar).path)).name for jar in delta.jars]
    assert f"io.delta_delta-storage-{delta.version}.jar" in names
    assert all(Path(unquote(urlparse(jar).path)).is_file() for jar in delta.jars)


def test_a_delta_table_has_the_rows_of_the_files_that_its_log_kept(tmp_path):
    for name, rows in (("old.parquet", 5), ("new one.parquet", 3), ("never.parquet", 7)):
        pyarrow.parquet.write_table(pyarrow.table({"id": list(range(rows))}), tmp_path / name)
    log = tmp_path / "_delta_log"
    log.mkdir()
    commits = [
        [{"commitInfo": {}}, {"add": {"path": "old.parquet"}}],
        [{"remove": {"path": "old.parquet"}}, {"add": {"path": "new%20one.parquet"}}],
    ]
    for n, actions in enumerate(commits):
        (log / f"{n:020}.json").write_text("\n".join(map(json.dumps, actions)))
    assert count_rows(tmp_path) == 3
