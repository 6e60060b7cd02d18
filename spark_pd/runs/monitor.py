"""Monitor: spark_pd in one session. It puts the parts together, and makes the runs and watches that users ask for."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from spark_pd.alerting.attempts import attempt_of
from spark_pd.alerting.policy.routes import Explanation
from spark_pd.checks.error_table.location import Place
from spark_pd.model import Delivery, RuleResult, Severity, normalized_table
from spark_pd.model.errors import UsageError
from spark_pd.runs.application_run import ApplicationRun
from spark_pd.runs.channels import explain
from spark_pd.runs.events import events_of
from spark_pd.runs.installed import installed
from spark_pd.runs.paging import page_owners
from spark_pd.runs.reported_run import ReportedRun, report_of
from spark_pd.runs.reporting import RunNotifier
from spark_pd.runs.run import Run
from spark_pd.runs.run_checks import RunChecks, settings_of_run
from spark_pd.runs.run_html import monitor_html
from spark_pd.runs.run_plan import RunPlan, RunRequest
from spark_pd.runs.session_context import SessionContext
from spark_pd.runs.streaming import ForeachBatch, Streams, Watch
from spark_pd.runs.streaming.foreach_batch import NOT_OVER_CONNECT
from spark_pd.runs.streaming.verdict_changes import ChangesNotifier
from spark_pd.runs.wiring import delivering_of, guard_of, records_of, triggers_of
from spark_pd.runs.write_target import WriteOptions
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
    on_event: Callable[[Any], object] | None = None,
) -> Monitor:
    """Install spark_pd in a session, the active one unless `spark` is given, and return its Monitor. No network.

    The keys of `config` are `user_config` constants or "spark.pd.*" names; it is stronger than the Spark configuration, the environment
    and the YAML file. `lifecycle` is the Spark listener: with `auto` the monitor does without it where it is not available, True raises
    UsageError there, False switches it off. `on_event` is called with each step of a run as
    a CloudEvent, in the run's thread. A second call for the same session replaces its monitor. Raises SettingsError with every
    mistake, UsageError where there is no session.
    """
    from spark_pd.spark import session

    if lifecycle not in (True, False, "auto"):
        raise UsageError(f"lifecycle is True, False or 'auto', not {lifecycle!r}")
    active: Any = session.active_session() if spark is None else spark
    settings = load_settings(config, spark_conf=session.settings_of(active, setting_names()), config_file=config_file)
    monitor = Monitor(active, settings, lifecycle, on_event)
    installed.put(active, monitor)
    return monitor


class Monitor:
    """spark_pd in one session. Make runs with `run`, `with_expectations` or `foreach_batch`; no run shares state with another."""

    def __init__(
        self,
        spark: Any,
        settings: Settings,
        lifecycle: bool | Literal["auto"] = "auto",
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        from spark_pd.checks.counting import method_of
        from spark_pd.spark import session
        from spark_pd.spark.platform import platform_of

        platform = platform_of(spark)
        self._spark = spark
        self._context = SessionContext(
            settings=settings,
            triggers=triggers_of(settings),
            application=session.application_name(spark),
            application_id=session.application_id(spark),
            links=platform.links,
            platform=platform.facts,
            events=events_of(settings, session.application_name(spark), on_event),
            attempt=attempt_of(number=settings.attempt, most=settings.max_attempts, environ=os.environ, yarn=platform.attempt),
        )
        delivering = delivering_of(settings, spark)
        channel, outbox, self._notifier = delivering.channel, delivering.outbox, delivering.notifier
        self._dispatcher = delivering.dispatcher
        self._records = records_of(spark, settings, delivering.place, outbox)
        folder = None if outbox is None else outbox.folder
        self._streams = Streams(spark, self._context, self._notifier, outbox=folder, place=delivering.place)
        self._guard = guard_of(self._context, channel, outbox)
        self._uninstalled = False
        self.counting = method_of(spark, settings.counting).counting
        """How this session counts: operator, observation or two_pass."""
        self._listening = listening_of(spark, lifecycle)

    @property
    def settings(self) -> Settings:
        """The settings in force. They never show a key."""
        return self._context.settings

    def __reduce__(self) -> str:
        raise UsageError("a Monitor stays in the driver: it cannot be pickled, so do not use one inside a user-defined function")

    def __repr__(self) -> str:
        return f"Monitor({self._context.application!r}, counting={self.counting!r}, enabled={self.settings.enabled})"

    def _repr_html_(self) -> str:
        return monitor_html(self._context.application, self.counting, self.settings)

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
        its own; `previous_name` closes those of a renamed table. Raises UsageError for a table without a name, for one that is its own
        error table or the stats table, or after uninstall.
        """
        return self._run(
            RunRequest(table=table, rules=rules, product_id=product_id, scope=scope, job=job, previous_name=previous_name), self._notifier
        )

    def _run(self, request: RunRequest, notifier: RunNotifier) -> Run:
        return self._run_of(Run, request, notifier)

    def _run_of(self, kind: type[R], request: RunRequest, notifier: RunNotifier) -> R:
        from spark_pd.spark import session

        self._must_be_installed()
        table = request.table
        if not isinstance(table, str) or not table.replace("`", "").strip():
            raise UsageError(f"monitor.run takes the name of the table that is written, not {table!r}")
        plan = RunPlan.of(request, self._context, session.current_catalog(self._spark))
        return self._make(kind, plan, settings_of_run(self._spark, self.settings, table), notifier)

    def application(self, name: str) -> ApplicationRun:
        """The run that is the application itself, of that name; a context manager around all that it does."""
        return self._make(ApplicationRun, RunPlan.of_application(self._context, name), self.settings, self._notifier)

    def _make(self, kind: type[R], plan: RunPlan, settings: Settings, notifier: RunNotifier) -> R:
        checker = RunChecks(self._spark, settings, plan, self._streams)
        records = self._records if settings.stats_table is not None else None
        return kind(plan, checker=checker, notifier=notifier, guard=self._guard, records=records, listening=self._listening)

    def _must_be_installed(self) -> None:
        if self._uninstalled:
            raise UsageError("this monitor was uninstalled; call spark_pd.install(spark) for a new one")

    def watch(self, query: StreamingQuery) -> Watch:
        """Watch a streaming query: judge the batches of what `run.check` returned, and report the exception that ends it.

        You may call it at any time after the query's start; call it again after each restart. Raises UsageError for what is no query.
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

        The rows that stay are appended to `table`, or passed to `write(df, batch_id)`. After a failure Spark repeats the batch with the
        same id: a `write` that must write it only once has to compare the ids. Raises UsageError over Spark Connect.
        """
        from spark_pd.spark import session

        self._must_be_installed()
        if session.is_connect(self._spark):
            raise UsageError(NOT_OVER_CONNECT)
        request = RunRequest(table=table, rules=rules, product_id=product_id, scope=scope, job=job)
        notifier, how = ChangesNotifier(self._notifier), WriteOptions(mode=mode, format=format, partition_by=partition_by, options=options)

        def make() -> Run:
            """The run of one batch."""
            run = self._run(request, notifier)
            run.target = Place(table, format) if write is None else None  # a rule may stop the run before it writes
            return run

        return ForeachBatch(table, make, how, write)

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
        request = RunRequest(table=table, rules=rules, product_id=product_id, scope=scope, job=job, previous_name=previous_name)
        how = WriteOptions(mode=mode, format=format, partition_by=partition_by, options=options)

        def decorate(function: Callable[P, DataFrame]) -> Callable[P, Run]:
            """The function, guarded."""

            @functools.wraps(function)
            def guarded(*args: P.args, **kwargs: P.kwargs) -> Run:
                run = self._run(request, self._notifier)
                run.target = Place(table, format)  # a rule may stop the run before it writes
                with run:
                    run.write_with(run.check(function(*args, **kwargs)), how)
                return run

            return guarded

        return decorate

    def report(
        self,
        table: str,
        *,
        input_count: int | None = None,
        error_count: int | None = None,
        dropped_count: int | None = None,
        output_count: int | None = None,
        rules: Iterable[RuleResult | Mapping[str, Any]] = (),
        failure: BaseException | str | None = None,
        product_id: str | None = None,
        scope: str | None = None,
        job: str | None = None,
    ) -> Run:
        """The run of another engine that ended with these counts (rows; None is unknown), results and failure.

        `rules` are RuleResults or mappings of its fields: name, and failed_count or status; action_if_failed is ignore, and rule_type
        row_dq, unless they say otherwise. Triggers, history, policy, routes and outbox are those of every run. Raises UsageError with
        everything that is wrong with the report, DeliveryError only with `spark.pd.strict`.
        """
        report = report_of(
            input_count=input_count, error_count=error_count, dropped_count=dropped_count, output_count=output_count, rules=rules
        )
        request = RunRequest(table=table, rules=None, product_id=product_id, scope=scope, job=job)
        run = self._run_of(ReportedRun, request, self._notifier)
        run.conclude_with(report, failure)
        return run

    def explain(self, table: str, trigger: str | None = None, severity: Severity | None = None, rule: str | None = None) -> Explanation:
        """Which routes an alert about `table` matches, which channels it goes to, and why. It sends nothing."""
        from spark_pd.spark import session

        return explain(
            self.settings, normalized_table(table, session.current_catalog(self._spark)), trigger=trigger, severity=severity, rule=rule
        )

    def page(self, *owners: str, message: str, from_: str | None = None, severity: Severity = "error") -> tuple[Delivery, ...]:
        """Page the channels of each owner. `from_`: who pages; the session's user unless it is given.

        An owner that is not in the settings is a failed delivery beside the others' success. The same message to the same owner again is
        the same incident. Raises UsageError where nobody is named or the message is empty.
        """
        self._must_be_installed()
        return page_owners(
            owners,
            message,
            from_=from_,
            severity=severity,
            settings=self.settings,
            dispatcher=self._dispatcher,
            application=self._context.application,
        )

    def uninstall(self) -> None:
        """Take spark_pd out of the session. An open run ends as usual; new runs are refused. No query is watched any more."""
        self._uninstalled = True
        self._streams.close()
        installed.take(self)
