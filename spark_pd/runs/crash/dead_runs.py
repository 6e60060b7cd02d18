"""Telling of dead runs from outside: each becomes an alert in the outbox that it belongs to, for the key that its run had."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timezone

from spark_pd.delivery.outbox import Entry, Outbox
from spark_pd.runs.crash.guard import GONE
from spark_pd.runs.crash.marker import died
from spark_pd.runs.crash.markers_folder import Claim, Markers

logger = logging.getLogger("spark_pd.dying")


def report_dead_runs(outbox: Outbox) -> list[Entry]:
    """Put an alert into the outbox for each run whose marker is beside it and whose process is dead. It sends nothing."""
    return tell(Markers.beside(outbox).all_dead(), GONE)


def tell(claims: Iterable[Claim], how: str) -> list[Entry]:
    """Put an alert for each dead run into its outbox; `how` says how its death is known. What cannot be kept stays for the next one."""
    kept = []
    for claim in claims:
        marker = claim.marker
        (entry,) = claim.outbox.keep([(died(marker, how, at=datetime.now(timezone.utc)), marker.address)])
        if isinstance(entry, Entry):
            claim.done()
            kept.append(entry)
        else:
            logger.warning("%s: the run %s is dead, and that could not be kept: %s", marker.subject.table, marker.run_id, entry)
    return kept
