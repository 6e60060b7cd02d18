"""`spark-pd exec`: run a job under a small parent that tells what the job itself cannot."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spark_pd.cli.options import settings_options
from spark_pd.model.errors import SparkPdError

if TYPE_CHECKING:
    from spark_pd.runs.exec import Ending
    from spark_pd.settings import Settings


@click.command(
    "exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="""\b
Examples:
  spark-pd exec -- spark-submit job.py
  spark-pd exec --name nightly --config-file pagerduty.yaml -- python job.py --day 2026-11-20
  spark-pd exec -- spark-pd run job.py

Exit codes: 0 and all others as COMMAND gives them, or by the signal that killed it; 126 it cannot be run;
127 it was not found; 2 usage or settings, before it was begun.""",
)
@click.option("--name", metavar="NAME", help="The application's name in incidents. Default: the name of COMMAND's script.")
@click.option(
    "--lifecycle/--no-lifecycle",
    default=True,
    help="Whether a Python job of spark-submit is run as by spark-pd run, where its driver runs here.  [default: lifecycle]",
)
@settings_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(name: str | None, lifecycle: bool, config_file: Path | None, conf: dict[str, str], command: tuple[str, ...]) -> None:
    """Run COMMAND, and open an incident for what it could not tell itself: kill -9, out of memory, a crash.

    Its streams, signals and exit code are those that it would have without. A run that was open when it died is told once, as that run's
    own failure; where it failed with no run to tell of it, the application is told, until its next good end under the same name.

    A Python job of spark-submit, in client mode, is watched as by spark-pd run besides: lost executors, retries, too long, nothing written.
    """
    from spark_pd.runs.exec import application_name, run_child
    from spark_pd.runs.exec.driver_python import Handover, watched_environ, why_unwatched
    from spark_pd.settings import load_settings

    settings = load_settings(spark_conf=conf, environ=os.environ, config_file=config_file)
    journal = _journal()
    application = name or application_name(command)
    environ, doubted = _environ(journal), None
    if lifecycle and journal is not None:
        file = None if config_file is None else str(config_file.absolute())
        environ, doubted = watched_environ(command, journal, Handover(name=application, config_file=file, conf=conf), environ)
    started_at = datetime.now(timezone.utc)
    ending = run_child(command, environ)
    try:
        if why := doubted or (journal and why_unwatched(journal, ended_well=ending.good)):
            _say(f"the job was not watched as spark-pd run does it: {why}")
        _tell(settings, application, ending, journal, started_at)
    except Exception as error:
        # The job's end is what counts.
        said = str(error) if isinstance(error, SparkPdError) else type(error).__name__
        _say(f"the end of {command[0]} could not be told: {said}")
    finally:
        if journal is not None:
            shutil.rmtree(journal, ignore_errors=True)
        ending.leave()


def _tell(settings: Settings, name: str, ending: Ending, journal: Path | None, started_at: datetime) -> None:
    from spark_pd.alerting.attempts import attempt_of, failure_severity
    from spark_pd.model import Subject
    from spark_pd.runs.crash.journal import JournalContents
    from spark_pd.runs.exec import judge
    from spark_pd.runs.exec.report_job_end import claimed, find_dead_runs, left_open, report_application, report_runs, to_report

    contents, dead, alive = find_dead_runs(journal) if journal is not None else (JournalContents(), [], [])
    subject = Subject(environment=settings.environment, product_id=settings.product_id, table=name)
    dead = left_open(dead, subject, ending)
    report = judge(ending, contents, left_open=len(dead))
    attempt = attempt_of(number=settings.attempt, most=settings.max_attempts, environ=os.environ)
    alert = report.alert(
        subject,
        severity=failure_severity(settings.severity["failure"], attempt),
        attempt=None if attempt is None else str(attempt),
        ending=ending,
        started_at=started_at,
        at=datetime.now(timezone.utc),
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    for path in alive:
        _say(f"a run is still open in a process that lives on: {path}")
    if not settings.enabled or not settings.on["failure"]:
        if dead or (alert is not None and alert.state == "firing"):
            _say(f"{report.reason}; nobody is told, since {_why_not(settings)}")
        return
    if report.runs == "forget":
        for claim in claimed(dead):
            claim.done()
        return
    from spark_pd.cli.alert_by_hand import channel_of, limits_of
    from spark_pd.cli.outbox_routes import Routes
    from spark_pd.delivery.dispatch import Pace
    from spark_pd.delivery.outbox import Outbox, Route, open_outbox

    limits = limits_of(settings)

    def route_of(box: Outbox) -> Route:
        return Routes(settings, Pace(limits, box), unverified=False).route

    if dead:
        for line in report_runs(to_report(claimed(dead), subject), report.reason, route_of=route_of, seconds=settings.deadline):
            _say(line)
    if alert is not None:
        outbox = open_outbox(settings.outbox_path)
        for line in report_application(alert, channel_of(settings), outbox, limits=limits, seconds=settings.deadline):
            _say(line)


def _why_not(settings: Settings) -> str:
    from spark_pd.settings import user_config

    if not settings.enabled:
        return f"PagerDuty is not enabled ({user_config.se_notifications_enable_pagerduty} is not true)"
    return f"the trigger failure is off ({user_config.se_notifications_on_fail})"


def _journal() -> Path | None:
    """A folder for the child to write into; None where there is no place for one."""
    try:
        return Path(tempfile.mkdtemp(prefix="spark_pd-exec-"))
    except OSError as error:
        _say(f"nothing will be known of the job's runs: {error.strerror}")
        return None


def _environ(journal: Path | None) -> dict[str, str]:
    from spark_pd.runs.crash.journal import VARIABLE

    return {name: value for name, value in os.environ.items() if name != VARIABLE} | ({VARIABLE: str(journal)} if journal else {})


def _say(what: str) -> None:
    with suppress(OSError):
        click.echo(f"spark-pd exec: {what}", err=True)
