"""The application's run around a script: from its first Spark session on, or only at its end where it had none."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from spark_pd.alerting.attempts import attempt_of
from spark_pd.alerting.facts import TriggerSettings
from spark_pd.model import Rule, Subject
from spark_pd.model.errors import SparkPdError
from spark_pd.runs.application.first_session import FirstSession
from spark_pd.runs.application.script import before_all_else, is_good, leave, run_script, show
from spark_pd.runs.application_run import ApplicationRun
from spark_pd.runs.channel_wiring import channel_of
from spark_pd.runs.crash import open_runs, reported_failures
from spark_pd.runs.monitor import Monitor
from spark_pd.runs.notifier_wiring import notifier_of, outbox_of
from spark_pd.runs.run_plan import RunPlan
from spark_pd.runs.wiring import guard_of
from spark_pd.secrets.redaction import describe
from spark_pd.settings import Settings, load_settings, setting_names

logger = logging.getLogger("spark_pd.application")


class Application:
    """Watches the application that runs in this process. Nothing in it raises, or changes what the script does."""

    def __init__(self, name: str, settings: Settings, conf: Mapping[str, str], config_file: Path | None) -> None:
        """settings: those without Spark's configuration, for a script that has no session. conf: what is stronger than Spark's own."""
        self._name = name
        self._settings = settings
        self._conf = conf
        self._config_file = config_file
        self._run: ApplicationRun | None = None
        self._gave_way = False
        self._sessions = FirstSession(self._appeared)

    def begin(self) -> None:
        """Wait for the first session. A script that runs another one by `spark-pd run` leaves the watching to that."""
        for outer in _begun:
            outer._sessions.remove()
            outer._gave_way = True
        _begun.append(self)
        reported_failures.listen()
        self._sessions.install()

    def end(self, error: BaseException | None) -> None:
        """The script is over, and this left it. Waits until its verdict is told, within the deadline."""
        self._sessions.remove()
        if self._run is None and not self._gave_way:
            self._enter(lambda: without_spark(self._name, self._settings))
        # An exit code of 0 is a good end, unless a handler of SIGTERM gave it.
        good = is_good(error) and not open_runs.termination.raised(error)
        left = None if good else error
        if self._run is not None:
            try:
                self._run.__exit__(None if left is None else type(left), left, None if left is None else left.__traceback__)
            except SparkPdError as undelivered:  # spark.pd.strict asks a run to raise; the script has ended
                logger.warning("%s: %s", self._name, undelivered)

    def _appeared(self, spark: Any) -> None:
        try:
            from spark_pd.spark import session

            given = session.settings_of(spark, setting_names()) | dict(self._conf)
            settings = load_settings(spark_conf=given, environ=os.environ, config_file=self._config_file)
            # It checks nothing, so no way to count is to be proven; its end may be after Spark's, so nothing is written to a table.
            plain = replace(settings, counting="two_pass", stats_table=None)
            self._enter(lambda: Monitor(spark, plain).application(self._name))
        except Exception as error:
            said = str(error) if isinstance(error, SparkPdError) else type(error).__name__
            logger.warning("%s is not watched from its first session on: %s", self._name, said)

    def _enter(self, make: Callable[[], ApplicationRun]) -> None:
        try:
            run = make()
            run.__enter__()
            self._run = run
        except Exception as error:
            logger.warning("%s is not watched: %s", self._name, type(error).__name__, exc_info=logger.isEnabledFor(logging.DEBUG))


_begun: list[Application] = []  # those of this process, the outer ones first


def run_watched(application: Application, script: str, arguments: Sequence[str]) -> NoReturn:
    """Run a script as Python would, watched from its first session on, and end this process as Python would after it."""
    before_all_else()
    application.begin()
    error = run_script(script, arguments)
    try:
        show(error)
    finally:  # an excepthook may fail
        application.end(error)
    leave(error)


class _NoRules:
    """In place of rules and Spark: the application's run has neither."""

    describe = staticmethod(describe)

    def load(self, source: object) -> tuple[Rule, ...]:
        """None."""
        return ()


def without_spark(name: str, settings: Settings) -> ApplicationRun:
    """The run of an application that has no Spark session, and so tells of nothing but its failure."""
    channel, outbox = channel_of(settings, retry_throttled=not settings.rate), outbox_of(settings)
    attempt = attempt_of(number=settings.attempt, most=settings.max_attempts, environ=os.environ)
    plan = RunPlan(
        table=name,
        subject=Subject(environment=settings.environment, product_id=settings.product_id, table=name),
        previous=None,
        rules=None,
        policy=TriggerSettings(on=settings.on, severity=settings.severity, error_drop_threshold=settings.error_drop_threshold),
        exceptions=settings.exceptions,
        deadline=settings.deadline,
        strict=settings.strict,
        application=name,
        application_id=None,
        job_metadata=settings.job_metadata,
        links=(),
        attempt=attempt,
    )
    over = replace(settings, on_signal=False)  # no block is open that a signal could end
    guard = guard_of(over, channel, outbox, application=name, application_id=None, attempt=attempt)
    return ApplicationRun(plan, checker=_NoRules(), notifier=notifier_of(settings, channel, outbox), guard=guard)
