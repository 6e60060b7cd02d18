"""A strict PagerDuty on loopback, for tests and for trying things out. Running it needs Flask: pip install 'spark-pd[sandbox]'."""

from __future__ import annotations

from spark_pd.sandbox.faults import KINDS as FAULTS
from spark_pd.sandbox.incidents import Incident
from spark_pd.sandbox.received import ReceivedRequest
from spark_pd.sandbox.sandbox import Sandbox
from spark_pd.sandbox.serve import serve

__all__ = ["FAULTS", "Incident", "ReceivedRequest", "Sandbox", "serve"]
