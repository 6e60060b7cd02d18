"""The rules, the check and the error table of one run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from spark_pd.checks.error_table.location import Place, beside, clashes, same
from spark_pd.checks.error_table.result import ErrorTable
from spark_pd.model import Rule
from spark_pd.model.errors import UsageError
from spark_pd.rules.loading import load_rules
from spark_pd.runs.run_plan import RunPlan
from spark_pd.runs.streaming import Streams
from spark_pd.secrets.redaction import describe
from spark_pd.settings import Settings, user_config
from spark_pd.spark.session import current_namespace
from spark_pd.spark.tables import STATE_SUFFIX
from spark_pd.spark.tables import beside as companion

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from spark_pd.checks.checked import Checked
    from spark_pd.runs.streaming.stream_check import StreamCheck


_log = logging.getLogger("spark_pd.checks")


def settings_of_run(spark: Any, settings: Settings, table: str) -> Settings:
    """The settings for a run of this table, after a check that no two of the tables it writes have the same name.

    Raises UsageError with all names that clash. Where `on_config_error` is `disable` it warns instead, and the run has no error table and
    no stats table.
    """
    tables = {"the run's table": table}
    if settings.stats_table is not None:
        tables[f"the stats table ({user_config.spark_pd_stats_table})"] = settings.stats_table
        if settings.enabled:
            tables["the state's table"] = companion(settings.stats_table, STATE_SUFFIX)
    if settings.error_table_enabled:
        tables[f"the error table ({user_config.spark_pd_error_table})"] = beside(settings.error_table, Place(table)).name
    found = clashes(tables, lambda: current_namespace(spark))
    if not found:
        return settings
    mistake = f"tables of {table} would be written into one another: {'; '.join(found)}; give each a name of its own"
    if settings.on_config_error == "raise":
        raise UsageError(mistake)
    _log.warning("%s: the run has no error table and no stats table: %s", table, mistake)
    return replace(settings, error_table_enabled=False, stats_table=None)


class RunChecks:
    """Loads a run's rules, checks its DataFrame, and writes its error table."""

    def __init__(self, spark: Any, settings: Settings, plan: RunPlan, streams: Streams) -> None:
        self._spark = spark
        self._settings = settings
        self._plan = plan
        self._streams = streams

    def load(self, source: Any) -> tuple[Rule, ...]:
        """The rules for the run's table."""
        plan, params = self._plan, self._settings.rules_params
        return load_rules(source, spark=self._spark, product_id=plan.subject.product_id, table=plan.table, params=params)

    def check(self, df: DataFrame, rules: Sequence[Rule]) -> Checked:
        """The checked DataFrame, counted by the method that works in its session."""
        from spark_pd.checks.checked import Checked, Samples
        from spark_pd.checks.counting import method_of

        method = method_of(getattr(df, "sparkSession", self._spark), self._settings.counting)
        samples = Samples(self._settings.samples, self._settings.samples_columns)
        return Checked(df, rules, method, keep_failing=self._settings.error_table_enabled or samples.most > 0, samples=samples)

    def check_stream(self, df: DataFrame, rules: Sequence[Rule]) -> StreamCheck:
        """The checked streaming DataFrame, counted in each micro-batch."""
        return self._streams.check(df, rules, self._plan)

    def error_table(self, checked: Checked, written: Place | None, run_id: str, at: datetime) -> ErrorTable | None:
        """Write the failing rows beside what `run.write` wrote, else beside the run's table; None where that is switched off."""
        if not self._settings.error_table_enabled:
            return None
        from spark_pd.checks.error_table.writing import write_error_table

        target = written or Place(self._plan.table)
        place = beside(self._settings.error_table, target)
        if same(place.name, target.name, lambda: current_namespace(self._spark)):
            why_not = f"it would be the table that was written, {target.name}; change {user_config.spark_pd_error_table}"
            _log.warning("error table %s: not written: %s", place.name, why_not)
            return ErrorTable(name=place.name, written=False, rows=None, exact=False, reason=why_not)

        def why(error: Exception) -> str:
            return describe(error, self._settings.exceptions)

        return write_error_table(checked.failing(), place, target, run_id=run_id, at=at, describe=why)
