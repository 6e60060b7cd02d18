"""The composition root: the parts of spark_pd put together for one session, and what users ask of it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from spark_pd.alerting.attempts import attempt_of
from spark_pd.checks.error_table.location import Place
from spark_pd.delivery.notifier import Notifier
from spark_pd.model import Subject, normalized_table
from spark_pd.model.errors import UsageError
from spark_pd.runs.application_run import ApplicationRun
from spark_pd.runs.channel_wiring import channel_of
from spark_pd.runs.checker import Checker, kept_apart
from spark_pd.runs.installed import installed
from spark_pd.runs.notifier_wiring import notifier_of, outbox_of
from spark_pd.runs.run import Run
from spark_pd.runs.run_plan import RunPlan
from spark_pd.runs.streaming import ForeachBatch, Watch
from spark_pd.runs.streaming.foreach_batch import NOT_OVER_CONNECT, Target
from spark_pd.runs.streaming.verdict_changes import Changes, Quiet
from spark_pd.runs.wiring import guard_of, policy_of, records_of, streams_of
from spark_pd.settings import Settings, load_settings, setting_names
from spark_pd.spark.run_lifecycle import listening_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

P = ParamSpec("P")
R = TypeVar("R", bound=Run)


def install(
    spark: SparkSession | None = None,
    config: Mapping[str, Any] | None = None,
    *,
    config_file: str | Path | None = None,
    lifecycle: bool | Literal["auto"] = "auto",
) -> Monitor:
    """Put spark_pd into a session, the active one unless `spark` is given, and return its Monitor. No network.

    `config` has `user_config` constants or "spark.pd.*" names for keys; it is stronger than the Spark configuration, the environment and
    the YAML file. `lifecycle` is the Spark listener: `auto` does without it where it cannot be had, True raises UsageError then, False
    wants none. Called again for one session, the new monitor takes the place of the old. Raises SettingsError with every mistake,
    UsageError where there is no session.
    """
    from spark_pd.spark import session

    if lifecycle not in (True, False, "auto"):
        raise UsageError(f"lifecycle is True, False or 'auto', not {lifecycle!r}")
    active: Any = session.active_session() if spark is None else spark
    settings = load_settings(config, spark_conf=session.settings_of(active, setting_names()), config_file=config_file)
    monitor = Monitor(active, settings, lifecycle)
    installed.put(active, monitor)
    return monitor


class Monitor:
    """spark_pd in one session. Make runs with `run` or `with_expectations`; each has a plan of its own and shares no state with another."""

    def __init__(self, spark: Any, settings: Settings, lifecycle: bool | Literal["auto"] = "auto") -> None:
        from spark_pd.checks.counting import method_of
        from spark_pd.spark import session
        from spark_pd.spark.platform import platform_of

        self._spark = spark
        self._settings = settings
        self._policy = policy_of(settings)
        self._application = session.application_name(spark)
        self._application_id = session.application_id(spark)
        self._platform = platform_of(spark)
        self._attempt = attempt_of(number=settings.attempt, most=settings.max_attempts, environ=os.environ, yarn=self._platform.attempt)
        channel, outbox = channel_of(settings, spark=spark, retry_throttled=not settings.rate), outbox_of(settings)
        self._notifier = notifier_of(settings, channel, outbox)
        self._records = records_of(spark, settings, channel, outbox)
        self._streams = streams_of(
            spark,
            settings,
            channel,
            outbox,
            policy=self._policy,
            notifier=self._notifier,
            application=self._application,
            application_id=self._application_id,
            links=self._platform.links,
        )
        self._guard = guard_of(
            settings, channel, outbox, application=self._application, application_id=self._application_id, attempt=self._attempt
        )
        self._uninstalled = False
        self.counting = method_of(spark, settings.counting).counting
        """How this session counts: operator, observation or two_pass."""
        self._listening = listening_of(spark, lifecycle)

    @property
    def settings(self) -> Settings:
        """The settings in force. They never show a key."""
        return self._settings

    def __reduce__(self) -> str:
        raise UsageError("a Monitor stays in the driver: it cannot be pickled, so do not use one inside a user-defined function")

    def __repr__(self) -> str:
        return f"Monitor({self._application!r}, counting={self.counting!r}, enabled={self._settings.enabled})"

    def run(
        self,
        table: str,
        *,
        rules: Any = None,
        product_id: str | None = None,
        scope: str | None = None,
        job: str | None = None,
        previous_name: str | None = None,
    ) -> Run:
        """One guarded execution for `table`: a context manager. Nothing happens before its block is entered.

        `rules`: a list, a DataFrame, a file or a table's name. `scope` (a backfill's date, a region) and `job` give the run incidents of
        its own; `previous_name` closes those of a renamed table. Raises UsageError for a table that is no name, for one that is its own
        error table or the stats table, or after uninstall.
        """
        return self._run(table, self._notifier, rules, product_id, scope, job, previous_name)

    def _run(
        self,
        table: str,
        notifier: Notifier | Quiet,
        rules: Any,
        product_id: str | None,
        scope: str | None,
        job: str | None,
        previous_name: str | None = None,
    ) -> Run:
        from spark_pd.spark import session

        self._must_be_installed()
        if not isinstance(table, str) or not table.replace("`", "").strip():
            raise UsageError(f"monitor.run takes the name of the table that is written, not {table!r}")
        catalog = session.current_catalog(self._spark)
        product = product_id if product_id is not None else self._settings.product_id

        def subject(name: str) -> Subject:
            return Subject(
                environment=self._settings.environment, product_id=product, table=normalized_table(name, catalog), scope=scope, job=job
            )

        this, former = subject(table), None if previous_name is None else subject(previous_name)
        return self._run_of(Run, kept_apart(self._spark, self._settings, table), notifier, table, this, former, rules, product)

    def application(self, name: str) -> ApplicationRun:
        """The run that is the application itself, of that name; a context manager around all that it does."""
        product = self._settings.product_id
        subject = Subject(environment=self._settings.environment, product_id=product, table=name)
        return self._run_of(ApplicationRun, self._settings, self._notifier, name, subject, None, None, product)

    def _run_of(
        self,
        kind: type[R],
        settings: Settings,
        notifier: Notifier | Quiet,
        table: str,
        this: Subject,
        former: Subject | None,
        rules: Any,
        product: str | None,
    ) -> R:
        plan = RunPlan(
            table=table,
            subject=this,
            previous=None if former == this else former,
            rules=rules,
            policy=self._policy,
            exceptions=settings.exceptions,
            deadline=settings.deadline,
            strict=settings.strict,
            application=self._application,
            application_id=self._application_id,
            job_metadata=settings.job_metadata,
            links=self._platform.links,
            attempt=self._attempt,
            platform=self._platform.facts,
        )
        checker = Checker(self._spark, settings, product, table, self._streams)
        records = self._records if settings.stats_table is not None else None
        return kind(plan, checker=checker, notifier=notifier, guard=self._guard, records=records, listening=self._listening)

    def _must_be_installed(self) -> None:
        if self._uninstalled:
            raise UsageError("this monitor was uninstalled; call spark_pd.install(spark) for a new one")

    def watch(self, query: StreamingQuery) -> Watch:
        """Watch a streaming query: judge the batches of what `run.check` gave, and tell of the exception that ends it.

        It may be called at any time after the query's start, and again after each restart. Raises UsageError for what is no query.
        """
        self._must_be_installed()
        return self._streams.watch(query)

    def foreach_batch(
        self,
        table: str,
        *,
        rules: Any = None,
        product_id: str | None = None,
        mode: str = "append",
        format: str | None = None,
        partition_by: str | Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        write: Callable[[DataFrame, int], object] | None = None,
        scope: str | None = None,
        job: str | None = None,
    ) -> ForeachBatch:
        """A function for `writeStream.foreachBatch` in which each micro-batch is a run: a `fail` rule stops the stream, unwritten.

        What stays of a batch is appended to `table`, or given to `write(df, batch_id)`. After a failure Spark gives the same batch again,
        with the same id: a `write` that is to write it once has to go by that. Raises UsageError over Spark Connect.
        """
        from spark_pd.spark import session

        self._must_be_installed()
        if session.is_connect(self._spark):
            raise UsageError(NOT_OVER_CONNECT)
        quiet, target = Quiet(self._notifier, Changes()), Target(mode=mode, format=format, partition_by=partition_by, options=options)

        def make() -> Run:
            """The run of one batch."""
            run = self._run(table, quiet, rules, product_id, scope, job)
            run.target = Place(table, format) if write is None else None  # a rule may stop the run before it writes
            return run

        return ForeachBatch(table, make, target, write)

    def with_expectations(
        self,
        table: str,
        *,
        rules: Any = None,
        product_id: str | None = None,
        mode: str = "append",
        format: str | None = None,
        partition_by: str | Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        scope: str | None = None,
        job: str | None = None,
        previous_name: str | None = None,
    ) -> Callable[[Callable[P, DataFrame]], Callable[P, Run]]:
        """Decorate a function that returns a DataFrame: calling it checks the rows, writes them to `table`, and returns the Run."""

        def decorate(function: Callable[P, DataFrame]) -> Callable[P, Run]:
            """The function, guarded."""

            @functools.wraps(function)
            def guarded(*args: P.args, **kwargs: P.kwargs) -> Run:
                run = self.run(table, rules=rules, product_id=product_id, scope=scope, job=job, previous_name=previous_name)
                run.target = Place(table, format)  # a rule may stop the run before it writes
                with run:
                    run.write(run.check(function(*args, **kwargs)), mode=mode, format=format, partition_by=partition_by, options=options)
                return run

            return guarded

        return decorate

    def uninstall(self) -> None:
        """Take spark_pd out of the session. An open run ends as it would have; new ones are refused. No query is watched."""
        self._uninstalled = True
        self._streams.close()
        installed.take(self)
