"""The listeners of ours on a SparkContext: of each kind at most one, put there by this process and removed by it alone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

_log = logging.getLogger("spark_pd.spark")

DRAIN_MILLIS = 2_000
"""How long a run's end waits for a listener to have seen all events; a queue holds some milliseconds' worth."""

Kind = TypeVar("Kind")


class Attached(Generic[Kind]):
    """The listener of one kind, made at first need. A new context gets a new one. `remove` takes it off its context."""

    def __init__(self, remove: Callable[[Kind], None]) -> None:
        self._lock = threading.Lock()
        self._of: tuple[Any, Kind] | None = None
        self._remove = remove

    def get(self, context: Any, make: Callable[[], Kind]) -> Kind:
        """The context's, which `make` gives where there is none yet. Raises what `make` does."""
        with self._lock:
            if self._of is None or self._of[0] is not context:
                self._of = context, make()
            return self._of[1]

    def release(self) -> None:
        """Remove the listener, where there is one."""
        with self._lock:
            former, self._of = self._of, None
        if former is not None:
            try:
                self._remove(former[1])
            except Exception as error:
                _log.debug("the listener's context is gone already: %s", type(error).__name__)
