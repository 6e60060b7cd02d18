"""The page you get when your Spark data goes bad: counts per run, thresholds, PagerDuty incidents that open and close by themselves.

Importing this package imports no pyspark and does no I/O.
"""

from __future__ import annotations

from spark_pd.checks.error_table.result import ErrorTable
from spark_pd.model import Alert, Decision, Delivery, Rule, RuleResult, RunStats
from spark_pd.model.errors import DeliveryError, RuleFailed, RulesError, SecretError, SettingsError, SparkPdError, UsageError
from spark_pd.runs.monitor import Monitor, install
from spark_pd.runs.run import Run
from spark_pd.settings import Settings, user_config

__version__ = "0.1.0"

__all__ = [
    "Alert",
    "Decision",
    "Delivery",
    "DeliveryError",
    "ErrorTable",
    "Monitor",
    "Rule",
    "RuleFailed",
    "RuleResult",
    "RulesError",
    "Run",
    "RunStats",
    "SecretError",
    "Settings",
    "SettingsError",
    "SparkPdError",
    "UsageError",
    "install",
    "user_config",
]
