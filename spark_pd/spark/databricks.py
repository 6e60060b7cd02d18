"""Databricks: which job, run, task and notebook this is, by what its runtime publishes, and the links to them.

The runtime sets local properties and configuration (`spark.databricks.job.id`, `.job.parentRunId` for the job's run, `.job.runId` for the
task's, `spark.databricks.workspaceUrl`, `spark.databricks.clusterUsageTags.*`), a context for each Python REPL and, in notebooks, one that
dbutils gives. Which of them is there depends on the runtime, the access mode and the kind of task, so each fact has several places.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from spark_pd.model import Link
from spark_pd.secrets.databricks import dbutils_candidates

RUNTIME = "DATABRICKS_RUNTIME_VERSION"
CLUSTER = "spark.databricks.clusterUsageTags.clusterId"
LONGEST = 500  # characters of a fact
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class _Places:
    """Where one fact may be found, the nearest first: the REPL's context, a local property or configuration, a tag of the notebook's."""

    context: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


_FACTS: Mapping[str, _Places] = {
    "workspace": _Places(("workspaceUrl", "browserHostName"), ("spark.databricks.workspaceUrl",), ("browserHostName",)),
    "workspace_id": _Places(("workspaceId",), ("spark.databricks.clusterUsageTags.clusterOwnerOrgId",), ("orgId",)),
    "cluster_id": _Places(("clusterId",), (CLUSTER,), ("clusterId",)),
    "cluster_name": _Places((), ("spark.databricks.clusterUsageTags.clusterName",)),
    "job_id": _Places(("jobId",), ("spark.databricks.job.id",), ("jobId",)),
    "job_run_id": _Places(("multitaskParentRunId",), ("spark.databricks.job.parentRunId",), ("multitaskParentRunId", "jobRunId")),
    "task_run_id": _Places((), ("spark.databricks.job.runId",), ("runId",)),
    "task": _Places((), ("spark.databricks.job.taskKey",)),
    "notebook_path": _Places(("notebookPath",), ("spark.databricks.notebook.path",), ("notebookPath",)),
    "notebook_id": _Places(("notebookId",), ("spark.databricks.notebook.id",), ("notebookId",)),
}


def databricks_facts(spark: Any, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What is known, by our names; empty where this is not Databricks. Never raises."""
    properties = _properties(spark)
    runtime = environ.get(RUNTIME)
    if not runtime and properties(CLUSTER) is None:
        return {}
    context, tags = _repl_context(), _notebook_tags(spark)
    found = {"runtime": runtime or None}
    for name, places in _FACTS.items():
        sources = [(context, places.context), (properties, places.properties), (tags, places.tags)]
        found[name] = next((value for ask, keys in sources for key in keys if (value := ask(key)) is not None), None)
    return {name: value for name, value in found.items() if value is not None}


def databricks_links(facts: Mapping[str, str]) -> tuple[Link, ...]:
    """The run, else the job, and the notebook; none where the workspace is not known, or an id is no number."""
    host = facts.get("workspace", "").removeprefix("https://").rstrip("/")
    if not _HOST.fullmatch(host):
        return ()
    job, notebook = _number(facts.get("job_id")), _number(facts.get("notebook_id"))
    run = _number(facts.get("job_run_id")) or _number(facts.get("task_run_id"))
    workspace = _number(facts.get("workspace_id"))
    of = f"?o={workspace}" if workspace else ""
    links = []
    if job and run:
        links.append(Link(f"https://{host}/jobs/{job}/runs/{run}{of}", "Databricks run"))
    elif job:
        links.append(Link(f"https://{host}/jobs/{job}{of}", "Databricks job"))
    if notebook:
        links.append(Link(f"https://{host}/{of}#notebook/{notebook}", "Databricks notebook"))
    return tuple(links)


def _number(text: str | None) -> str | None:
    return text if text is not None and text.isascii() and text.isdigit() else None


Ask = Callable[[str], "str | None"]


def _properties(spark: Any) -> Ask:
    """Asks for a local property of this thread, else for configuration."""

    def ask(name: str) -> str | None:
        """Its value as text."""
        value = None
        with suppress(Exception):
            value = _text(spark.sparkContext.getLocalProperty(name))
        if value is None:
            with suppress(Exception):
                value = _text(spark.conf.get(name, None))
        return value

    return ask


def _repl_context() -> Ask:
    """Asks the context that Databricks' Python REPL has of itself."""
    context: Any = None
    with suppress(Exception):
        context = import_module("dbruntime.databricks_repl_context").get_context()

    def ask(name: str) -> str | None:
        """An attribute of it as text."""
        with suppress(Exception):
            return _text(getattr(context, name, None))
        return None

    return ask


def _notebook_tags(spark: Any) -> Ask:
    """Asks the tags of the notebook's command."""
    context: Any = None
    for dbutils in dbutils_candidates(spark):
        with suppress(Exception):
            context = dbutils.notebook.entry_point.getDbutils().notebook().getContext()
            break

    def ask(name: str) -> str | None:
        """A tag, or for the path its own method, as text."""
        with suppress(Exception):
            option = context.notebookPath() if name == "notebookPath" else context.tags().get(name)
            return _text(option.get()) if option.isDefined() else None
        return None

    return ask


def _text(value: object) -> str | None:
    text = value.strip() if isinstance(value, str) else str(value) if isinstance(value, int) and not isinstance(value, bool) else ""
    return text if text and len(text) <= LONGEST and text.isprintable() else None
