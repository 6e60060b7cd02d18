"""An action of a Great Expectations checkpoint that reports its results as a run of a monitor."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Optional

from great_expectations.checkpoint import ActionContext, CheckpointResult, ValidationAction
from great_expectations.compatibility.pydantic import Field

from spark_pd.model.errors import UsageError
from spark_pd.runs.monitor import Monitor
from spark_pd.secrets.redaction import scrub

_log = logging.getLogger("spark_pd")


class Action(ValidationAction):
    """Reports each result of a checkpoint to `monitor` as one run of `table`.

    Expectations become rules with action `ignore`: Great Expectations drops no rows. An expectation of severity info opens nothing, so it
    is left out. One that could not be evaluated is unknown.
    """

    type: Literal["spark_pd"] = "spark_pd"
    name: str = "spark_pd"
    monitor: Optional[Monitor] = Field(None, exclude=True)  # noqa: UP045  pydantic reads it, also on Python 3.10
    """None only in a checkpoint that a store gave back: a store keeps no monitor."""
    table: str

    def run(self, checkpoint_result: CheckpointResult, action_context: ActionContext | None = None) -> dict[str, Any]:
        """Report the results. Returns the run's id and its alerts. Results that cannot be read are a warning."""
        if self.monitor is None:
            _log.warning("the action for %s has no monitor: its checkpoint came from a store; make it with Action(monitor=...)", self.table)
            return {"error": "no monitor"}
        results = [each for suite in checkpoint_result.run_results.values() for each in suite.results]
        try:
            run = self.monitor.report(self.table, **counts_and_rules(each.to_json_dict() for each in results))
        except UsageError as error:
            _log.warning("%s", error)
            return {"error": str(error)}
        return {"run_id": run.run_id, "alerts": [f"{alert.trigger} {alert.state}" for alert in run.alerts]}


def counts_and_rules(results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What `Monitor.report` takes, of these expectations' results as JSON gives them."""
    rules: list[dict[str, Any]] = []
    rows: set[int] = set()
    taken: dict[str, int] = {}
    for each in results:
        config, found = each["expectation_config"], each.get("result") or {}
        if config.get("severity") == "info":
            continue
        column = (config.get("kwargs") or {}).get("column")
        name = f"{config['type']}({column})" if column else config["type"]
        taken[name] = taken.get(name, 0) + 1
        raised = _raised(each.get("exception_info"))
        failed = None if raised else found.get("unexpected_count")
        if failed is None and found.get("element_count") is not None and each["success"] and not raised:
            failed = 0
        of_rows = found.get("element_count") is not None
        if of_rows and not raised:
            rows.add(found["element_count"])
        rules.append(
            {
                "name": name if taken[name] == 1 else f"{name} {taken[name]}",
                "rule_type": "row_dq" if of_rows else "agg_dq",
                "column_name": column,
                "status": "unknown" if raised else "passed" if each["success"] else "failed",
                "failed_count": failed if of_rows else None,
                "observed": None if of_rows else _number(found.get("observed_value")),
                "reason": raised,
            }
        )
    known = len(rows) == 1
    return {"rules": rules, "input_count": rows.pop() if known else None, "dropped_count": 0 if known else None}


def _raised(info: Mapping[str, Any] | None) -> str | None:
    """Why an expectation could not be evaluated: of its own exception, or the first of its metrics'."""
    for each in (info, *(value for value in (info or {}).values() if isinstance(value, Mapping))):
        if each and each.get("raised_exception"):
            return scrub(str(each.get("exception_message") or "it raised an exception"))
    return None


def _number(value: object) -> int | float | None:
    """An observed number. Other values are data, which stays where it is."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
