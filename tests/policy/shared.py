"""Verdicts as runs give them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from spark_pd.alerting.policy import Verdict
from spark_pd.model import Alert, Subject

T0 = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)
SUBJECT = Subject(environment="prod", product_id="sales", table="sales.orders")


def at(minutes: float) -> datetime:
    """So many minutes after the tests' beginning."""
    return T0 + timedelta(minutes=minutes)


def verdict(outcome: str, minutes: float = 0, trigger: str = "failure", severity: str = "error", **fields: Any) -> Verdict:
    """firing and good come with their alert; unknown has one with `pages`."""
    pages = fields.pop("pages", outcome in ("firing", "good"))
    subject = fields.pop("subject", SUBJECT)
    state = "resolved" if outcome in ("good", "none") else "firing"
    alert = Alert(
        trigger=trigger,
        state=state,  # type: ignore[arg-type]
        severity=severity,  # type: ignore[arg-type]
        summary=f"{subject.table} {outcome}",
        dedup_key=subject.dedup_key(trigger, fields.get("rule")),
        source="nightly",
        component=subject.table,
        group=subject.product_id,
        at=at(minutes),
        rule=fields.get("rule"),
    )
    rules = frozenset(fields.pop("rules", ()))
    usual: dict[str, Any] = {"evaluated": rules, "rules": rules, "rules_source": "code"}
    return Verdict(
        subject=subject,
        trigger=trigger,
        outcome=outcome,  # type: ignore[arg-type]
        alert=alert if pages else None,
        started_at=at(minutes),
        **{**usual, **fields},
    )
