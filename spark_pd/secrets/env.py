"""`env:NAME`: an environment variable of the process that sends, on a cluster the driver's."""

from __future__ import annotations

import os

from spark_pd.model import SecretContext
from spark_pd.model.errors import SecretError


def provide(path: str, *, context: SecretContext) -> str:
    """The value of the environment variable `path`. Raises SecretError where it is not set."""
    value = os.environ.get(path)
    if value is None:
        raise SecretError(f"the environment variable {path!r} is not set in the driver's process; set it there before the job starts")
    return value
