"""Which failures the runs of this process told by themselves, for whoever tells of the application's end. Nothing is kept otherwise."""

from __future__ import annotations


class ReportedFailures:
    """The failures of runs that opened an incident, while somebody wants to know."""

    def __init__(self) -> None:
        self._wanted = self._any = False
        # One only: an exception holds on to all that its block had in hand.
        self._last: BaseException | None = None

    def listen(self) -> None:
        """Keep them from here on."""
        self._wanted = True

    def add(self, error: BaseException) -> None:
        """A run told that this left its block."""
        if self._wanted:
            self._any, self._last = True, error

    def include(self, error: BaseException) -> bool:
        """Whether the process ends by what a run told: that exception, one that was raised from it or while it was handled, or an exit
        code after any."""
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
