"""The application's run around a script: from its first Spark session on, or only at its end where it had none."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from spark_pd.alerting.attempts import attempt_of
from spark_pd.alerting.facts import TriggerSettings
from spark_pd.model import Rule
from spark_pd.model.errors import SparkPdError, UsageError
from spark_pd.runs.application.first_session import FirstSession
from spark_pd.runs.application.run_script import is_good, leave, register_interrupt, run_script, show
from spark_pd.runs.application_run import ApplicationRun
from spark_pd.runs.crash import open_runs, reported_failures
from spark_pd.runs.exec.driver_python import take_handover
from spark_pd.runs.monitor import Monitor
from spark_pd.runs.run_plan import RunPlan
from spark_pd.runs.session_context import SessionContext
from spark_pd.runs.wiring import delivering_of, guard_of
from spark_pd.settings import Settings, load_settings, setting_names

logger = logging.getLogger("spark_pd.application")


class Application:
    """Watches the application that runs in this process. It never raises, and never changes what the script does."""

    def __init__(self, name: str, settings: Settings, conf: Mapping[str, str], config_file: Path | None) -> None:
        """settings: those without Spark's configuration, for a script that has no session. conf: what is stronger than Spark's own."""
        self._name = name
        self._settings = settings
        self._conf = conf
        self._config_file = config_file
        self._run: ApplicationRun | None = None
        self._replaced = False
        self._sessions = FirstSession(self._appeared)

    def begin(self) -> None:
        """Wait for the first session. Where a script runs another one by `spark-pd run`, the inner one is watched."""
        for outer in _begun:
            outer._sessions.remove()
            outer._replaced = True
        _begun.append(self)
        reported_failures.keep()
        self._sessions.install()

    def end(self, error: BaseException | None) -> None:
        """The script is over; `error` left it. Waits until its alerts are delivered, within the deadline."""
        self._sessions.remove()
        if self._run is None and not self._replaced:
            self._enter(lambda: without_spark(self._name, self._settings))
        # An exit code of 0 is a good end, unless a SIGTERM handler exited with it.
        good = is_good(error) and not open_runs.sigterm.raised(error)
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
            # It checks nothing, so no way to count has to be tried; it may end after Spark does, so nothing is written to a table.
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
    register_interrupt()
    application.begin()
    error = run_script(script, arguments)
    try:
        show(error)
    finally:  # an excepthook may fail
        application.end(error)
    leave(error)


class _NoRules:
    """Takes the place of RunChecks: there are no rules and no Spark session."""

    def load(self, source: object) -> tuple[Rule, ...]:
        """None."""
        return ()


def without_spark(name: str, settings: Settings) -> ApplicationRun:
    """The run of an application that has no Spark session: it can only report its failure."""
    context = SessionContext(
        settings=replace(settings, on_signal=False),  # no block is open that a signal could end
        triggers=TriggerSettings(on=settings.on, severity=settings.severity, error_drop_threshold=settings.error_drop_threshold),
        application=name,
        attempt=attempt_of(number=settings.attempt, most=settings.max_attempts, environ=os.environ),
    )
    channel, outbox, notifier, *_ = delivering_of(settings)
    plan = RunPlan.of_application(context, name)
    return ApplicationRun(plan, checker=_NoRules(), notifier=notifier, guard=guard_of(context, channel, outbox))


def watched_driver(folder: str, command: Sequence[str]) -> Callable[[], NoReturn]:
    """A function that runs a script of spark-submit under `spark-pd exec` with its arguments, watched with the settings of `exec`.

    Raises an exception where that is not possible; it has changed nothing then.
    """
    options = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv)]
    if not all(option.startswith("-") for option in options):
        raise UsageError(f"{options} is run by Python, and not the script")
    handover = take_handover(Path(folder))
    file = Path(handover.config_file) if handover.config_file else None
    settings = load_settings(spark_conf=handover.conf, environ=os.environ, config_file=file)
    return partial(run_watched, Application(handover.name, settings, handover.conf, file), command[0], command[1:])
