"""Reports dead runs from another process: each becomes an alert in the outbox that it belongs to, for the key that its run had."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timezone

from spark_pd.delivery.outbox import Entry, Outbox
from spark_pd.runs.crash.marker import death_alert
from spark_pd.runs.crash.markers_folder import Claim, Markers

logger = logging.getLogger("spark_pd.crash")

PROCESS_DIED = "its process died before the run had its verdict"


def report_dead_runs(outbox: Outbox) -> list[Entry]:
    """Put an alert into the outbox for each run whose marker is beside it and whose process is dead. It sends nothing."""
    return report_claims(Markers.beside(outbox).all_dead(), PROCESS_DIED)


def report_claims(claims: Iterable[Claim], how: str) -> list[Entry]:
    """Put an alert for each dead run into its outbox; `how` says how its death is known. One that cannot be kept stays claimable."""
    kept: list[Entry] = []
    for claim in claims:
        marker = claim.marker
        alert = death_alert(marker, how, at=datetime.now(timezone.utc))
        entries = claim.outbox.keep([(alert, address) for address in (marker.address, *marker.others)])
        lost = [each for each in entries if not isinstance(each, Entry)]
        kept += [each for each in entries if isinstance(each, Entry)]
        if lost:
            logger.warning("%s: the run %s is dead, but its alert could not be kept: %s", marker.subject.table, marker.run_id, lost[0])
        else:
            claim.done()
    return kept
