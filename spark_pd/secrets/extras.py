"""Libraries that come with an extra of ours, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from spark_pd.model.errors import SecretError


def need(module: str, *, extra: str, why: str) -> Any:
    """The module, imported. Raises SecretError where it is not there: `why` it is needed, and the extra to install."""
    try:
        return import_module(module)
    except ImportError:
        missing = module.partition(".")[0]
        raise SecretError(f"{why}, and the package of {missing!r} cannot be imported; pip install 'spark-pd[{extra}]'") from None
