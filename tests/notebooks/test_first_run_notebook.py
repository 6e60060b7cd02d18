"""The notebook, run from its first cell to its last in a kernel of its own, with stand-ins for what Databricks provides."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "first_run.ipynb"

# What a Databricks notebook has before its first cell: a session and dbutils. The key is only in the secret scope.
DATABRICKS = """
from pyspark.sql import SparkSession

spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.sql.shuffle.partitions", "2")
    .getOrCreate()
)


class dbutils:
    class secrets:
        @staticmethod
        def get(scope, key):
            return {{("pagerduty", "integration-key"): "{key}"}}[scope, key]
"""


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def outputs_of(notebook) -> dict[str, str]:
    """What each cell printed or showed, by the cell's id."""
    shown = {}
    for cell in notebook.cells:
        texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])]
        shown[cell["id"]] = "".join(texts)
    return shown


def test_it_is_stored_without_outputs(notebook):
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_the_key_comes_from_databricks_and_cerberus_is_commented_out(notebook):
    (setup,) = [cell.source for cell in notebook.cells if cell["id"] == "setup"]
    live = [line for line in setup.splitlines() if not line.lstrip().startswith("#")]
    assert any('"databricks:pagerduty/integration-key"' in line for line in live)
    assert not any("cerberus" in line for line in live)
    assert '# user_config.se_notifications_pagerduty_integration_key: "cerberus:' in setup


@pytest.mark.timeout(240)
def test_it_opens_incidents_and_resolves_them(notebook, pagerduty, tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_EXPECTATIONS_NOTIFICATIONS_PAGERDUTY_WEBHOOK_URL", f"{pagerduty.url}/v2/enqueue")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook.cells.insert(0, nbformat.v4.new_code_cell(DATABRICKS.format(key=pagerduty.key)))
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()

    incidents = {incident.dedup_key.rsplit("/", 1)[-1]: incident for incident in pagerduty.incidents()}
    assert {trigger: (incident.status, incident.severity) for trigger, incident in incidents.items()} == {
        "error_drop_threshold": ("resolved", "error"),
        "ignored_rules": ("resolved", "warning"),
    }
    shown = outputs_of(notebook)
    # 1000 orders: 125 have no customer; 10 have an amount below zero, and 5 of those no customer either.
    assert "1000 rows in, 125 dropped (12.5 %), 875 written" in shown["stats"]
    assert "has_customer: failed, 125 rows" in shown["stats"]
    assert "positive_amount: failed, 10 rows" in shown["stats"]
    assert "error_drop_threshold: firing" in shown["decisions"]
    assert shown["deliveries"].count("firing: sent") == 2
    assert shown["resolve"].count("resolved: sent") == 3, "failure too: nobody knows that none is open"
    assert shown["decorator"] == "870"
    assert pagerduty.key not in "".join(shown.values())
