"""One run of the harness, and what became of it: its outcome is to be the job's own. Rows are counted already; the rest is real."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from spark_pd.model import RuleResult
from spark_pd.model.errors import DeliveryError, RuleFailed
from spark_pd.runs.run import Run
from tests.faults.contract import VERDICTS
from tests.faults.scenario import Job


def perform(job: Job, run: Run, block: Callable[[Run, str], None], tell: Callable[..., None]) -> None:
    """Do one run, whose block does that, and tell what became of it: its outcome is to be the job's own."""
    thrown = _exception(job.verdict)
    seen: BaseException | None = None
    finished = time.monotonic()
    tell(begun=job.number)
    try:
        with run:
            tell(entered=job.number)
            try:
                block(run, job.verdict)
            except RuleFailed as stopped:
                thrown = stopped
                raise
            finally:
                finished = time.monotonic()
            if thrown is not None:
                raise thrown
    except BaseException as caught:
        seen = caught
    took = time.monotonic() - finished
    print(repr(run), repr(run.alerts), repr(run.deliveries), "".join(traceback.format_exception(seen)) if seen else "")
    tell(
        ended=job.number,
        outcome=_outcome(job, run, seen, thrown),
        alerts=[[alert.trigger, alert.state] for alert in run.alerts],
        deliveries=[[each.alert.trigger, each.alert.state, each.status, each.reason, each.status_code] for each in run.deliveries],
        seconds=took,
    )


def _exception(verdict: str) -> BaseException | None:
    leaves = VERDICTS[verdict].leaves
    made: dict[str | None, BaseException] = {
        "ValueError": ValueError("the column is missing"),
        "SystemExit(3)": SystemExit(3),
        "SystemExit(0)": SystemExit(0),
        "KeyboardInterrupt": KeyboardInterrupt(),
    }
    return made.get(leaves)


def _outcome(job: Job, run: Run, seen: BaseException | None, thrown: BaseException | None) -> str:
    """`same`, or how the run's outcome is not the job's own."""
    if thrown is not None:
        if seen is not thrown:
            return f"{thrown!r} left the job, and {seen!r} the run"
        if thrown.__cause__ is not None or thrown.__context__ is not None:
            return f"{thrown!r} was given a cause or a context"
        return "same"
    if VERDICTS[job.verdict].leaves is not None:
        return f"{VERDICTS[job.verdict].leaves} was to leave the job, and {seen!r} did"
    if isinstance(seen, DeliveryError):
        bad = ("failed", "dead", "queued") if job.deadline else ("failed", "dead")
        told = job.strict and any(each.status in bad for each in run.deliveries)
        return "same" if told else f"{seen!r} was raised without strict, or without a reason"
    return "same" if seen is None else f"nothing left the job, and {seen!r} the run"


def work(run: Run, verdict: str) -> None:
    """What a job's block does, with rows that are counted already."""
    kind = VERDICTS[verdict]
    if not kind.checked:
        return
    frame: Any = _Checked(verdict)
    checked = run.check(frame)
    if kind.written:
        run.write(checked)


class _Checked:
    """Stands for both the DataFrame and what checks find of it: 100 rows, of which as many are bad as the verdict says."""

    counting = "operator"

    def __init__(self, verdict: str) -> None:
        self._verdict = verdict
        self.df = self
        self.failed = (_result("f", "fail", 1),) if verdict == "stopped" else ()

    def found(self, *, written: bool) -> Any:
        verdict = self._verdict
        if not written or verdict in ("unknown", "stopped"):
            return SimpleNamespace(
                input_count=None, error_count=None, dropped_count=None, output_count=None, rules=(), unknown="nobody counted them"
            )
        rows = 0 if verdict == "empty" else 100
        dropped = 30 if verdict in ("drops", "drops and ignores", "errored late") else 0
        ignored = 7 if verdict in ("ignores", "drops and ignores") else 0
        return SimpleNamespace(
            input_count=rows,
            error_count=max(dropped, ignored),
            dropped_count=dropped,
            output_count=rows - dropped,
            rules=(_result("d", "drop", dropped), _result("i", "ignore", ignored)),
            unknown=None,
        )

    def close(self) -> None:
        """Nothing is held."""

    def __getattr__(self, name: str) -> Any:
        # The writer's methods, each of which gives a writer: df.write.mode("append").options().saveAsTable("t")
        return self if name == "write" else lambda *args, **kwargs: self


def _result(name: str, action: Any, failed: int) -> RuleResult:
    return RuleResult(
        name=name,
        rule_type="row_dq",
        column_name=None,
        action_if_failed=action,
        status="failed" if failed else "passed",
        failed_count=failed,
        failed_percentage=float(failed),
    )
