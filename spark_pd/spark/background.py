"""Calls to Spark that nobody has to wait for longer than he wants: each in a daemon thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Call(Generic[Result]):
    """A call under way."""

    def __init__(self, call: Callable[[], Result], *, name: str) -> None:
        self._future: Future[Result] = Future()

        def run() -> None:
            """The thread."""
            try:
                self._future.set_result(call())
            except BaseException as error:
                self._future.set_exception(error)

        # A daemon: a call that hangs must not keep the interpreter from ending.
        threading.Thread(target=run, name=f"spark_pd-{name}", daemon=True).start()

    def result(self, seconds: float) -> Result:
        """What it gave, or raised. Raises TimeoutError where it takes longer than so many seconds from now; it goes on then."""
        try:
            return self._future.result(max(0.0, seconds))
        except TimeoutError:
            raise
        except Exception as error:
            # Before Python 3.11 the futures' is a class of its own.
            if type(error).__name__ == "TimeoutError" and not self._future.done():
                raise TimeoutError from None
            raise
