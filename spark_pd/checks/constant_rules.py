"""Rules that give the same for every row, such as `1 = 1`, or `id IS NOT NULL` of a column that cannot be null: somebody meant another.

Decided by what Spark's optimizer leaves of the expectation over columns of these types, without the frame's own plan: to optimize that may
read a table's log. Over Connect there is no optimizer to ask.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_pd.checks.analysis import quiet
from spark_pd.model import Rule, names
from spark_pd.spark.session import is_connect

_log = logging.getLogger("spark_pd.checks")
MOST = 1_000  # checks that are remembered, so that a job that runs often is warned once


def constants(df: DataFrame, rules: Sequence[Rule]) -> tuple[list[Rule], list[Rule]]:
    """The row rules that can never fail, and those that every row fails. `rules`: active row rules that Spark takes. Reads nothing."""
    if is_connect(df.sparkSession) or not rules:
        return [], []
    session: Any = df.sparkSession
    frame: Any = df
    rows = session.sparkContext._jsc.emptyRDD()
    nothing = DataFrame(session._jsparkSession.createDataFrame(rows, frame._jdf.schema()), session)
    never: list[Rule] = []
    always: list[Rule] = []
    _sort(nothing, rules, never, always)
    return never, always


def _sort(nothing: DataFrame, rules: Sequence[Rule], never: list[Rule], always: list[Rule]) -> None:
    """By halves where Spark cannot say: one rule may name a table, or divide by zero under ANSI."""
    try:
        with quiet():
            selected: Any = nothing.select(*[F.expr(f"({rule.expectation}\n)") for rule in rules])
            plan = selected._jdf.queryExecution().optimizedPlan()
        if plan.getClass().getSimpleName() != "Project":
            return
        left = plan.projectList()
        for place, rule in enumerate(rules):
            value = left.apply(place).children().apply(0)  # behind its alias
            if value.foldable() and value.getClass().getSimpleName() == "Literal":
                (never if value.value() is True else always).append(rule)
    except Exception:
        if len(rules) > 1:
            half = len(rules) // 2
            _sort(nothing, rules[:half], never, always)
            _sort(nothing, rules[half:], never, always)


def notes(df: DataFrame, rules: Sequence[Rule]) -> list[str]:
    """One sentence for each kind of rule that says the same of every row."""
    never, always = constants(df, [rule for rule in rules if rule.is_active and rule.rule_type == "row_dq"])
    found = []
    if never:
        found.append(f"no row can ever fail {_named(never)}; is another column or condition meant?")
    if always:
        found.append(f"every row fails {_named(always)}; is another column or condition meant?")
    return found


def _named(rules: Sequence[Rule]) -> str:
    shown = [f"{rule.name} ({rule.expectation.strip()})" for rule in rules[:5]]
    return f"{'rule' if len(rules) == 1 else 'rules'} {names([*shown, *([f'{len(rules) - 5} more'] if len(rules) > 5 else [])])}"


class _ChecksSeen:
    """Which checks were looked at in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[int, None] = {}

    def first(self, key: int) -> bool:
        """Whether it was not seen yet."""
        with self._lock:
            if key in self._seen:
                return False
            self._seen[key] = None
            while len(self._seen) > MOST:
                del self._seen[next(iter(self._seen))]
            return True


_checks_seen = _ChecksSeen()


def warn(df: DataFrame, rules: Sequence[Rule]) -> None:
    """Log what says the same of every row, once for these rules over these columns. Never raises."""
    try:
        if is_connect(df.sparkSession) or not _checks_seen.first(hash((df.schema.json(), *((r.name, r.expectation) for r in rules)))):
            return
        for note in notes(df, rules):
            _log.warning("%s", note)
    except Exception as error:
        _log.debug("the constant rules could not be found: %s", type(error).__name__)
