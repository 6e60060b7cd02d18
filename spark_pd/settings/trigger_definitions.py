"""What can be set of each trigger: its switch, its limit, its severity, and when a bad run tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from spark_pd.model import PRIORITIES, SEVERITIES, Severity
from spark_pd.settings import user_config as names
from spark_pd.settings.fields import Choice, Count, Kind, Number, Switch
from spark_pd.settings.setting import Setting

NOTIFY = ("always", "change", "never")
OUTLIER = 3.5  # sigmas; Iglewicz and Hoaglin, see alerting/baseline.py
YEAR = 365 * 86_400.0  # seconds


@dataclass(frozen=True, slots=True)
class Limit:
    """From which number on a trigger fires. No default: unset, it never does."""

    kind: Kind
    default: float | None
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What the settings know of a trigger: the name of its switch, where it has one in spark-expectations that one, and its defaults."""

    switch: str
    severity: Severity
    on: bool = False
    limit: Limit | None = None
    judges: bool = True
    """Whether it finds runs good or bad, so that bad ones can be counted before somebody is told."""


def _sigmas(name: str) -> Limit:
    doc = f"How many sigmas from the median of earlier runs {name} takes to fire."
    return Limit(Number(0.1, 1000, "a number of sigmas"), OUTLIER, doc)


def _events(what: str, doc: str) -> Limit:
    return Limit(Count(1, 1_000_000, f"a number of {what}"), 1, doc)


TRIGGERS: Mapping[str, Trigger] = MappingProxyType(
    {
        "start": Trigger(switch=names.se_notifications_on_start, severity="info", judges=False),
        # On by default in spark-expectations, which never sends it to PagerDuty.
        "completion": Trigger(switch=names.se_notifications_on_completion, severity="info", judges=False),
        "failure": Trigger(switch=names.se_notifications_on_fail, severity="critical", on=True),
        "error_drop_threshold": Trigger(switch=names.se_notifications_on_error_drop_exceeds_threshold_breach, severity="error"),
        "ignored_rules": Trigger(switch=names.se_notifications_on_rules_action_if_failed_set_ignore, severity="warning"),
        "unusual_volume": Trigger(switch=names.spark_pd_on_unusual_volume, severity="warning", limit=_sigmas("unusual_volume")),
        "unusual_errors": Trigger(switch=names.spark_pd_on_unusual_errors, severity="warning", limit=_sigmas("unusual_errors")),
        "job_failure": Trigger(
            switch=names.spark_pd_on_job_failure,
            severity="warning",
            limit=_events("jobs", "How many Spark jobs of a run have to fail before job_failure fires."),
        ),
        "stage_retry": Trigger(
            switch=names.spark_pd_on_stage_retry,
            severity="warning",
            limit=_events("retries", "How many retries of stages a run takes before stage_retry fires."),
        ),
        "task_failures": Trigger(
            switch=names.spark_pd_on_task_failures,
            severity="warning",
            limit=Limit(
                Number(0, 100, "a percentage"),
                10.0,
                "The part of a run's tasks, in percent, that may not fail; task_failures fires from there on.",
            ),
        ),
        "executor_lost": Trigger(
            switch=names.spark_pd_on_executor_lost,
            severity="warning",
            limit=_events("executors", "How many executors a run has to lose before executor_lost fires."),
        ),
        "overrun": Trigger(
            switch=names.spark_pd_on_overrun,
            severity="error",
            limit=Limit(
                Number(0.1, YEAR, "a number of seconds", optional=True),
                None,
                "The seconds that a run may take; overrun fires once they are over, while it still runs. Unset: it never does.",
            ),
        ),
        "no_output": Trigger(switch=names.spark_pd_on_no_output, severity="error"),
        "query_failure": Trigger(switch=names.spark_pd_on_query_failure, severity="critical", on=True),
    }
)

TRIGGER_SETTINGS: tuple[Setting, ...] = (
    *(
        Setting(
            name=trigger.switch,
            also=tuple({f"spark.pd.on.{name}"} - {trigger.switch}),
            field=f"on.{name}",
            kind=Switch(),
            default=trigger.on,
            doc=f"Whether the trigger {name} opens incidents.",
        )
        for name, trigger in TRIGGERS.items()
    ),
    Setting(
        name=names.se_notifications_on_error_drop_threshold,
        also=(names.spark_pd_limit_error_drop_threshold,),
        field="error_drop_threshold",
        kind=Number(0, 100, "a percentage"),
        default=100.0,
        doc="The part of the input, in percent, that may not be dropped; the trigger error_drop_threshold fires from there on.",
    ),
    Setting(
        name=names.spark_pd_warning_error_drop_threshold,
        field="warning_threshold",
        kind=Number(0, 100, "a percentage", optional=True),
        default=None,
        doc="A lower part of the input, in percent, from where on the trigger error_drop_threshold warns. Unset: it does not.",
    ),
    *(
        Setting(
            name=f"spark.pd.severity.{name}",
            field=f"severity.{name}",
            kind=Choice(SEVERITIES),
            default=trigger.severity,
            doc=f"The severity of the trigger {name}.",
        )
        for name, trigger in TRIGGERS.items()
    ),
    *(
        Setting(
            name=f"spark.pd.severity.priority.{name}",
            field=f"by_priority.{name}",
            kind=Choice(SEVERITIES, optional=True),
            default=None,
            doc=f"The severity of what rules of priority {name} failed. Unset: the trigger's.",
        )
        for name in PRIORITIES
    ),
    *(
        Setting(
            name=f"spark.pd.notify.{name}",
            field=f"notify.{name}",
            kind=Choice(NOTIFY),
            default="always",
            doc=f"When a bad run tells of {name}: always; change, only where its incident is not open yet or got worse; or never.",
        )
        for name in TRIGGERS
    ),
    *(
        Setting(
            name=f"spark.pd.after.{name}",
            field=f"after.{name}",
            kind=Count(1, 1000, "a number of runs"),
            default=1,
            doc=f"How many bad runs in a row it takes before {name} pages.",
        )
        for name, trigger in TRIGGERS.items()
        if trigger.judges
    ),
    *(
        Setting(
            name=f"spark.pd.limit.{name}",
            field=f"limit.{name}",
            kind=trigger.limit.kind,
            default=trigger.limit.default,
            doc=trigger.limit.doc,
        )
        for name, trigger in TRIGGERS.items()
        if trigger.limit is not None
    ),
)
