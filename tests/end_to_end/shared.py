"""Rules and settings that the road's tests share."""

from __future__ import annotations

from typing import Any

from spark_pd import user_config

DROP = {"rule": "tens", "expectation": "id % 10 <> 0", "action_if_failed": "drop"}
IGNORE = {"rule": "below_90", "expectation": "id < 90", "action_if_failed": "ignore"}
FAIL = {"rule": "never_7", "expectation": "id <> 7", "action_if_failed": "fail"}
RULES = [DROP, IGNORE]

ALL_ON = {
    user_config.se_notifications_on_start: True,
    user_config.se_notifications_on_completion: True,
    user_config.se_notifications_on_fail: True,
    user_config.se_notifications_on_error_drop_exceeds_threshold_breach: True,
    user_config.se_notifications_on_rules_action_if_failed_set_ignore: True,
}
ALL_OFF = {**dict.fromkeys(ALL_ON, False), user_config.spark_pd_on_query_failure: False}
THRESHOLD_ON = {user_config.se_notifications_on_error_drop_exceeds_threshold_breach: True}
IGNORED_ON = {user_config.se_notifications_on_rules_action_if_failed_set_ignore: True}


def write(df: Any) -> None:
    """A real write that keeps nothing."""
    df.write.format("noop").mode("overwrite").save()
