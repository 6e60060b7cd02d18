"""Every setting, declared once: its names, what it may be, its default, and what it is for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from spark_pd.model import SEVERITIES
from spark_pd.settings import user_config as names
from spark_pd.settings.fields import Choice, Columns, Count, FileOrUrl, LocalPath, Names, Number, Params, Switch, TableName, Text, Windows
from spark_pd.settings.pagerduty_definitions import PAGERDUTY_SETTINGS, SECRET_SETTINGS
from spark_pd.settings.setting import Setting
from spark_pd.settings.trigger_definitions import TRIGGER_SETTINGS

DAY = 86_400.0  # seconds; far above any sensible deadline, and below what threads can wait

SETTINGS: tuple[Setting, ...] = (
    *PAGERDUTY_SETTINGS,
    Setting(
        name=names.spark_pd_lifecycle_as,
        field="lifecycle_as",
        kind=Choice(("incident", "change")),
        default="incident",
        doc="What the triggers start and completion make: incidents, or change events, which open nothing and page nobody.",
    ),
    *TRIGGER_SETTINGS,
    Setting(
        name=names.spark_pd_after_unknown,
        field="after_unknown",
        kind=Count(1, 1000, "a number of runs"),
        default=1,
        doc="How many runs with unknown counts in a row it takes before they page, where spark.pd.on_unknown is page.",
    ),
    Setting(
        name=names.spark_pd_cooldown,
        field="cooldown",
        kind=Number(0, 30 * DAY, "a number of seconds"),
        default=0.0,
        doc="Seconds after a resolve within which the same trouble does not open its incident again. 0: it always does.",
    ),
    Setting(
        name=names.spark_pd_min_severity,
        field="min_severity",
        kind=Choice(SEVERITIES),
        default="info",
        doc="The least severity that is told; resolves always are.",
    ),
    Setting(
        name=names.spark_pd_mute,
        field="mute",
        kind=Windows(),
        default=None,
        doc="When nobody is paged: cron expression, duration and time zone, such as 0 22 * * 5 for 8h in Europe/Berlin; several with `;`.",
    ),
    Setting(
        name=names.spark_pd_mutes_file,
        field="mutes_file",
        kind=LocalPath("a file", "mutes.yaml"),
        default=None,
        doc="A YAML file of mutes, read whenever an alert is about to go out.",
    ),
    Setting(
        name=names.spark_pd_events,
        field="events",
        kind=FileOrUrl(),
        default=None,
        doc="Where each step of a run goes as a CloudEvent: a file, which gets a line of JSON for each, or a URL.",
    ),
    Setting(
        name=names.spark_pd_events_types,
        field="events_types",
        kind=Names("types of events such as alert.*, run.finished", "run.started, run.finished, decision, alert.*, delivery"),
        default=(),
        doc="The types of events that are emitted, with patterns. Empty: all.",
    ),
    Setting(
        name=names.spark_pd_events_tables,
        field="events_tables",
        kind=Names("names of tables such as sales.*", "sales.*"),
        default=(),
        doc="The tables whose events are emitted, with patterns. Empty: all.",
    ),
    Setting(
        name=names.spark_pd_stats_table,
        field="stats_table",
        kind=Text(),
        default=None,
        doc="The table, or with a slash in its name the folder, that gets a row for each run. Unset: none, and no history.",
    ),
    Setting(
        name=names.spark_pd_stats_format,
        field="stats_format",
        kind=Text(),
        default=None,
        doc="The stats table's format. Unset: Delta where the session's catalog is Delta's, else the session's default.",
    ),
    Setting(
        name=names.spark_pd_history_runs,
        field="history_runs",
        kind=Count(3, 1000, "a number of runs"),
        default=30,
        doc="The last exact runs that say what is usual.",
    ),
    Setting(
        name=names.spark_pd_history_min_runs,
        field="history_min_runs",
        kind=Count(3, 1000, "a number of runs"),
        default=7,
        doc="The exact runs that it takes before anything is unusual; no more than spark.pd.history.runs.",
    ),
    Setting(
        name=names.spark_pd_stream_batches,
        field="stream_batches",
        kind=Count(1, 1000, "a number of batches"),
        default=10,
        doc="The last micro-batches with rows that a stream is judged by, together.",
    ),
    Setting(
        name=names.spark_pd_environment,
        field="environment",
        kind=Text(),
        default=None,
        doc="Such as prod; part of an incident's identity.",
    ),
    Setting(
        name=names.spark_pd_product_id,
        field="product_id",
        kind=Text(),
        default=None,
        doc="The data product; part of an incident's identity.",
    ),
    Setting(
        name=names.spark_pd_deadline,
        field="deadline",
        kind=Number(0, DAY, "a number of seconds"),
        default=5.0,
        doc="Seconds that sending may add to a run. 0: leave alerts in the outbox, whose path must be set then.",
    ),
    Setting(
        name=names.spark_pd_outbox_path,
        field="outbox_path",
        kind=LocalPath("a folder", "alerts"),
        default=None,
        doc="The folder where alerts are kept until PagerDuty accepted them. Default: spark_pd/outbox in the user's state directory.",
    ),
    Setting(
        name=names.spark_pd_on_signal,
        field="on_signal",
        kind=Switch(),
        default=True,
        doc="Whether SIGTERM, while a run is open, gives it its verdict before the process ends.",
    ),
    Setting(
        name=names.spark_pd_heartbeat,
        field="heartbeat",
        kind=Number(0, DAY, "a number of seconds"),
        default=30.0,
        doc="Seconds between two signs of life of an open run, by which other machines know that its process lives. 0: none.",
    ),
    Setting(
        name=names.spark_pd_rate,
        field="rate",
        kind=Number(0, 1_000_000, "events a minute"),
        default=75.0,
        doc="Events a minute that may go out with one integration key; PagerDuty takes about 120. 0: no limit.",
    ),
    Setting(
        name=names.spark_pd_storm_limit,
        field="storm_limit",
        kind=Number(0, 1_000, "alerts a minute", whole=True),
        default=60.0,
        doc="Firing alerts within a minute that stay incidents of their own; those beyond become one storm incident. 0: all stay so.",
    ),
    Setting(
        name=names.spark_pd_strict,
        field="strict",
        kind=Switch(),
        default=False,
        doc="Raise DeliveryError into the job where an alert was not delivered.",
    ),
    Setting(
        name=names.spark_pd_on_config_error,
        field="on_config_error",
        kind=Choice(("raise", "disable")),
        default="raise",
        doc="What a mistake in the settings does: raise it, or go on without sending and warn.",
    ),
    Setting(
        name=names.spark_pd_on_unknown,
        field="on_unknown",
        kind=Choice(("log", "page")),
        default="log",
        doc="What becomes of a trigger that could not be decided.",
    ),
    Setting(
        name=names.spark_pd_counting,
        field="counting",
        kind=Choice(("auto", "operator", "observation", "two_pass")),
        default="auto",
        doc="How rows are counted.",
    ),
    Setting(
        name=names.se_enable_error_table,
        field="error_table_enabled",
        kind=Switch(),
        default=False,
        doc="Write the rows that fail a row rule to the error table.",
    ),
    Setting(
        name=names.spark_pd_error_table,
        field="error_table",
        kind=TableName(),
        default="{table}_error",
        doc="The error table's name, with {table} for the target's. It is beside the target, unless it has a dot or a slash.",
    ),
    Setting(
        name=names.spark_pd_samples,
        field="samples",
        kind=Count(0, 100, "a number of rows"),
        default=0,
        doc="How many failing rows of each row rule go into the run's stats and its incidents.",
    ),
    Setting(
        name=names.spark_pd_samples_columns,
        field="samples_columns",
        kind=Columns(),
        default=(),
        doc="The columns whose values samples show: names, or * for all. Of the others they show ***.",
    ),
    Setting(
        name=names.spark_pd_details_exceptions,
        field="exceptions",
        kind=Choice(("class", "scrubbed", "full")),
        default="scrubbed",
        doc="What of a job's exception leaves the cluster: its class, its scrubbed message too, or all of it.",
    ),
    Setting(
        name=names.spark_pd_attempt,
        field="attempt",
        kind=Count(1, 1_000_000, "the number of an attempt", optional=True),
        default=None,
        doc="Which attempt of its job this is, from 1 on. Unset: as the platform tells, where it does.",
    ),
    Setting(
        name=names.spark_pd_max_attempts,
        field="max_attempts",
        kind=Count(1, 1_000_000, "a number of attempts", optional=True),
        default=None,
        doc="How many attempts the job has: a failure that is not the last one's is no more than a warning. Unset: as the platform tells.",
    ),
    *SECRET_SETTINGS,
    Setting(
        name=names.se_job_metadata,
        field="job_metadata",
        kind=Text("text", lines=True),
        default=None,
        doc="Anything about the job that belongs into an incident.",
    ),
    Setting(
        name=names.se_dq_rules_params,
        field="rules_params",
        kind=Params(),
        default=MappingProxyType({}),
        doc="Values for the names in braces inside expectations: a mapping, or one as JSON.",
    ),
    # The trigger of `spark-pd watch`: no run decides on it.
    Setting(
        name=names.spark_pd_on_late,
        field="on_late",
        kind=Switch(),
        default=True,
        doc="Whether spark-pd watch pages for scheduled runs that are late, missing or take too long.",
    ),
    Setting(
        name=names.spark_pd_limit_late,
        field="grace_late",
        kind=Number(0, 31 * DAY, "a number of seconds"),
        default=0.0,
        doc="Seconds after its time within which a scheduled run is not late yet, where its schedule names no grace.",
    ),
    Setting(
        name=names.spark_pd_severity_late,
        field="severity_late",
        kind=Choice(SEVERITIES),
        default="error",
        doc="The severity of the trigger late.",
    ),
    Setting(
        name=names.spark_pd_notify_late,
        field="notify_late",
        kind=Choice(("always", "change", "never")),
        default="always",
        doc="When a missed slot tells of late: always; change, only where its incident is not open yet or got worse; or never.",
    ),
    Setting(
        name=names.spark_pd_config,
        field="config_file",
        kind=Text("the path of a YAML file"),
        default=None,
        doc="A YAML file with settings.",
    ),
)

DEFAULTS: Mapping[str, Any] = MappingProxyType({setting.field: setting.default for setting in SETTINGS})
