"""Every setting, declared once: its names, what it may be, its default, and what it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from spark_pd.model import PRIORITIES, SEVERITIES, Severity
from spark_pd.settings import user_config as names
from spark_pd.settings.fields import (
    Choice,
    Columns,
    Count,
    File,
    Hosts,
    Key,
    Kind,
    LocalPath,
    Number,
    Params,
    Switch,
    TableName,
    Text,
    Url,
    Windows,
)

DAY = 86_400.0  # seconds; far above any sensible deadline, and below what threads can wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting. `field` is where Settings keeps it; `on.start` is the entry `start` of its field `on`."""

    name: str
    field: str
    kind: Kind
    default: Any
    doc: str
    also: tuple[str, ...] = ()
    """Equal names."""
    masked: bool = False
    """Whether its value may not be shown."""
    narrows: bool = False
    """Whether every source's list holds, not the strongest's alone: what one source leaves out, no other can allow."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """What the settings know of a trigger: the name of its switch, where it has one in spark-expectations that one, and its defaults."""

    switch: str
    on: bool
    severity: Severity


TRIGGERS: Mapping[str, Trigger] = MappingProxyType(
    {
        "start": Trigger(names.se_notifications_on_start, False, "info"),
        # On by default in spark-expectations, which never sends it to PagerDuty.
        "completion": Trigger(names.se_notifications_on_completion, False, "info"),
        "failure": Trigger(names.se_notifications_on_fail, True, "critical"),
        "error_drop_threshold": Trigger(names.se_notifications_on_error_drop_exceeds_threshold_breach, False, "error"),
        "ignored_rules": Trigger(names.se_notifications_on_rules_action_if_failed_set_ignore, False, "warning"),
        "unusual_volume": Trigger(names.spark_pd_on_unusual_volume, False, "warning"),
        "unusual_errors": Trigger(names.spark_pd_on_unusual_errors, False, "warning"),
    }
)

NOTIFY = ("always", "change", "never")
# start and completion are nothing bad: there is no row of bad runs to wait for.
JUDGED = ("failure", "error_drop_threshold", "ignored_rules", "unusual_volume", "unusual_errors")
USUAL = ("unusual_volume", "unusual_errors")
OUTLIER = 3.5  # sigmas; Iglewicz and Hoaglin, see history/baseline.py

SETTINGS: tuple[Setting, ...] = (
    Setting(
        name=names.se_notifications_enable_pagerduty,
        field="enabled",
        kind=Switch(),
        default=False,
        doc="Send alerts to PagerDuty. Where it is false, everything is decided and reported, and nothing is sent.",
    ),
    Setting(
        name=names.se_notifications_pagerduty_integration_key,
        also=(names.spark_pd_secret_integration_key,),
        field="integration_key",
        kind=Key(),
        default=None,
        doc="The PagerDuty service's integration key: a reference such as env:NAME or databricks:scope/key, or the key itself.",
        masked=True,
    ),
    Setting(
        name=names.se_notifications_pagerduty_webhook_url,
        field="url",
        kind=Url("https://events.pagerduty.com/v2/enqueue"),
        default=None,
        doc="Where events go instead of the region's own host; it may end in /v2/enqueue.",
    ),
    Setting(
        name=names.spark_pd_region,
        field="region",
        kind=Choice(("us", "eu")),
        default="us",
        doc="PagerDuty's service region.",
    ),
    Setting(
        name=names.spark_pd_allowed_hosts,
        field="allowed_hosts",
        kind=Hosts(),
        default=None,
        doc="The only hosts that events may go to, beside this machine. Where several sources list hosts, those in every list.",
        narrows=True,
    ),
    Setting(
        name=names.spark_pd_proxy,
        also=(names.spark_pd_secret_proxy,),
        field="proxy",
        kind=Key("a proxy's URL, or a reference to one, as text"),
        default=None,
        doc="The proxy to PagerDuty: a URL such as http://user:password@proxy:3128, or a reference to one. Unset: as the environment says.",
        masked=True,
    ),
    Setting(
        name=names.spark_pd_ca_bundle,
        field="ca_bundle",
        kind=File("/etc/ssl/company.pem"),
        default=None,
        doc="The file of the certificate authorities to trust. Unset: REQUESTS_CA_BUNDLE, else certifi's.",
    ),
    Setting(
        name=names.spark_pd_rest_token,
        field="rest_token",
        kind=Key("a reference or a token as text"),
        default=None,
        doc="A token of PagerDuty's REST API: where it is set, it is asked in the background what became of accepted alerts.",
        masked=True,
    ),
    Setting(
        name=names.spark_pd_rest_url,
        field="rest_url",
        kind=Url("https://api.pagerduty.com"),
        default=None,
        doc="Where the REST API is, instead of at the region's own host.",
    ),
    Setting(
        name=names.spark_pd_lifecycle_as,
        field="lifecycle_as",
        kind=Choice(("incident", "change")),
        default="incident",
        doc="What the triggers start and completion make: incidents, or change events, which open nothing and page nobody.",
    ),
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
        for name in JUDGED
    ),
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
    *(
        Setting(
            name=f"spark.pd.limit.{name}",
            field=f"limit.{name}",
            kind=Number(0.1, 1000, "a number of sigmas"),
            default=OUTLIER,
            doc=f"How many sigmas from the median of earlier runs {name} takes to fire.",
        )
        for name in USUAL
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
        name=names.secret_type,
        field="secret_type",
        kind=Choice(("cerberus", "databricks"), optional=True),
        default=None,
        doc="Where the integration key is kept: its setting then is a name in the scope or safe deposit box.",
    ),
    Setting(
        name=names.cbs_url,
        field="cerberus_url",
        kind=Url("https://cerberus.example.com"),
        default=None,
        doc="Cerberus' URL.",
    ),
    Setting(
        name=names.cbs_sdb_path,
        field="cerberus_sdb_path",
        kind=Text(),
        default=None,
        doc="The path of the secret in Cerberus' safe deposit box.",
    ),
    Setting(
        name=names.dbx_workspace_url,
        field="databricks_workspace_url",
        kind=Text(),  # the secret provider knows the forms in which people copy it
        default=None,
        doc="The Databricks workspace whose secrets are read where there is no dbutils.",
    ),
    Setting(
        name=names.dbx_secret_scope,
        field="databricks_secret_scope",
        kind=Text(),
        default=None,
        doc="The Databricks secret scope.",
    ),
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
