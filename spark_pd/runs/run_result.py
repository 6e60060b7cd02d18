"""How a run ended: by what left its block, and by the counts of the rows that it wrote. Pure."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from spark_pd.alerting.wording import named
from spark_pd.model import Counting, RuleResult, RunStats, RunStatus
from spark_pd.model.errors import RuleFailed
from spark_pd.runs.run_plan import RunPlan

if TYPE_CHECKING:
    from spark_pd.checks.checked import Found


def status_of(error: BaseException | None) -> RunStatus:
    """The status by the exception that left the block. Where somebody stopped the run on purpose it is `cancelled`."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How a run ended."""

    status: RunStatus
    error: BaseException | None
    """What left its block, or would have."""
    failed: tuple[RuleResult, ...] = ()
    """The rules with action `fail` that stopped it, or should have."""
    unknown: str | None = None
    """Why its counts are unknown; None where they are known, or nothing was checked."""
    late: RuleFailed | None = None
    """The failure of a `fail` rule that only the write showed."""


def judged(table: str, status: RunStatus, error: BaseException | None, found: Found | None) -> Judged:
    """How a run of this table ended. `found`: the counts of its rows; None where nothing was checked."""
    stopped = error.rules if isinstance(error, RuleFailed) and status == "failed" else ()
    if found is None:
        return Judged(status=status, error=error, failed=stopped)
    if status == "passed" and found.unknown is not None:
        status = "unknown"
    broken = tuple(r for r in found.rules if r.action_if_failed == "fail" and r.status == "failed")
    if status == "passed" and broken:
        # the input changed between the look before the write and the write itself
        late = RuleFailed(f"{stopped_by(table, broken)}; the data had been written already: its input is not deterministic", broken)
        return Judged(status="failed", error=late, failed=broken, late=late)
    return Judged(status=status, error=error, failed=stopped, unknown=found.unknown)


def stats_of(
    found: Found, plan: RunPlan, *, run_id: str, times: tuple[datetime, datetime], status: RunStatus, counting: Counting
) -> RunStats:
    """The run stats of these counts; `times` are the run's start and end."""
    return RunStats(
        product_id=plan.subject.product_id,
        table_name=plan.table,
        run_id=run_id,
        started_at=times[0],
        ended_at=times[1],
        status=status,
        input_count=found.input_count,
        error_count=found.error_count,
        dropped_count=found.dropped_count,
        output_count=found.output_count,
        exact=found.unknown is None and found.input_count is not None,
        counting=counting,
        rules=found.rules,
    )


def stopped_by(table: str, failed: Sequence[RuleResult]) -> str:
    """The message of RuleFailed."""
    return f"{table}: {len(failed)} rule{'s' if len(failed) > 1 else ''} with action fail failed: {named(failed)}"
