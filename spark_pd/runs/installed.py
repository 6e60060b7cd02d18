"""Which monitors are installed in this process. With the last one goes what all of them share in the JVM."""

from __future__ import annotations

import threading
import weakref
from typing import Any

from spark_pd.spark.run_lifecycle import release_listeners


class Installed:
    """The monitors of this process, one for each session. Another process or notebook has its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._monitors: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    def put(self, spark: Any, monitor: Any) -> None:
        """Make it the session's monitor, in the place of another."""
        with self._lock:
            self._monitors[spark] = monitor

    def take(self, monitor: Any) -> None:
        """Forget the monitor, and with the last one what all share."""
        with self._lock:
            for spark in [s for s, m in self._monitors.items() if m is monitor]:
                del self._monitors[spark]
            if self._monitors:
                return
        from spark_pd.checks.counting import forget_methods
        from spark_pd.spark.executions import release

        forget_methods()
        release()
        release_listeners()


installed = Installed()
