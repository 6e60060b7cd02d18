"""Policy: of what a run has to tell, what goes out and what is withheld, and what is remembered of it. Pure.

run's facts, decisions, alerts -> verdicts; verdict, memory, mutes, now -> ruling
"""

from spark_pd.alerting.policy.rule_incidents import closed_with_their_rule, registered, table_key
from spark_pd.alerting.policy.ruling import PagingPolicy, Ruling, judge, unjudged
from spark_pd.alerting.policy.verdict import Verdict, verdicts_at_end, verdicts_at_start

__all__ = [
    "PagingPolicy",
    "Ruling",
    "Verdict",
    "closed_with_their_rule",
    "judge",
    "registered",
    "table_key",
    "unjudged",
    "verdicts_at_end",
    "verdicts_at_start",
]
