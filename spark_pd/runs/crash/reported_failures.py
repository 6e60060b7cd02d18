"""Which failures the runs of this process reported, so that the application's end does not report them again."""

from __future__ import annotations


class ReportedFailures:
    """The failures of runs that opened an incident. Nothing is kept before `keep` is called."""

    def __init__(self) -> None:
        self._keeps = self._any = False
        # Only the last one: an exception keeps all objects of its block alive.
        self._last: BaseException | None = None

    def keep(self) -> None:
        """Keep them from here on."""
        self._keeps = True

    def add(self, error: BaseException) -> None:
        """A run reported that this exception left its block."""
        if self._keeps:
            self._any, self._last = True, error

    def include(self, error: BaseException) -> bool:
        """Whether a run reported what ends the process: that exception, one raised from it or while it was handled, or an exit code
        after any."""
        if isinstance(error, SystemExit):
            return self._any
        waiting: list[BaseException | None] = [error]
        seen: set[int] = set()
        while waiting:
            one = waiting.pop()
            if one is None or id(one) in seen:
                continue
            if one is self._last:
                return True
            seen.add(id(one))
            waiting += [one.__cause__, one.__context__]
        return False


reported_failures = ReportedFailures()
