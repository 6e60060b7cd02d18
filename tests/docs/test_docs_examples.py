"""Docs are tests: every Python example runs in its order, every shell example is a command that there is, every YAML one loads."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

import spark_pd
from spark_pd.cli import main
from spark_pd.rules.loading import load_rules
from spark_pd.runs.schedules.schedules_file import schedules_of
from spark_pd.settings import load_settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.name)
def test_the_python_examples_run_in_their_order(page, spark, pagerduty, monkeypatch):
    monkeypatch.setenv("PAGERDUTY_KEY", pagerduty.key)
    monkeypatch.setenv("SPARK_EXPECTATIONS_NOTIFICATIONS_PAGERDUTY_WEBHOOK_URL", pagerduty.url)
    names: dict[str, Any] = {"spark": spark, "spark_pd": spark_pd}
    examples = blocks(page, "python")
    assert len(examples) == page.read_text().count("```python")
    monitors = 0
    try:
        for number, block in enumerate(examples, 1):
            monitors += block.count("spark_pd.install(")
            exec(compile(block, f"{page.name} example {number}", "exec"), names)
            for name in [n for n in names if n.startswith("test_")]:
                pagerduty.reset()
                names.pop(name)(spark, pagerduty)
        # What an example makes is there, and what it says of itself it asserts.
        assert isinstance(names.get("monitor"), spark_pd.Monitor) is (monitors > 0)
    finally:
        for table in ("orders", "orders_daily"):
            spark.sql(f"DROP TABLE IF EXISTS {table}")
        if "monitor" in names:
            names["monitor"].uninstall()


def test_the_first_example_opens_the_incidents_that_the_text_quotes(spark, pagerduty, monkeypatch):
    monkeypatch.setenv("PAGERDUTY_KEY", pagerduty.key)
    monkeypatch.setenv("SPARK_EXPECTATIONS_NOTIFICATIONS_PAGERDUTY_WEBHOOK_URL", pagerduty.url)
    names: dict[str, Any] = {"spark": spark}
    exec(blocks(ROOT / "README.md", "python")[0], names)
    spark.sql("DROP TABLE IF EXISTS orders")
    names["monitor"].uninstall()
    quoted = re.search(r"an incident \*(.+?)\*", (ROOT / "README.md").read_text())
    assert quoted is not None
    assert quoted.group(1) in [i.summary for i in pagerduty.open_incidents()]
    assert len(pagerduty.open_incidents()) == 2


def shell_examples() -> list[list[str]]:
    return [
        shlex.split(line[2:], comments=True)
        for page in PAGES
        for block in blocks(page, "console")
        for line in block.splitlines()
        if line.startswith("$ spark-pd")
    ]


def test_the_shell_examples_are_commands_that_there_are():
    commands = shell_examples()
    assert commands
    for _, *arguments in commands:
        if "--" in arguments:  # what follows is another command's
            arguments = arguments[: arguments.index("--")]
        result = CliRunner().invoke(main, [*arguments, "--help"])
        assert result.exit_code == 0, (arguments, result.output)


def test_the_yaml_examples_are_rules(tmp_path):
    examples = [block for page in PAGES for block in blocks(page, "yaml") if "rules" in (yaml.safe_load(block) or {})]
    assert examples
    for block in examples:
        (tmp_path / "rules.yaml").write_text(block)
        assert load_rules(tmp_path / "rules.yaml")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)?(#[^)]+)?\)", page.read_text()):
        file, anchor = target
        other = (page.parent / file).resolve() if file else page
        assert other.exists(), f"{page.name}: {file}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", other.read_text(), flags=re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor[1:] in slugs, f"{page.name}: {file}{anchor}"


def test_the_yaml_examples_of_schedules_are_schedules(tmp_path):
    examples = [block for page in PAGES for block in blocks(page, "yaml") if "schedules" in (yaml.safe_load(block) or {})]
    assert examples
    for block in examples:
        (tmp_path / "schedules.yaml").write_text(block)
        assert schedules_of((), tmp_path / "schedules.yaml")


def test_the_schedules_of_shell_examples_are_schedules():
    texts = [command[2] for command in shell_examples() if command[1] == "watch" and not command[2].startswith("--")]
    assert texts
    assert schedules_of(texts, None)


def test_the_yaml_examples_of_channels_and_triggers_are_settings(tmp_path):
    examples = [block for page in PAGES for block in blocks(page, "yaml") if "channels" in (yaml.safe_load(block) or {})]
    assert len(examples) >= 2
    for block in examples:
        (tmp_path / "settings.yaml").write_text(block)
        assert load_settings(None, environ={}, config_file=tmp_path / "settings.yaml").directions.channels
