"""What a counter promises, and which one a session gets."""

from __future__ import annotations

import logging
import threading
import weakref
from typing import Any, Protocol

from pyspark.sql import DataFrame, SparkSession

from spark_pd.checks.counts import Reading
from spark_pd.checks.failing_rows import FailingRows
from spark_pd.checks.observation import ObservationMethod
from spark_pd.checks.operator import OperatorMethod
from spark_pd.checks.row_plan import RowPlan
from spark_pd.checks.two_pass import TwoPassMethod
from spark_pd.model import Counting
from spark_pd.model.errors import SettingsError
from spark_pd.spark.session import is_connect

_log = logging.getLogger("spark_pd.checks")


class Counter(Protocol):
    """The counting of one check, from run.check to the run's end."""

    checked: DataFrame
    """The input without the rows that a `drop` rule drops; lazy."""

    def read(self, *, written: bool) -> Reading:
        """The counts of what was written since. `written`: run.write has written what was checked, whatever else is known."""

    def failing(self) -> FailingRows | None:
        """The failing rows of what was written, once `read` knows its counts; None where the counting kept no side output."""

    def close(self) -> None:
        """Free what the counting holds. The checked DataFrame stays usable."""


class CountingMethod(Protocol):
    """A way of counting, ready for use in one session."""

    @property
    def counting(self) -> Counting:
        """Its name in RunStats."""

    def count(self, df: DataFrame, plan: RowPlan, *, keep_failing: bool = False) -> Counter:
        """Start to count what becomes of `df`. Reads no data, but for two_pass. `keep_failing`: keep failing rows, if it can."""


def counting_method(spark: SparkSession, setting: str) -> CountingMethod:
    """The way of counting for the session. `auto` takes the best that works here; a named one that does not work raises SettingsError."""
    candidates: dict[str, Any] = {"operator": OperatorMethod, "observation": ObservationMethod, "two_pass": TwoPassMethod}
    if setting != "auto":
        try:
            method: CountingMethod = candidates[setting](spark)
        except Exception as error:
            raise SettingsError(
                [f"spark.pd.counting: {setting!r} does not work in this session ({_why(error)}); expected one that does, or 'auto'"]
            ) from None
        return method
    for name in ("operator", "observation"):
        try:
            return candidates[name](spark)  # type: ignore[no-any-return]
        except Exception as error:
            level = logging.INFO if is_connect(spark) else logging.WARNING
            _log.log(level, "counting by %r does not work in this session (%s); spark_pd counts in another way", name, _why(error))
    return TwoPassMethod(spark)


class _Methods:
    """The ways of counting that were proven in this process, by context (classic) or session (Connect), so that each is proven once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._methods: weakref.WeakKeyDictionary[Any, dict[str, CountingMethod]] = weakref.WeakKeyDictionary()

    def get(self, spark: Any, setting: str) -> CountingMethod:
        """The way of counting for the session; see counting_method."""
        owner = spark if is_connect(spark) else spark.sparkContext
        with self._lock:
            known = self._methods.setdefault(owner, {})
            if setting not in known:
                known[setting] = counting_method(spark, setting)
            return known[setting]

    def forget(self) -> None:
        """Prove anew from now on."""
        with self._lock:
            self._methods.clear()


_methods = _Methods()
method_of = _methods.get
forget_methods = _methods.forget


def _why(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
