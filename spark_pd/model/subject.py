"""What an incident is about, and its dedup key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


def normalized_table(table: str, current_catalog: str | None = None) -> str:
    """A table's name in incidents: case folded, no backticks, the catalog in front unless it is spark_catalog.

    `` `Sales`.`Orders` `` and sales.orders are one table.
    """
    name = table.replace("`", "").strip().casefold()
    catalog = (current_catalog or "spark_catalog").replace("`", "").strip().casefold()
    parts = name.split(".")
    if parts[0] == "spark_catalog" and len(parts) > 1:
        return ".".join(parts[1:])
    if catalog != "spark_catalog" and len(parts) < 3:
        return f"{catalog}.{name}"
    return name


DEDUP_KEY_LIMIT = 255  # characters; Events API v2, "dedup_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an incident is about, without the trigger, and the rule of a rule's own incident.

    Two runs with equal subjects share an incident for each trigger, so it holds no run id, count or time.
    """

    environment: str | None
    product_id: str | None
    table: str
    scope: str | None = None
    job: str | None = None

    @property
    def prefix(self) -> str:
        """The beginning of its dedup keys: `spark_pd/prod/sales/sales.orders`. Different subjects have different ones."""
        parts = ["spark_pd", _part(self.environment), _part(self.product_id), _part(self.table)]
        if self.scope is not None:
            parts.append(f"scope={_part(self.scope)}")
        if self.job is not None:
            parts.append(f"job={_part(self.job)}")
        return "/".join(parts)

    @property
    def title(self) -> str:
        """The beginning of its summaries: `[prod] sales.orders (2026-12-01)`, with the scope after the table."""
        place = f"[{self.environment}] {self.table}" if self.environment else self.table
        return f"{place} ({self.scope})" if self.scope else place

    def dedup_key(self, trigger: str, rule: str | None = None) -> str:
        """Such as `spark_pd/prod/sales/sales.orders/error_drop_threshold`, with `/rule=has_id` after it for a rule's own incident.

        Hashed at its end above 255 characters.
        """
        key = f"{self.prefix}/{trigger}" if rule is None else f"{self.prefix}/{trigger}/rule={_part(rule)}"
        if len(key) <= DEDUP_KEY_LIMIT:
            return key
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return f"{key[: DEDUP_KEY_LIMIT - len(digest) - 1]}~{digest}"


def _part(value: str | None) -> str:
    """A name between two slashes of a dedup key."""
    # "-" means none. A slash inside a name must not look like a separator.
    if value is None or value == "":
        return "-"
    return "%2D" if value == "-" else value.replace("%", "%25").replace("/", "%2F")
