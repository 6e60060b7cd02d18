"""What became of a check under Spark Connect, where no JVM can be reached: the commands that this client sends.

A check is known in a command's plan by a literal, its own random number. A command is only looked at while a check is open.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

WRITES = ("write_operation", "write_operation_v2", "merge_into_table_command")


class ConnectWrites:
    """The successful writes of open checks, as one client sent them: while a check is open it stands before execute_command."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._written: dict[int, bool] = {}
        self._original: Callable[..., Any] | None = None
        self._stand_in: Callable[..., Any] | None = None

    def watch(self, check: int) -> None:
        """Look for writes of the check from now on."""
        with self._lock:
            self._written[check] = False
            if self._stand_in is None:
                self._original = self._client.execute_command
                self._stand_in = self._client.execute_command = self._execute

    def unwatch(self, check: int) -> None:
        """Forget the check. With the last one the client is as it was, unless someone else stands in front of us by then."""
        with self._lock:
            self._written.pop(check, None)
            if not self._written and self._stand_in is not None and self._client.__dict__.get("execute_command") == self._stand_in:
                del self._client.execute_command
                self._stand_in = None

    def written(self, check: int) -> bool:
        """Whether a write of the check succeeded."""
        with self._lock:
            return self._written.get(check, False)

    def _execute(self, command: Any, *args: Any, **kwargs: Any) -> Any:
        original = self._original
        assert original is not None
        result = original(command, *args, **kwargs)
        if command.WhichOneof("command_type") in WRITES:
            literals = set(fields(command, "long"))
            with self._lock:
                for check in self._written:
                    self._written[check] = self._written[check] or check in literals
        return result


def fields(message: Any, name: str) -> Iterator[Any]:
    """The values of every scalar field of that name in one of Connect's protocol messages, at any depth."""
    for field, value in message.ListFields():
        if field.message_type is None:
            if field.name == name:
                yield value
        elif hasattr(value, "ListFields"):
            yield from fields(value, name)
        else:  # a list of messages, or a map with messages or scalars for values
            items = value.values() if hasattr(value, "values") else value
            yield from (found for item in items if hasattr(item, "ListFields") for found in fields(item, name))
