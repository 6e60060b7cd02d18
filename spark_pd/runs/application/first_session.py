"""Calls a function when a script has its first Spark session, in the thread that made it.

It hooks the import of PySpark. PySpark cannot be imported before the script does it (findspark and similar tools first choose which one),
a thread that polls may be too late, and Spark attributes work to the thread that starts it. The hook wraps `SparkSession.__init__`, of
classic Spark and of Connect.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MODULES = ("pyspark.sql.session", "pyspark.sql.connect.session")


class FirstSession(MetaPathFinder):
    """Calls `appeared` once, with the first session, when that is complete. `appeared` must not raise."""

    def __init__(self, appeared: Callable[[Any], None]) -> None:
        self._appeared: Callable[[Any], None] | None = appeared

    def install(self) -> None:
        """Start to look for sessions."""
        for name in MODULES:
            if name in sys.modules:
                self._wrap(sys.modules[name])
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Stop."""
        self._appeared = None
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """What the other finders find; of PySpark's two modules, wrapped once they are loaded."""
        if fullname not in MODULES or self._appeared is None:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                self._after_loading(spec)
                return spec
        return None

    def _after_loading(self, spec: ModuleSpec) -> None:
        loader: Any = spec.loader
        load = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            """Load it as usual, then wrap it."""
            load(module)
            if module.__name__ == spec.name:
                self._wrap(module)

        loader.exec_module = exec_module

    def _wrap(self, module: ModuleType) -> None:
        session: Any = getattr(module, "SparkSession", None)
        if session is None:
            return
        init = session.__init__

        @functools.wraps(init)
        def made(this: Any, *arguments: Any, **named: Any) -> None:
            """Make the session as usual; then call `appeared`, if it is the first."""
            init(this, *arguments, **named)
            appeared, self._appeared = self._appeared, None
            if appeared is not None:
                appeared(this)

        session.__init__ = made
