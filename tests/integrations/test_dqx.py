"""DQX's metrics and its actions open and close incidents. Run by make test-engines, with the real package."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest

pytest.importorskip("databricks.labs.dqx", reason="DQX is not here; make test-engines has it")

from databricks.labs.dqx.actions.base import ActionContext, ActionStatus
from databricks.labs.dqx.actions.dq_action import DQAction
from databricks.labs.dqx.check_funcs import is_not_null
from databricks.labs.dqx.engine import DQEngine
from databricks.labs.dqx.metrics_observer import DQMetricsObserver
from databricks.labs.dqx.rule import DQRowRule
from databricks.sdk import WorkspaceClient

from spark_pd import UsageError
from spark_pd.integrations import dqx

BAD = [(1, "DE"), (None, "FR"), (3, None), (4, None)]
GOOD = [(1, "DE"), (2, "FR")]


@pytest.fixture
def metrics(spark):
    """What DQX's observer sees of these rows."""
    checks = [
        DQRowRule(name="id_is_null", criticality="error", check_func=is_not_null, column="id"),
        DQRowRule(name="country_is_null", criticality="warn", check_func=is_not_null, column="country"),
    ]

    def observed(rows):
        engine = DQEngine(mock.create_autospec(WorkspaceClient), spark, observer=DQMetricsObserver())
        good, bad, observation = engine.apply_checks_and_split(spark.createDataFrame(rows, "id int, country string"), checks)
        assert good.count() + bad.count() >= len(rows)
        return observation.get

    return observed


def test_bad_metrics_open_incidents_and_good_ones_close_them(monitor, metrics, firing):
    bad = dqx.report(monitor, "sales.orders", metrics(BAD))
    assert (bad.stats.input_count, bad.stats.error_count, bad.stats.error_drop_percentage) == (4, 1, 25.0)
    assert bad.stats.rule("country_is_null").failed_count == 2
    assert firing() == {"ignored_rules", "error_drop_threshold"}
    dqx.report(monitor, "sales.orders", metrics(GOOD))
    assert firing() == set()


def test_an_action_reports_and_says_whether_something_fires(monitor, metrics, firing):
    bound = DQAction(action=dqx.Action(monitor, "sales.orders"))

    def execute(values):
        context = ActionContext(metrics=values, run_id="r", run_time=datetime.datetime.now(datetime.timezone.utc))
        return bound.action.execute(context, None).status

    assert execute(metrics(BAD)) is ActionStatus.UNHEALTHY
    assert firing() == {"ignored_rules", "error_drop_threshold"}
    assert execute(metrics(GOOD)) is ActionStatus.HEALTHY
    assert firing() == set()
    assert execute({"check_metrics": "no JSON"}) is ActionStatus.CONFIG_ERROR
    assert "monitor" not in bound.model_dump()["action"]


def test_what_is_no_metric_of_dqx_is_an_error(monitor):
    with pytest.raises(UsageError, match="check_metrics"):
        dqx.report(monitor, "sales.orders", {"check_metrics": '{"a": 1}'})


def test_a_metric_that_is_not_there_is_unknown():
    assert dqx.counts_and_rules({}) == {"rules": [], "input_count": None, "error_count": None, "dropped_count": None}


def test_the_example_in_the_docs_runs(monitor, metrics, firing):
    page = Path(__file__).parents[2] / "docs" / "channels.md"
    (example,) = (each for each in re.findall(r"^```py\n(.*?)^```", page.read_text(), flags=re.M | re.S) if "dqx.report" in each)
    names = {"monitor": monitor, "observation": SimpleNamespace(get=metrics(BAD))}
    exec(example, names)
    assert names["action"].name == "spark_pd"
    assert firing() == {"ignored_rules", "error_drop_threshold"}
