"""After the child's end: which of its runs are dead, and telling it, within the deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from spark_pd.delivery.dispatch import Dispatcher, Limits
from spark_pd.delivery.outbox import Outbox, Route, replay
from spark_pd.delivery.outbox.replay import wait_for_turn
from spark_pd.model import Alert, Channel, Subject
from spark_pd.runs.crash import Markers
from spark_pd.runs.crash.dead_runs import tell
from spark_pd.runs.crash.journal import Told, read
from spark_pd.runs.crash.markers_folder import Claim
from spark_pd.runs.exec.child_process import Ending

GRACE = 5.0  # seconds for processes that the child leaves behind, such as a driver whose spark-submit was killed, to tell by themselves
_POLL = 0.05  # seconds


def last_words(journal: Path, *, grace: float = GRACE) -> tuple[Told, list[Path], list[Path]]:
    """What the runs of the dead child told, the markers of the dead ones, and those of runs that live on elsewhere."""
    until = time.monotonic() + grace
    while True:
        told = read(journal)
        states = {path: Markers(path.parent).state(path) for path in told.markers}
        alive = [path for path, state in states.items() if state == "alive"]
        # Where this process is the first of a container, what is not sent yet would end with it.
        if not (alive or told.sending) or time.monotonic() >= until:
            return told, [path for path, state in states.items() if state == "dead"], alive
        time.sleep(_POLL)


def left_open(dead: Sequence[Path], application: Subject, ending: Ending) -> list[Path]:
    """The dead runs that did not end. The application's own did, where the job ended well: os._exit(0) is an exit code of 0 too."""
    own = [path for path in dead if ending.good and Markers(path.parent).subject(path) == application]
    for claim in claimed(own):
        claim.done()
    return [path for path in dead if path not in own]


def claimed(paths: Sequence[Path]) -> list[Claim]:
    """The markers that nobody else took meanwhile."""
    found = (Markers(path.parent).take(path) for path in paths)
    return [claim for claim in found if claim is not None]


def to_report(claims: Sequence[Claim], application: Subject) -> list[Claim]:
    """The dead runs to tell of. The application's own, which `spark-pd run` had open, is forgotten where runs in it tell the same."""
    others = [claim for claim in claims if claim.marker.subject != application]
    for claim in claims if others else ():
        if claim.marker.subject == application:
            claim.done()
    return others or list(claims)


def report_runs(claims: Sequence[Claim], how: str, *, route_of: Callable[[Outbox], Route], seconds: float) -> Iterator[str]:
    """Tell of dead runs, each to the key that it had, and say what became of it."""
    until = time.monotonic() + seconds
    entries = tell(claims, how)
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
    """Tell of the application itself, and say what became of it unless it was sent."""
    for delivery in Dispatcher([channel], outbox=outbox, limits=limits).submit([alert], seconds=seconds).wait():
        if delivery.status != "sent" or alert.state == "firing":
            yield f"{alert.dedup_key}: {delivery.status}, {delivery.reason}"
