"""The nouns of spark_pd, frozen, and the protocols between its stages. They import nothing of the package but one another.

rules -> checks -> RunStats -> triggers -> Decision, Alert -> dispatch -> Channel -> Delivery
"""

from __future__ import annotations

from spark_pd.model.alert import ANNOUNCEMENTS, SEVERITIES, Alert, AlertState, Decision, Link, Outcome, Severity
from spark_pd.model.delivery import Address, Channel, ConfirmingChannel, Delivery, DeliveryStatus
from spark_pd.model.rule import PRIORITIES, Action, IncidentOf, Priority, Rule, RuleResult, RuleStatus, RuleType, Side
from spark_pd.model.secret import Secret, SecretContext, SecretProvider, SecretReference
from spark_pd.model.stats import Counting, RunStats, RunStatus, percentage
from spark_pd.model.subject import DEDUP_KEY_LIMIT, Subject, normalized_table
from spark_pd.model.words import names

__all__ = [
    "ANNOUNCEMENTS",
    "DEDUP_KEY_LIMIT",
    "PRIORITIES",
    "SEVERITIES",
    "Action",
    "Address",
    "Alert",
    "AlertState",
    "Channel",
    "ConfirmingChannel",
    "Counting",
    "Decision",
    "Delivery",
    "DeliveryStatus",
    "IncidentOf",
    "Link",
    "Outcome",
    "Priority",
    "Rule",
    "RuleResult",
    "RuleStatus",
    "RuleType",
    "RunStats",
    "RunStatus",
    "Secret",
    "SecretContext",
    "SecretProvider",
    "SecretReference",
    "Severity",
    "Side",
    "Subject",
    "names",
    "normalized_table",
    "percentage",
]
