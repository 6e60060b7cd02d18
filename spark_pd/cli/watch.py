"""`spark-pd watch`: page where a scheduled run is late, missing or takes too long."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from spark_pd.cli.options import settings_from, settings_options
from spark_pd.cli.spark_session import ours, session_for
from spark_pd.model.errors import UsageError

if TYPE_CHECKING:
    from spark_pd.runs.schedules.absence import AbsenceReport, AbsenceWatch
    from spark_pd.runs.schedules.known_runs_reader import KnownRunsReader
    from spark_pd.runs.schedules.schedule import Schedule
    from spark_pd.runs.schedules.schedule_watch import ScheduleReport, ScheduleWatch
    from spark_pd.settings import Settings

T = TypeVar("T")
PATIENCE = 3  # looks in a row that fail before a service gives up, and leaves it to whoever started it to start it again


@click.command(
    epilog="""\b
Examples:
  spark-pd watch "sales.orders every day by 06:00 Europe/Berlin, at most 40 minutes" --stats-table /data/dq_stats
  spark-pd watch --schedules schedules.yaml --config-file pagerduty.yaml
  spark-pd watch --schedules schedules.yaml --config-file pagerduty.yaml --every 300

\b
A schedule is TABLE, then one of
  every day|weekday|monday and friday by 06:00 [ZONE]
  hourly [by :15] [ZONE]
  cron 0 6 * * 1-5 [ZONE]
and then, where it is wanted: , at most 40 minutes   , grace 10 minutes

Exit codes: 0 nothing is late or takes too long; 1 something is, or an alert was not delivered; 2 usage or settings, or a table
could not be read.""",
)
@click.argument("schedules", nargs=-1, metavar="[SCHEDULE]...")
@click.option("--schedules", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A YAML file of schedules.")
@click.option("--stats-table", help="The stats table, or its folder. Default: the setting spark.pd.stats.table.")
@click.option("--once", is_flag=True, help="Look once. This is the default.")
@click.option("--every", type=click.FloatRange(min=1), metavar="SECONDS", help="Look again and again, until SIGTERM or Ctrl-C.")
@click.option("--since", metavar="TIME", help="What was due up to then is not judged. Default: what was before the first look.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one line for each look.")
@settings_options
@click.pass_context
def watch(
    ctx: click.Context,
    schedules: tuple[str, ...],
    file: Path | None,
    stats_table: str | None,
    once: bool,
    every: float | None,
    since: str | None,
    as_json: bool,
    config_file: Path | None,
    conf: dict[str, str],
) -> None:
    """Look whether scheduled runs came, and page where one is late, missing or takes too long.

    Runs are those of the stats table, each known by its table, scope and job, and by the settings' environment and product_id. An incident
    closes when the run comes. It starts a Spark session on this machine; a --conf that is none of our settings is given to that.
    """
    if once and every is not None:
        raise UsageError("--once and --every are both given; expected one of them")
    from spark_pd.runs.schedules.schedules_file import schedules_of

    settings = settings_from(config_file, ours(conf))
    absent = any(each.absent for each in settings.own_triggers)
    wanted = () if absent and not schedules and file is None else schedules_of(schedules, file)
    name, began = stats_table or settings.stats_table, _moment(since)
    if name is None:
        raise UsageError("there is no stats table to look into; give --stats-table, or set spark.pd.stats.table")
    spark = session_for("spark-pd watch", conf)
    looking, runs = _watch_of(settings, wanted, spark, began), _sources(spark, name, settings.stats_format)
    absence = _absence_of(settings, spark) if absent else None
    if every is None:
        found, missing = _look(looking, runs), _look_for_absence(absence, runs)
        _show(found, settings, as_json, missing)
        ctx.exit(int(any(_is_bad(each) for each in found) or any(each.is_bad for each in missing)))
    _serve(looking, runs, every, settings, as_json, absence)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(f"{text[:-1]}+00:00" if text.endswith("Z") else text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise UsageError(f"--since is {text!r}; expected a time with its zone, such as 2026-12-01T06:00:00+01:00")
    return at.astimezone(timezone.utc)


def _sources(spark: Any, name: str, format: str | None) -> KnownRunsReader:
    from spark_pd.history.run_record import STATE
    from spark_pd.history.stats_columns import COLUMNS
    from spark_pd.runs.schedules.known_runs_reader import KnownRunsReader
    from spark_pd.spark.tables import Table, beside

    return KnownRunsReader(
        Table(spark, name, format=format, columns=COLUMNS), Table(spark, beside(name, "_state"), format=format, columns=STATE)
    )


def _watch_of(settings: Settings, schedules: Sequence[Schedule], spark: Any, since: datetime | None) -> ScheduleWatch:
    from spark_pd.delivery.state import FileStateStore
    from spark_pd.model import Subject, normalized_table
    from spark_pd.runs.schedules.schedule_watch import ScheduledSubject, ScheduleWatch
    from spark_pd.runs.wiring import delivering_of
    from spark_pd.spark import session

    catalog = session.current_catalog(spark)

    def scheduled(schedule: Schedule) -> ScheduledSubject:
        """The schedule with its subject."""
        return ScheduledSubject(
            schedule,
            Subject(
                environment=settings.environment,
                product_id=schedule.product_id or settings.product_id,
                table=normalized_table(schedule.table, catalog),
                scope=schedule.scope,
                job=schedule.job,
            ),
        )

    _, outbox, notifier, _, place = delivering_of(settings, spark)
    return ScheduleWatch(
        scheduled=tuple(scheduled(schedule) for schedule in schedules),
        notifier=notifier,
        store=None if outbox is None else FileStateStore(outbox.folder / "state", place=place),
        grace=timedelta(seconds=settings.grace_late),
        severity=settings.severity_late,
        on=settings.on_late,
        deadline=settings.deadline,
        since=since,
    )


def _absence_of(settings: Settings, spark: Any) -> AbsenceWatch:
    from spark_pd.delivery.state import FileStateStore
    from spark_pd.model import Subject, normalized_table
    from spark_pd.runs.schedules.absence import AbsenceWatch
    from spark_pd.runs.wiring import delivering_of
    from spark_pd.spark import session

    catalog, delivering = session.current_catalog(spark), delivering_of(settings, spark)

    def subject(table: str) -> Subject:
        """The subject of the table's runs."""
        return Subject(environment=settings.environment, product_id=settings.product_id, table=normalized_table(table, catalog))

    return AbsenceWatch(
        triggers=tuple((each, subject(each.absent)) for each in settings.own_triggers if each.absent is not None),
        notifier=delivering.notifier,
        store=None if delivering.outbox is None else FileStateStore(delivering.outbox.folder / "state", place=delivering.place),
        deadline=settings.deadline,
    )


def _look_for_absence(absence: AbsenceWatch | None, runs: KnownRunsReader) -> list[AbsenceReport]:
    return [] if absence is None else _read(lambda: absence.look(runs, datetime.now(timezone.utc)), runs)


def _look(looking: ScheduleWatch, runs: KnownRunsReader) -> list[ScheduleReport]:
    return _read(lambda: looking.look(runs, datetime.now(timezone.utc)), runs)


def _read(look: Callable[[], T], runs: KnownRunsReader) -> T:
    """What a look gives. Raises UsageError where the tables cannot be read."""
    from spark_pd.model.errors import SparkPdError
    from spark_pd.secrets.redaction import one_line

    try:
        return look()
    except SparkPdError:
        raise
    except Exception as error:
        what = one_line(str(error), 300)
        raise UsageError(
            f"the stats table {runs.stats.name} could not be read ({type(error).__name__}: {what}); does the session know it?"
        ) from None


def _serve(
    looking: ScheduleWatch, runs: KnownRunsReader, every: float, settings: Settings, as_json: bool, absence: AbsenceWatch | None
) -> None:
    """Look until somebody ends it. Raises UsageError where it failed a few times in a row."""
    over = threading.Event()
    # After the session is there: PySpark takes Ctrl-C for itself.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    failed, all_of_it = 0, True
    while not over.is_set():
        try:
            found, missing = _look(looking, runs), _look_for_absence(absence, runs)
        except UsageError as error:
            failed += 1
            if failed == PATIENCE:
                raise
            click.echo(f"spark-pd watch: {error}", err=True)
        else:
            failed = 0
            said = found if all_of_it or as_json else [each for each in found if each.reported in ("told", "withheld", "not delivered")]
            all_of_it = False
            _show(said, settings, as_json, missing)
        over.wait(every)


# ---- in words ----------------------------------------------------------------------------------------------------------------------


def _is_bad(seen: ScheduleReport) -> bool:
    return seen.finding.outcome == "firing" or seen.reported == "not delivered"


def _show(found: Sequence[ScheduleReport], settings: Settings, as_json: bool, missing: Sequence[AbsenceReport] = ()) -> None:
    if as_json:
        shown: dict[str, Any] = {"at": datetime.now(timezone.utc).isoformat(timespec="seconds")}
        shown["schedules"] = [_fields(each) for each in found]
        if missing:
            shown["absent"] = [
                {"trigger": each.trigger.name, "subject": each.subject.prefix, "outcome": each.outcome, "reason": each.reason}
                for each in missing
            ]
        click.echo(json.dumps(shown))
        return
    for report in missing:
        what = "" if report.delivery is None else f"; {report.delivery.status}: {report.delivery.reason}"
        click.echo(f"{report.trigger.name} of {report.subject.table}: {report.outcome}, {report.reason}{what}")
    if not found:
        return
    rows = [("table", "expected", "due", "found", "said")]
    for each in found:
        schedule, slot = each.scheduled.schedule, each.finding.slot
        due = "-" if slot is None else f"{schedule.local(slot):%Y-%m-%d %H:%M}"
        rows.append((each.scheduled.subject.table, schedule.when, due, each.finding.what, each.reported))
    wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, wide, strict=True)).rstrip())
    for each in found:
        if each.finding.outcome != "good" or each.reported not in ("told", "told before", "nobody"):
            click.echo(f"{each.scheduled.subject.table}: {each.finding.reason}{f'; {each.why}' if each.why else ''}")
    if not settings.enabled and any(each.finding.outcome == "firing" for each in found):
        from spark_pd.runs.wiring import NOT_ENABLED

        click.echo(f"Nobody is told: {NOT_ENABLED}")


def _fields(seen: ScheduleReport) -> dict[str, Any]:
    finding = seen.finding
    return {
        "subject": seen.scheduled.subject.prefix,
        "schedule": str(seen.scheduled.schedule),
        "due": None if finding.slot is None else finding.slot.isoformat(),
        "found": finding.what,
        "outcome": finding.outcome,
        "reason": finding.reason,
        "run_id": finding.run.run_id if finding.run else None,
        "said": seen.reported,
        "why": seen.why,
    }
