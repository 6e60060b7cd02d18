"""Whether a query's exception is that of a session that was stopped under it, which nobody has to hear of."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from spark_pd.spark import java
from spark_pd.spark.session import is_connect

logger = logging.getLogger("spark_pd.streaming")


class ApplicationEnd:
    """Looks for the end of the session's application, as the session's streaming listeners see it. Over Connect there is nothing to see."""

    def __init__(self, spark: Any) -> None:
        self._java: Any = None
        self._context: Any = None
        if is_connect(spark):
            return
        self._context = spark.sparkContext
        try:
            loaded = java.load_class(spark, "spark_pd.runs.streaming", "application_end.java", "spark_pd.ApplicationEnd")
            self._java = java.construct(spark, loaded, self._context._jsc.sc())
        except Exception as error:
            logger.debug("the application's end is told by the context alone: %s", type(error).__name__)

    def came(self) -> bool:
        """Inside a listener's callback: whether it came before what the callback is about. Else whether it came."""
        if self._java is not None:
            return bool(self._java.came())
        return False if self._context is None else is_stopped(self._context)

    def remove(self) -> None:
        """Look no more."""
        if self._java is not None:
            with suppress(Exception):  # the context may be gone
                self._java.remove()


def is_stopped(context: Any) -> bool:
    """Whether the context was stopped, or is about to be."""
    java_context = getattr(context, "_jsc", None)
    return java_context is None or bool(java_context.sc().isStopped())
