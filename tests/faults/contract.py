"""The contract's "when an incident opens" and "when it closes", told once more: from what a job did to the alerts that it must give.

It is written from the contract's text and imports nothing of the product, so that both can be wrong only independently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

State: TypeAlias = Literal["firing", "resolved"]

FAILURE, DROPS, IGNORED, START, COMPLETION = "failure", "error_drop_threshold", "ignored_rules", "start", "completion"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run of that kind says of each trigger at its end. A trigger that is not named keeps its incident as it is."""

    says: Mapping[str, State]
    leaves: str | None = None
    """The exception that leaves the block."""
    written: bool = True
    checked: bool = True
    completed: bool = True


_GOOD: dict[str, State] = {FAILURE: "resolved", DROPS: "resolved", IGNORED: "resolved"}

VERDICTS: Mapping[str, Verdict] = MappingProxyType(
    {
        "good": Verdict(_GOOD),
        "drops": Verdict({**_GOOD, DROPS: "firing"}),
        "ignores": Verdict({**_GOOD, IGNORED: "firing"}),
        "drops and ignores": Verdict({**_GOOD, DROPS: "firing", IGNORED: "firing"}),
        "stopped": Verdict({FAILURE: "firing"}, leaves="RuleFailed", written=False, completed=False),
        "errored": Verdict({FAILURE: "firing"}, leaves="ValueError", written=False, completed=False),
        # A completed write made the counts known; but an errored run closes nothing.
        "errored late": Verdict({FAILURE: "firing", DROPS: "firing"}, leaves="ValueError", completed=False),
        "exited": Verdict({FAILURE: "firing"}, leaves="SystemExit(3)", written=False, completed=False),
        "left": Verdict({}, leaves="SystemExit(0)", written=False, completed=False),
        "cancelled": Verdict({}, leaves="KeyboardInterrupt", written=False, completed=False),
        "unknown": Verdict({}),
        "empty": Verdict({FAILURE: "resolved"}),
        "unchecked": Verdict({FAILURE: "resolved"}, checked=False, written=False),
    }
)
"""By what a job does. `errored late` drops too many rows before it errors; `stopped` breaks a rule with action fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """What the oracle holds a scenario against. The settings that change when something is told have their place here."""

    on: frozenset[str] = field(default_factory=lambda: frozenset({FAILURE, DROPS, IGNORED}))
    """The triggers that are switched on."""

    def at_start(self) -> tuple[tuple[str, State], ...]:
        """What a run tells when its block is entered."""
        says: tuple[tuple[str, State], ...] = ((START, "firing"), (COMPLETION, "resolved"))
        return tuple((trigger, state) for trigger, state in says if trigger in self.on)

    def at_end(self, verdict: str) -> tuple[tuple[str, State], ...]:
        """What a run tells with its verdict."""
        kind = VERDICTS[verdict]
        says: dict[str, State] = {START: "resolved", **kind.says}
        if kind.completed:
            says[COMPLETION] = "firing"
        return tuple((trigger, state) for trigger, state in says.items() if trigger in self.on)
