"""Ways to break the product in a process of the harness. The harness has to find each: else it proves nothing."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from spark_pd.delivery.dispatch import keeper
from spark_pd.delivery.outbox import Entry, Outbox
from spark_pd.delivery.outbox import cleanup as upkeep
from spark_pd.delivery.outbox import replay as replaying
from spark_pd.delivery.outbox import store as outbox_store
from spark_pd.model import Secret
from spark_pd.pagerduty import channel
from spark_pd.pagerduty.answer import Verdict, verdict
from spark_pd.runs.run import Run


def forget_before_202() -> None:
    """What could not be sent is forgotten."""

    def conclude(outbox: Outbox, entry: Entry, delivery: Any, *args: Any, **kwargs: Any) -> None:
        outbox.done(entry)

    keeper.conclude = replaying.conclude = conclude  # type: ignore[attr-defined]


def keep_what_is_old() -> None:
    """A newer verdict does not take the place of older ones, which follow it."""
    keeper.drop_older = replaying.drop_older = lambda outbox, entry, entries: []  # type: ignore[attr-defined]


def never_forget() -> None:
    """What was accepted stays in the outbox."""
    Outbox.done = lambda self, entry: None  # type: ignore[method-assign]


def never_retry() -> None:
    """A 500 counts as a refusal."""

    def hasty(outcome: Any, *, shrunk: bool = False) -> Any:
        said = verdict(outcome, shrunk=shrunk)
        return Verdict(action="refused", reason="no") if said.action in ("retry", "failed") else said

    channel.verdict = hasty  # type: ignore[attr-defined]


def log_the_key() -> None:
    """The key is in a log line."""
    reveal = Secret.reveal

    def telling(self: Secret) -> str:
        logging.getLogger("spark_pd").info("the key is %s", reveal(self))
        return reveal(self)

    Secret.reveal = telling  # type: ignore[method-assign]


def wrap_the_exception() -> None:
    """The job's exception is replaced by one of ours."""
    leave = Run.__exit__

    def wrapping(self: Run, kind: Any, error: Any, trace: Any) -> None:
        leave(self, kind, error, trace)
        if error is not None:
            raise RuntimeError("the run failed")

    Run.__exit__ = wrapping  # type: ignore[method-assign]


def trust_half_files() -> None:
    """What a killed process left is taken in too late, behind what is newer."""
    late = upkeep.take_in_leftovers
    outbox_store.take_in_leftovers = lambda queue, line=None: late(queue) if _is_aged(queue) else None  # type: ignore[attr-defined]


def _is_aged(queue: Path) -> bool:
    return any(upkeep.is_old(path) for path in queue.iterdir())
