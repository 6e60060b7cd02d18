"""The PagerDuty channel: an alert becomes an Events API v2 event and is delivered within its deadline.

alert -> event -> bytes -> HTTP -> verdict -> delivery
"""

from spark_pd.pagerduty.answer import Answer, Verdict, verdict
from spark_pd.pagerduty.channel import ANOTHER_KEY, THROTTLED, PagerDutyChannel
from spark_pd.pagerduty.directory import Directory
from spark_pd.pagerduty.endpoint import endpoint, host, is_loopback, rest_url
from spark_pd.pagerduty.event import change_event, encode, event
from spark_pd.pagerduty.service_keys import SCHEME as SERVICE_SCHEME
from spark_pd.pagerduty.service_keys import ServiceKeys, reference_to
from spark_pd.pagerduty.tls_and_proxy import Network

__all__ = [
    "ANOTHER_KEY",
    "SERVICE_SCHEME",
    "THROTTLED",
    "Answer",
    "Directory",
    "Network",
    "PagerDutyChannel",
    "ServiceKeys",
    "Verdict",
    "change_event",
    "encode",
    "endpoint",
    "event",
    "host",
    "is_loopback",
    "reference_to",
    "rest_url",
    "verdict",
]
