"""The platform that the application runs on: its own names for what runs, where to look, and which attempt this is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from spark_pd.model import Link
from spark_pd.spark.databricks import databricks_facts, databricks_links
from spark_pd.spark.session import application_id, is_connect, links_of

EVENT_LOG, HISTORY = "spark.eventLog.enabled", "spark.yarn.historyServer.address"
SPARK_ATTEMPTS, YARN_ATTEMPTS = "spark.yarn.maxAppAttempts", "yarn.resourcemanager.am.max-attempts"
_ADDRESS = re.compile(r"(?:https?://)?[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?/?")


@dataclass(frozen=True, slots=True)
class Platform:
    """What the platform tells. Everything may be absent."""

    facts: Mapping[str, str]
    links: tuple[Link, ...]
    attempt: tuple[int, int | None] | None
    """The application's attempt, from 1 on, and how many there are, where that is known."""


def platform_of(spark: Any) -> Platform:
    """What the platform tells of this session's application. Never raises."""
    facts = databricks_facts(spark)
    links = (*databricks_links(facts), *links_of(spark), *history_link(spark))
    return Platform(facts, links, yarn_attempt(spark))


def history_link(spark: Any) -> tuple[Link, ...]:
    """Where the history server will show the application once it is gone: on YARN, where its address is set and the event log is on."""
    address = (_setting(spark, HISTORY) or "").strip()
    if not address or (_setting(spark, EVENT_LOG) or "").lower() != "true":
        return ()
    application = application_id(spark) or ""
    if not _ADDRESS.fullmatch(address) or not re.fullmatch(r"[\w-]+", application):
        return ()  # a variable of Hadoop's, perhaps: no link is better than a wrong one
    place = address.rstrip("/") if "://" in address else f"http://{address.rstrip('/')}"
    attempt = _attempt_id(spark)
    return (Link(f"{place}/history/{application}{f'/{attempt}' if attempt else ''}", "Spark history server"),)


def yarn_attempt(spark: Any) -> tuple[int, int | None] | None:
    """The application's attempt on YARN, where the driver runs in the cluster, and how many there are: the lesser of Spark's and YARN's."""
    attempt = _whole(_attempt_id(spark))
    if attempt is None:
        return None
    yarn = None
    with suppress(Exception):
        yarn = spark.sparkContext._jsc.hadoopConfiguration().get(YARN_ATTEMPTS)
    known = [number for number in (_whole(_setting(spark, SPARK_ATTEMPTS)), _whole(yarn)) if number is not None]
    return attempt, min(known) if known else None


def _attempt_id(spark: Any) -> str | None:
    """SparkContext.applicationAttemptId, which only a driver inside a YARN cluster has."""
    if is_connect(spark):
        return None
    with suppress(Exception):
        option = spark.sparkContext._jsc.sc().applicationAttemptId()
        if option.isDefined():
            return str(option.get())
    return None


def _setting(spark: Any, name: str) -> str | None:
    with suppress(Exception):
        value = spark.conf.get(name, None)
        return value if isinstance(value, str) else None
    return None


def _whole(text: object) -> int | None:
    """A number from 1 on; None for everything else."""
    text = text.strip() if isinstance(text, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0 else None
