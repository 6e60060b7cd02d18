"""`databricks:scope/key`: a Databricks secret, by dbutils where there is one, else by databricks-sdk over the REST API."""

from __future__ import annotations

import base64
import builtins
import contextlib
import logging
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from spark_pd.model import SecretContext
from spark_pd.model.errors import SecretError
from spark_pd.secrets.extras import need
from spark_pd.secrets.urls import checked_url

logger = logging.getLogger("spark_pd.secrets")

# Seconds. The SDK's own (60 and 300) would outlast any delivery. It makes two calls, the host's metadata and the secret: about 10 in all.
HTTP_TIMEOUT = 3
RETRY_TIMEOUT = 2

_EXPECTED = "expected databricks:scope/key, such as databricks:pagerduty/integration-key"


def provide(path: str, *, context: SecretContext) -> str:
    """The secret at `path`, which is `scope/key`.

    On Databricks (and with Databricks Connect) dbutils reads it, else databricks-sdk, from `context.databricks_workspace_url` or the
    workspace that the SDK knows (DATABRICKS_HOST, a profile), with the SDK's credentials. Raises SecretError.
    """
    scope, _, key = path.partition("/")
    if not scope or not key or "/" in key:
        raise SecretError(f"{path!r} is not a scope and a key; {_EXPECTED}")
    dbutils = _dbutils(context.spark)
    if dbutils is None:
        logger.debug("no dbutils here; reading the Databricks secret with databricks-sdk")
        return _by_sdk(scope, key, context.databricks_workspace_url)
    return _by_dbutils(dbutils, scope, key)


def _dbutils(spark: Any) -> Any | None:
    for candidate in dbutils_candidates(spark):
        # dbutils may be anybody's name for anything: only what can read secrets counts, and asking it may fail in any way.
        with contextlib.suppress(Exception):
            if callable(candidate.secrets.get):
                return candidate
    return None


def dbutils_candidates(spark: Any) -> Iterator[Any]:
    """Databricks' DBUtils, then what Databricks puts into a notebook's or a script's namespace."""
    if spark is not None:
        # Only Databricks' pyspark has the module; its constructor may fail where the session is not Databricks' own.
        with contextlib.suppress(Exception):
            yield import_module("pyspark.dbutils").DBUtils(spark)
    ipython = sys.modules.get("IPython")  # never imported for this
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        yield shell.user_ns.get("dbutils")
    yield getattr(sys.modules.get("__main__"), "dbutils", None)
    yield getattr(builtins, "dbutils", None)


def _by_dbutils(dbutils: Any, scope: str, key: str) -> str:
    try:
        value = dbutils.secrets.get(scope=scope, key=key)
    except Exception as error:  # py4j's, Connect's or the SDK's, by the kind of cluster
        failure = type(error).__name__
    else:
        if isinstance(value, str):
            return value
        failure = f"a {type(value).__name__} instead of text"
    raise SecretError(
        f"dbutils.secrets gave {failure}; check that the scope {scope!r} has the key {key!r} (databricks secrets list-secrets {scope}) "
        "and that the job's user may READ the scope"
    )


def _by_sdk(scope: str, key: str, workspace_url: str | None) -> str:
    sdk, core, errors = (
        need(f"databricks.{name}", extra="databricks", why="there is no dbutils here") for name in ("sdk", "sdk.core", "sdk.errors")
    )
    host = None
    if workspace_url:
        # A workspace's address is often copied without its scheme, or with the browser's path and `?o=`.
        parts = checked_url(_bare(workspace_url), what="the Databricks workspace URL")
        host = f"{parts.scheme}://{parts.netloc}"
    try:
        config = core.Config(host=host, http_timeout_seconds=HTTP_TIMEOUT, retry_timeout_seconds=RETRY_TIMEOUT, product="spark-pd")
    except ValueError:
        config = None
    if config is None or not config.host:
        raise SecretError(
            "there is no dbutils here, and databricks-sdk has no workspace or no credentials; set the Databricks workspace URL or "
            "DATABRICKS_HOST, and DATABRICKS_TOKEN or another login that the SDK knows"
        )
    checked_url(config.host, what="the Databricks workspace URL")
    try:
        encoded = sdk.WorkspaceClient(config=config).secrets.get_secret(scope, key).value
    except Exception as error:
        problem = _advice(error, errors, scope, key, config.host)
    else:
        text = _decoded(encoded)
        if text is not None:
            return text
        problem = "the workspace's answer holds no text in base64; store the secret as a string"
    raise SecretError(problem)


def _bare(url: str) -> str:
    """The URL up to its host, with a scheme."""
    url = url.strip()
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "https", url
    authority = rest.partition("/")[0].partition("?")[0].partition("#")[0]
    return f"{scheme}://{authority}"


def _advice(error: Exception, errors: Any, scope: str, key: str, host: str) -> str:
    if isinstance(error, errors.NotFound):
        return f"{host} has no scope {scope!r} with a key {key!r}; see databricks secrets list-secrets {scope}"
    if isinstance(error, errors.PermissionDenied):
        return f"{host} denies READ on the scope {scope!r}; have it granted to the user that the SDK logs in as"
    if isinstance(error, errors.Unauthenticated):
        return f"{host} refused the SDK's credentials; renew DATABRICKS_TOKEN or the login in use"
    return f"reading it from {host} failed with {type(error).__name__}; check the workspace URL, the network and the SDK's login"


def _decoded(encoded: object) -> str | None:
    """The REST API gives the value's bytes in base64. None where they are not text."""
    if not isinstance(encoded, str):
        return None
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8")
    except ValueError:  # it holds the value, so it ends here
        return None
