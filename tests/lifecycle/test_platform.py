"""What the platform tells: Databricks' context, YARN's attempts, the history server. Stand-ins, since none of them is to be had here."""

from __future__ import annotations

import builtins
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.model import Link
from spark_pd.spark.databricks import CLUSTER, RUNTIME, databricks_facts, databricks_links
from spark_pd.spark.platform import history_link, platform_of, yarn_attempt

HOST = "adb-1234.5.azuredatabricks.net"
JOB = {
    "spark.databricks.job.id": "42",
    "spark.databricks.job.parentRunId": "7001",
    "spark.databricks.job.runId": "7002",
    "spark.databricks.job.taskKey": "load_orders",
}
ON_DATABRICKS = {
    CLUSTER: "0101-cluster",
    "spark.databricks.workspaceUrl": HOST,
    "spark.databricks.clusterUsageTags.clusterOwnerOrgId": "99",
}


class Option:
    """Scala's, as py4j shows it."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def isDefined(self) -> bool:
        return self._value is not None

    def get(self) -> Any:
        return self._value


class Session:
    """A classic session's configuration, local properties and JVM, as far as they are asked."""

    def __init__(
        self, conf: dict[str, str] | None = None, local: dict[str, str] | None = None, attempt: str | None = None, yarn: str | None = None
    ) -> None:
        self.conf = SimpleNamespace(get=lambda name, default=None: (conf or {}).get(name, default))
        hadoop = {"yarn.resourcemanager.am.max-attempts": yarn}
        self.sparkContext = SimpleNamespace(
            getLocalProperty=lambda name: (local or {}).get(name),
            applicationId="application_1_2",
            uiWebUrl=None,
            _jsc=SimpleNamespace(
                sc=lambda: SimpleNamespace(applicationAttemptId=lambda: Option(attempt)),
                hadoopConfiguration=lambda: SimpleNamespace(get=hadoop.get),
            ),
        )


def dbutils(tags: dict[str, str], path: str | None) -> Any:
    context = SimpleNamespace(tags=lambda: SimpleNamespace(get=lambda name: Option(tags.get(name))), notebookPath=lambda: Option(path))
    return SimpleNamespace(
        notebook=SimpleNamespace(
            entry_point=SimpleNamespace(getDbutils=lambda: SimpleNamespace(notebook=lambda: SimpleNamespace(getContext=lambda: context)))
        )
    )


@pytest.fixture
def repl_context(monkeypatch):
    """Puts a context of Databricks' Python REPL there."""

    def put(**attributes: Any) -> None:
        module = ModuleType("dbruntime.databricks_repl_context")
        module.get_context = lambda: SimpleNamespace(**attributes)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "dbruntime", ModuleType("dbruntime"))
        monkeypatch.setitem(sys.modules, "dbruntime.databricks_repl_context", module)

    return put


def test_a_job_s_run_is_known_by_its_local_properties_and_linked():
    facts = databricks_facts(Session(ON_DATABRICKS, JOB), {RUNTIME: "15.4"})
    assert facts == {
        "runtime": "15.4", "workspace": HOST, "workspace_id": "99", "cluster_id": "0101-cluster", "job_id": "42", "job_run_id": "7001",
        "task_run_id": "7002", "task": "load_orders",
    }  # fmt: skip
    assert databricks_links(facts) == (Link(f"https://{HOST}/jobs/42/runs/7001?o=99", "Databricks run"),)


def test_what_the_properties_lack_is_asked_of_the_repl_s_context(repl_context):
    repl_context(
        jobId="42", multitaskParentRunId=7001, notebookPath="/Shared/load", notebookId="555", workspaceUrl=HOST, workspaceId="99", x=1
    )
    facts = databricks_facts(Session(), {RUNTIME: "15.4"})
    assert facts == {
        "runtime": "15.4", "workspace": HOST, "workspace_id": "99", "job_id": "42", "job_run_id": "7001", "notebook_path": "/Shared/load",
        "notebook_id": "555",
    }  # fmt: skip
    assert databricks_links(facts) == (
        Link(f"https://{HOST}/jobs/42/runs/7001?o=99", "Databricks run"),
        Link(f"https://{HOST}/?o=99#notebook/555", "Databricks notebook"),
    )


def test_an_older_runtime_s_notebook_tells_by_dbutils(monkeypatch):
    tags = {"jobId": "42", "jobRunId": "7001", "runId": "7002", "orgId": "99", "browserHostName": HOST}
    monkeypatch.setattr(builtins, "dbutils", dbutils(tags, "/Repos/team/load"), raising=False)
    facts = databricks_facts(Session({CLUSTER: "0101-cluster"}), {})
    assert facts == {
        "workspace": HOST, "workspace_id": "99", "cluster_id": "0101-cluster", "job_id": "42", "job_run_id": "7001", "task_run_id": "7002",
        "notebook_path": "/Repos/team/load",
    }  # fmt: skip


def test_elsewhere_nothing_is_looked_for(monkeypatch):
    monkeypatch.setattr(builtins, "dbutils", dbutils({"jobId": "42"}, "/x"), raising=False)
    assert databricks_facts(Session(local=JOB), {}) == {}


def test_whatever_raises_is_as_good_as_absent(monkeypatch, repl_context):
    class Hostile:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("no")

    monkeypatch.setattr(builtins, "dbutils", Hostile(), raising=False)
    repl_context()
    assert databricks_facts(Hostile(), {RUNTIME: "15.4"}) == {"runtime": "15.4"}
    found = platform_of(Hostile())
    assert (dict(found.facts), found.links, found.attempt) == ({}, (), None)


@given(
    facts=st.fixed_dictionaries(
        {},
        optional={
            name: st.text(max_size=8) | st.sampled_from(["1", "42", HOST, f"https://{HOST}/", "evil.example/..", "1?x=1"])
            for name in ("workspace", "workspace_id", "job_id", "job_run_id", "task_run_id", "notebook_id")
        },
    )
)
def test_a_link_leads_to_the_workspace_and_has_nothing_but_numbers_in_it(facts):
    for link in databricks_links(facts):
        host, _, rest = link.href.removeprefix("https://").partition("/")
        assert host == facts["workspace"].removeprefix("https://").rstrip("/")
        assert set(rest) <= set("jobs/runsnotebook?o=#0123456789")


@pytest.mark.parametrize(
    ("attempt", "spark", "yarn", "expected"),
    [
        ("1", "3", "2", (1, 2)),
        ("1", None, "2", (1, 2)),
        ("2", "3", None, (2, 3)),
        ("1", None, None, (1, None)),
        ("appattempt_1", "3", "2", None),
        (None, "3", "2", None),
    ],
)
def test_an_application_s_attempts_are_the_lesser_of_spark_s_and_yarn_s(attempt, spark, yarn, expected):
    conf = {} if spark is None else {"spark.yarn.maxAppAttempts": spark}
    assert yarn_attempt(Session(conf, attempt=attempt, yarn=yarn)) == expected


@pytest.mark.parametrize(
    ("address", "log", "attempt", "href"),
    [
        ("history:18080", "true", None, "http://history:18080/history/application_1_2"),
        ("https://history.example.com/", "true", "2", "https://history.example.com/history/application_1_2/2"),
        ("history:18080", "false", None, None),
        ("history:18080", None, None, None),
        ("${hadoopconf-yarn.resourcemanager.hostname}:18080", "true", None, None),
        ("user:password@history:18080", "true", None, None),
        (None, "true", None, None),
    ],
)
def test_the_history_server_is_linked_where_it_will_have_the_application(address, log, attempt, href):
    conf = {"spark.yarn.historyServer.address": address, "spark.eventLog.enabled": log}
    session = Session({name: value for name, value in conf.items() if value is not None}, attempt=attempt)
    assert history_link(session) == (() if href is None else (Link(href, "Spark history server"),))


def test_a_real_local_session_has_no_platform(spark):
    found = platform_of(spark)
    assert (dict(found.facts), found.links, found.attempt) == ({}, (), None)


def test_an_incident_has_the_job_s_run_and_its_links(spark, pagerduty, monkeypatch, repl_context):
    import spark_pd

    monkeypatch.setenv(RUNTIME, "15.4")
    repl_context(jobId="42", multitaskParentRunId="7001", notebookPath="/Shared/load", workspaceUrl=HOST)
    monitor = spark_pd.install(spark, {**pagerduty.config, "spark.pd.deadline": 60})
    with pytest.raises(ZeroDivisionError), monitor.run("sales.orders"):
        _ = 1 / 0
    monitor.uninstall()
    (incident,) = pagerduty.open_incidents()
    assert incident.details["platform"] == {
        "runtime": "15.4", "workspace": HOST, "job_id": "42", "job_run_id": "7001", "notebook_path": "/Shared/load",
    }  # fmt: skip
    assert pagerduty.events[-1]["links"] == [{"href": f"https://{HOST}/jobs/42/runs/7001", "text": "Databricks run"}]
