"""What can be set of the way to PagerDuty: whether anything is sent, where to, through what, and with which key."""

from __future__ import annotations

from spark_pd.settings import user_config as names
from spark_pd.settings.fields import Choice, File, Hosts, Key, Switch, Text, Url
from spark_pd.settings.setting import Setting

PAGERDUTY_SETTINGS: tuple[Setting, ...] = (
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
)

# Where keys are kept, in spark-expectations' own words.
SECRET_SETTINGS: tuple[Setting, ...] = (
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
)
