"""Databricks Labs' DQX: the metrics of its observer, and an action, reported as a run of a monitor."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, Literal

from databricks.labs.dqx.actions.base import Action as DQXAction
from databricks.labs.dqx.actions.base import ActionContext, ActionResult, ActionServices, ActionStatus
from databricks.labs.dqx.actions.registry import register_action
from pydantic import Field

from spark_pd.model.errors import UsageError
from spark_pd.runs.monitor import Monitor
from spark_pd.runs.run import Run

_log = logging.getLogger("spark_pd")


@register_action
class Action(DQXAction):
    """An action for `DQAction(action=Action(monitor, table))`: reports the metrics of each DQX run to `monitor`, as `report` does.

    Give the DQAction no condition: the triggers decide, and a good run has to be reported for its incident to close.
    """

    type: Literal["spark_pd"] = "spark_pd"
    name: str = "spark_pd"
    monitor: Monitor = Field(exclude=True)
    table: str

    def __init__(self, monitor: Monitor, table: str, **fields: Any) -> None:
        super().__init__(monitor=monitor, table=table, **fields)

    def execute(self, context: ActionContext, services: ActionServices) -> ActionResult:
        """Report the run. Metrics that are not DQX's are a warning, and stop nothing."""
        try:
            run = report(self.monitor, self.table, context.metrics)
        except UsageError as error:
            _log.warning("%s", error)
            return ActionResult(action_name=self.name, fired=True, status=ActionStatus.CONFIG_ERROR)
        firing = any(alert.state == "firing" for alert in run.alerts)
        return ActionResult(action_name=self.name, fired=True, status=ActionStatus.UNHEALTHY if firing else ActionStatus.HEALTHY)


def report(monitor: Monitor, table: str, metrics: Mapping[str, Any]) -> Run:
    """The run of `table` with the metrics of a DQMetricsObserver (`observation.get`), whose counts are rows.

    Rows with an error count as dropped: `apply_checks_and_split` puts them elsewhere. Checks become rules: those that found errors with
    action `drop`, the others with `ignore`. Raises UsageError where `check_metrics` is not what DQX writes.
    """
    return monitor.report(table, **counts_and_rules(metrics))


def counts_and_rules(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What `Monitor.report` takes, of these metrics. A metric that is not there is unknown."""
    rules = []
    for check in _checks(metrics.get("check_metrics")):
        errors, warnings = check.get("error_count"), check.get("warning_count")
        unknown = errors is None and warnings is None
        rules.append(
            {
                "name": check["check_name"],
                "action_if_failed": "drop" if errors else "ignore",
                "failed_count": None if unknown else (errors or 0) + (warnings or 0),
            }
        )
    errors = metrics.get("error_row_count")
    return {"rules": rules, "input_count": metrics.get("input_row_count"), "error_count": errors, "dropped_count": errors}


def _checks(given: object) -> list[dict[str, Any]]:
    try:
        checks = json.loads(given) if isinstance(given, str) else given or []
    except ValueError:
        checks = None
    if not isinstance(checks, list) or not all(isinstance(each, dict) and "check_name" in each for each in checks):
        raise UsageError("DQX's metrics: check_metrics is not a list of checks as JSON; expected what its observer gives")
    return checks
