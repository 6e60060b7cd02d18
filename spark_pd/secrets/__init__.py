"""From a reference such as `env:PAGERDUTY_KEY` to a secret, late: nothing is looked up before `resolve` is called.

Built in: `env:NAME`, `file:path`, `databricks:scope/key`, `cerberus:path#key`. A package adds a scheme of its own with an entry point in
the group `spark_pd.secrets`: its name is the scheme, its object a `spark_pd.model.SecretProvider`.
"""

from __future__ import annotations

from spark_pd.secrets.registry import parse_reference, schemes
from spark_pd.secrets.resolving import resolve

__all__ = ["parse_reference", "resolve", "schemes"]
