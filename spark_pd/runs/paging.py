"""Paging owners by hand: `monitor.page` and `spark-pd page`."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Sequence
from datetime import datetime, timezone
from difflib import get_close_matches

from spark_pd.delivery.dispatch import ChannelDispatchers, Dispatcher
from spark_pd.model import SEVERITIES, Alert, Delivery, Severity, names
from spark_pd.model.errors import UsageError
from spark_pd.settings import Settings

TRIGGER = "page"


def page_owners(
    owners: Sequence[str],
    message: str,
    *,
    from_: str | None,
    severity: Severity,
    settings: Settings,
    dispatcher: Dispatcher | ChannelDispatchers,
    application: str,
) -> tuple[Delivery, ...]:
    """Page each owner's channels. An owner that nobody knows is a failed delivery beside the others' success.

    The same message to the same owner again is the same incident. Raises UsageError where nobody is named, or nothing is said.
    """
    if not owners or not all(isinstance(owner, str) and owner.strip() for owner in owners):
        raise UsageError("page takes the name of one owner at least, such as monitor.page('orders', message='...')")
    if not isinstance(message, str) or not message.strip():
        raise UsageError("page needs a message: what the one who is paged has to know")
    if severity not in SEVERITIES:
        raise UsageError(f"severity is one of {names(SEVERITIES)}, not {severity!r}")
    who = from_ or session_user()
    alerts = [_alert(owner, message, who, severity, settings, application) for owner in dict.fromkeys(owners)]
    if not isinstance(dispatcher, ChannelDispatchers):
        return tuple(_unknown(alert, owner, settings) for alert, owner in zip(alerts, dict.fromkeys(owners), strict=True))
    unknown, routed = [], []
    for alert, owner in zip(alerts, dict.fromkeys(owners), strict=True):
        found = settings.directions.owners.get(owner)
        if found is None:
            unknown.append(_unknown(alert, owner, settings))
        else:
            routed.append((alert, tuple(map(dispatcher.address, found.channels))))
    return (*dispatcher.submit(routed, seconds=settings.deadline).wait(), *unknown)


def session_user() -> str:
    """Who runs this process, by the operating system."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name
        return "spark_pd"


def _alert(owner: str, message: str, who: str, severity: Severity, settings: Settings, application: str) -> Alert:
    said = hashlib.sha256(f"{owner}\0{message}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    known = settings.directions.owners.get(owner)
    details = {"message": message, "from": who, "owner": owner}
    if known is not None and known.runbook:
        details["runbook"] = known.runbook
    return Alert(
        trigger=TRIGGER,
        state="firing",
        severity=severity,
        summary=f"{message} (from {who})",
        details=details,
        dedup_key=f"spark_pd/{settings.environment or '-'}/page/{owner}/{said}"[:255],
        source=application,
        component=owner,
        group=settings.product_id,
        at=datetime.now(timezone.utc),
    )


def _unknown(alert: Alert, owner: str, settings: Settings) -> Delivery:
    known = tuple(settings.directions.owners)
    nearest = get_close_matches(owner, known, n=1)
    advice = f"did you mean {nearest[0]}?" if nearest else f"known are {names(known)}" if known else "the settings' `owners` are empty"
    return Delivery(alert=alert, channel="none", status="failed", reason=f"there is no owner {owner!r}: {advice}")
