"""Which evaluation of a check belongs to the data that was written. Pure: facts in, counts or the reason why not out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from spark_pd.checks.counts import NEVER_WRITTEN, NOT_ALL_READ, STILL_RUNNING, UNSTABLE, Counts, Reading, Unknown
from spark_pd.spark.executions import Execution, Ledger


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One physical evaluation of a check, as the operator's records tell."""

    execution: tuple[int, int] | None
    """The SQL execution that it was planned in, and that one's root; None outside of any."""
    complete: bool
    """Every partition reached the end of its input in a task that succeeded."""
    varies: bool
    """A partition that was computed twice gave two results."""
    counts: Counts
    node: int = field(default=0, compare=False)
    """The operator, by its number in the driver."""


def parse(lines: Iterable[str]) -> tuple[Evaluation, ...]:
    """Evaluations from operator.java's lines: node|execution,root|complete|varies|rows,failed,dropped,rule...|error..."""

    def evaluation(line: str) -> Evaluation:
        """The evaluation that one line tells of."""
        node, execution, complete, varies, numbers, errors = line.split("|")
        id_, _, root = execution.partition(",")
        counts = Counts.of([int(n) for n in numbers.split(",")], [int(n) for n in errors.split(",")] if errors else None)
        return Evaluation((int(id_), int(root)) if execution else None, complete == "true", varies == "true", counts, int(node))

    return tuple(evaluation(line) for line in lines)


def within(execution: tuple[int, int] | None, write: Execution, ends: dict[int, int]) -> bool:
    """Whether an execution (its id, its root's id) is the write or was nested in it; Delta nests its own under the same root."""
    if execution is None:
        return False
    id_, root = execution
    if id_ == write.id:
        return True
    return root == write.root and id_ > write.id and id_ in ends and ends[id_] < write.end


def writes_of(ledger: Ledger) -> tuple[Execution, ...]:
    """The writes of checked data that succeeded."""
    return tuple(e for e in ledger.executions if e.write and e.succeeded)


def written(ledger: Ledger, evaluations: Sequence[Evaluation]) -> Reading:
    """The counts of the data that was written."""
    found = evaluation_of(ledger, evaluations)
    return found if isinstance(found, Unknown) else found.counts


def evaluation_of(ledger: Ledger, evaluations: Sequence[Evaluation]) -> Evaluation | Unknown:
    """An evaluation that gave the data that was written.

    A write's own complete evaluations count; a write that reads the check behind a cache or a checkpoint counts by whichever evaluation
    filled it. All that count must agree.
    """
    writes = writes_of(ledger)
    if not writes or not ledger.complete:
        return Unknown(NEVER_WRITTEN if ledger.complete else STILL_RUNNING)
    chosen: list[Evaluation] = []
    for write in writes:
        own = [e for e in evaluations if e.complete and within(e.execution, write, ledger.ends)]
        chosen += own or ([e for e in evaluations if e.complete] if write.carried else [])
    if not chosen:
        return Unknown(NOT_ALL_READ)
    if any(e.varies for e in chosen) or len({e.counts for e in chosen}) > 1:
        return Unknown(UNSTABLE, written=True)
    return chosen[0]
