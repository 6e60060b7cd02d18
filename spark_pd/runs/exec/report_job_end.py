"""After the child's end: finds its dead runs, and reports them and the application within the deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from spark_pd.delivery.dispatch import Dispatcher, Limits
from spark_pd.delivery.outbox import Outbox, Route, replay
from spark_pd.delivery.outbox.replay import wait_for_turn
from spark_pd.model import Alert, Channel, Subject
from spark_pd.runs.crash import Markers
from spark_pd.runs.crash.journal import JournalContents, read
from spark_pd.runs.crash.markers_folder import Claim
from spark_pd.runs.crash.report_dead_runs import report_claims
from spark_pd.runs.exec.child_process import Ending

GRACE = 5.0  # seconds for processes that the child leaves behind, such as a driver whose spark-submit was killed, to report by themselves
_POLL = 0.05  # seconds


def find_dead_runs(journal: Path, *, grace: float = GRACE) -> tuple[JournalContents, list[Path], list[Path]]:
    """What the child's runs wrote down, the markers of the dead runs, and those of runs in processes that are still alive."""
    until = time.monotonic() + grace
    while True:
        contents = read(journal)
        states = {path: Markers(path.parent).state(path) for path in contents.markers}
        alive = [path for path, state in states.items() if state == "alive"]
        # Where this process is the first of a container, what is not sent yet would end with it.
        if not (alive or contents.sending) or time.monotonic() >= until:
            return contents, [path for path, state in states.items() if state == "dead"], alive
        time.sleep(_POLL)


def left_open(dead: Sequence[Path], application: Subject, ending: Ending) -> list[Path]:
    """The dead runs to report. Where the job ended well, the application's own run is not one: os._exit(0) is an exit code of 0 too."""
    own = [path for path in dead if ending.good and Markers(path.parent).subject(path) == application]
    for claim in claimed(own):
        claim.done()
    return [path for path in dead if path not in own]


def claimed(paths: Sequence[Path]) -> list[Claim]:
    """Claims of the markers that no other process claimed meanwhile."""
    found = (Markers(path.parent).take(path) for path in paths)
    return [claim for claim in found if claim is not None]


def to_report(claims: Sequence[Claim], application: Subject) -> list[Claim]:
    """The dead runs to report. The application's own, which `spark-pd run` had open, is not reported where runs inside it are."""
    others = [claim for claim in claims if claim.marker.subject != application]
    for claim in claims if others else ():
        if claim.marker.subject == application:
            claim.done()
    return others or list(claims)


def report_runs(claims: Sequence[Claim], how: str, *, route_of: Callable[[Outbox], Route], seconds: float) -> Iterator[str]:
    """Report dead runs, each to the key that it had. Yields what became of each."""
    until = time.monotonic() + seconds
    entries = report_claims(claims, how)
    ids = {entry.id for entry in entries}
    for box in {claim.file.parent: claim.outbox for claim in claims}.values():
        if seconds <= 0:
            continue
        mine = replay(
            box, route_of(box), until=until, chosen=lambda entry: entry.id in ids, patience=min(seconds, 2.0), pause=wait_for_turn
        )
        for outcome in mine:
            yield f"{outcome.entry.alert.dedup_key}: {outcome.status}, {outcome.reason}"


def report_application(alert: Alert, channel: Channel, outbox: Outbox | None, *, limits: Limits, seconds: float) -> Iterator[str]:
    """Report the application itself. Yields what became of it, unless it was a resolve that was sent."""
    for delivery in Dispatcher([channel], outbox=outbox, limits=limits).submit([alert], seconds=seconds).wait():
        if delivery.status != "sent" or alert.state == "firing":
            yield f"{alert.dedup_key}: {delivery.status}, {delivery.reason}"
