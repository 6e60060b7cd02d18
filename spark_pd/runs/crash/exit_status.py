"""How a run's block ended, by what left it."""

from __future__ import annotations

import asyncio

from spark_pd.model import RunStatus


def status_of(error: BaseException | None) -> RunStatus:
    """`passed`, `errored` or `cancelled`: somebody's own will to stop is no failure."""
    if error is None:
        return "passed"
    if isinstance(error, SystemExit):
        return "cancelled" if error.code in (None, 0) else "errored"
    if isinstance(error, (KeyboardInterrupt, asyncio.CancelledError, GeneratorExit)):
        return "cancelled"
    # dbutils.notebook.exit leaves by an exception of the runtime's own, which no package exports
    if any(base.__name__ == "NotebookExit" for base in type(error).__mro__):
        return "cancelled"
    return "errored"
