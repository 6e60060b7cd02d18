"""The session: classic or Connect, what its settings say, and the facts of the application that an incident shows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from spark_pd.model import Link
from spark_pd.model.errors import UsageError


def is_connect(spark: Any) -> bool:
    """Whether this is a session of Spark Connect: then there is no JVM to reach."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


def active_session() -> Any:
    """The active session of this thread or process. Raises UsageError where there is none."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is None:
        with suppress(ImportError):  # Connect needs grpc, which a classic installation may lack
            from pyspark.sql.connect.session import SparkSession as ConnectSession

            with suppress(Exception):
                session = ConnectSession.getActiveSession()  # type: ignore[assignment]
    if session is None:
        raise UsageError("spark_pd.install found no active SparkSession; give it one: spark_pd.install(spark)")
    return session


def local_session(conf: Mapping[str, str]) -> Any:
    """The session of a command at a shell: on this machine, unless `conf` or the environment say otherwise. One that is active is taken."""
    from pyspark.sql import SparkSession

    if (active := SparkSession.getActiveSession()) is not None:
        return active
    builder = SparkSession.builder.appName("spark-pd")
    for name, value in {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", **conf}.items():
        builder = builder.config(name, value)
    if "spark.master" not in conf and "spark.remote" not in conf and not {"MASTER", "SPARK_REMOTE"} & os.environ.keys():
        builder = builder.master("local[*]")
    session = builder.getOrCreate()
    if not is_connect(session):
        session.sparkContext.setLogLevel("OFF")
    return session


def settings_of(spark: Any, names: Iterable[str]) -> dict[str, str]:
    """The session's configuration by name: which of it is ours is for its reader to say.

    Where Spark does not list its configuration (a shared cluster, serverless), it is asked for each of `names`; what it refuses to tell is
    left out, and install goes on with the rest.
    """
    try:
        found = dict(spark.conf.getAll) if is_connect(spark) else {p._1(): p._2() for p in _pairs(spark._jsparkSession.conf().getAll())}
    except Exception:
        found = {}
        for name in names:
            with suppress(Exception):
                found[name] = spark.conf.get(name, None)
    return {name: value for name, value in found.items() if value is not None}


def _pairs(scala_map: Any) -> list[Any]:
    iterator = scala_map.iterator()
    pairs = []
    while iterator.hasNext():
        pairs.append(iterator.next())
    return pairs


def current_catalog(spark: Any) -> str | None:
    """The current catalog's name, or None where Spark does not tell."""
    with suppress(Exception):
        return str(spark.catalog.currentCatalog())
    return None


def current_namespace(spark: Any) -> tuple[str, str]:
    """The current catalog and schema; Spark's own where it does not tell."""
    catalog, schema = current_catalog(spark), None
    with suppress(Exception):
        schema = str(spark.catalog.currentDatabase())
    return catalog or "spark_catalog", schema or "default"


def application_name(spark: Any) -> str:
    """The application's name, as incidents show it in `source`."""
    with suppress(Exception):
        name = spark.conf.get("spark.app.name", None) if is_connect(spark) else spark.sparkContext.appName
        if name:
            return str(name)
    return "spark"


def application_id(spark: Any) -> str | None:
    """The application's id, or None where Spark does not tell."""
    with suppress(Exception):
        return str(spark.conf.get("spark.app.id", None) if is_connect(spark) else spark.sparkContext.applicationId)
    return None


def links_of(spark: Any) -> tuple[Link, ...]:
    """Where to look: the Spark UI, if this application has one."""
    if not is_connect(spark):
        with suppress(Exception):
            url = spark.sparkContext.uiWebUrl
            if url:
                return (Link(str(url), "Spark UI"),)
    return ()
