"""The hosts that are PagerDuty's own, by service region: https://support.pagerduty.com/main/docs/service-regions."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

EVENTS: Mapping[str, str] = MappingProxyType({"us": "events.pagerduty.com", "eu": "events.eu.pagerduty.com"})
"""Those that take events."""
REST: Mapping[str, str] = MappingProxyType({"us": "api.pagerduty.com", "eu": "api.eu.pagerduty.com"})
"""Those of the REST API."""
