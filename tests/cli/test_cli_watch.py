"""`spark-pd watch` over a real stats table, to a real PagerDuty on loopback."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import spark_pd
from spark_pd.history.incident_standing import Entry
from spark_pd.history.run_record import STATE
from spark_pd.history.state_table import StateTable
from spark_pd.history.stats_columns import COLUMNS
from spark_pd.history.stats_row import row_of
from spark_pd.model import Alert, Delivery, Subject
from spark_pd.spark.tables import Table, beside
from tests.cli.conftest import COMMAND
from tests.stats.test_stats_row import ENDED, FACTS, STATS

pytestmark = pytest.mark.spark

SUBJECT = Subject(environment="prod", product_id=None, table="sales.orders")
KEY = "spark_pd/prod/-/sales.orders/late"
NOW = datetime.now(timezone.utc)
MINUTE = timedelta(minutes=1)
DUE = (NOW - 5 * MINUTE).replace(second=0, microsecond=0)
SCHEDULE = f"Sales.Orders every day by {DUE:%H:%M}, at most 40 minutes"
SINCE = ("--since", (NOW - timedelta(days=9)).isoformat())


class Stats:
    """A stats table that a test fills, in a folder."""

    def __init__(self, spark, folder: Path) -> None:
        self.folder = folder / "stats"
        self._table = Table(spark, str(self.folder), format="parquet", columns=COLUMNS)
        self._state = StateTable.of(
            Table(spark, beside(str(self.folder), "_state"), format="parquet", columns=STATE, partition_by="month"), "x"
        )

    def ended(self, at: datetime, *, minutes: float = 10, status: str = "passed", subject: Subject = SUBJECT, told: bool = False) -> str:
        run_id = f"run-{at.isoformat()}"
        stats = replace(STATS, started_at=at - minutes * MINUTE, ended_at=at)
        facts = replace(
            FACTS, subject=subject, run_id=run_id, started_at=at - minutes * MINUTE, ended_at=at, stats=stats, status=status,
        )  # fmt: skip
        alert = Alert(trigger="failure", state="firing", severity="critical", summary="s", dedup_key="k", source="s", component="c", at=at)
        delivery = Delivery(alert=alert, channel="pagerduty", status="sent", reason="accepted")
        self._table.append(row_of(replace(ENDED, facts=facts, deliveries=(delivery,) if told else ())))
        return run_id

    def began(self, at: datetime, run_id: str) -> None:
        self._state.append(SUBJECT.prefix, Entry(run_id=run_id, event="began", at=at))

    def finished(self, at: datetime, run_id: str) -> None:
        self._state.append(SUBJECT.prefix, Entry(run_id=run_id, event="ended", at=at))


@pytest.fixture
def stats(spark, tmp_path) -> Stats:
    """A run of the day before yesterday, one of yesterday, and one of another table."""
    found = Stats(spark, tmp_path)
    found.ended(DUE - timedelta(days=2, hours=1))
    found.ended(DUE - timedelta(days=1, hours=1))
    return found


@pytest.fixture
def watch(cli, conf, pagerduty, stats, tmp_path):
    """Looks once, with settings that send to the sandbox, and gives exit code and output."""

    def go(*arguments: object, schedule: str = SCHEDULE, config: dict[str, object] | None = None):
        settings = {**pagerduty.config, "spark.pd.environment": "prod", "spark.pd.outbox.path": tmp_path / "outbox", **(config or {})}
        return cli("watch", schedule, "--stats-table", stats.folder, *conf(settings), *arguments)

    return go


def sent(pagerduty) -> list[tuple[str, str]]:
    return [(event["event_action"], event["dedup_key"]) for event in pagerduty.events]


def test_a_missing_run_opens_one_incident_and_the_run_that_comes_closes_it(watch, pagerduty, stats) -> None:
    first = watch(*SINCE)
    assert first.exit_code == 1, first.output
    lines = first.output.splitlines()
    assert lines[0].split() == ["table", "expected", "due", "found", "said"]
    assert lines[1].split() == [
        "sales.orders",
        "every",
        "day",
        "by",
        f"{DUE:%H:%M}",
        "UTC",
        f"{DUE:%Y-%m-%d}",
        f"{DUE:%H:%M}",
        "missing",
        "told",
    ]
    (incident,) = pagerduty.open_incidents()
    last = DUE - timedelta(days=1, hours=1)
    reason = f"due by {DUE:%a %Y-%m-%d %H:%M} UTC; the last one ended at {last:%a %Y-%m-%d %H:%M} UTC"
    assert incident.summary == f"[prod] sales.orders is missing: {reason}"
    assert (incident.dedup_key, incident.severity) == (KEY, "error")
    assert incident.details["schedule"] == f"Sales.Orders every day by {DUE:%H:%M} UTC, at most 40 minutes"
    assert incident.details["last_run"] == f"run-{last.isoformat()}"

    again = watch(*SINCE)  # as cron does, some minutes later
    assert again.exit_code == 1
    assert "told before" in again.output
    assert sent(pagerduty) == [("trigger", KEY)]

    stats.ended(NOW - MINUTE)
    came = watch(*SINCE)
    assert (came.exit_code, "came late" in came.output) == (0, True), came.output
    assert watch(*SINCE).exit_code == 0
    assert sent(pagerduty) == [("trigger", KEY), ("resolve", KEY)]
    assert pagerduty.open_incidents() == []


def test_the_first_look_judges_nothing_that_was_due_before_it(watch, pagerduty) -> None:
    for _ in range(2):
        result = watch()
        assert result.exit_code == 0
        assert "not known" in result.output
        assert "it is watched from" in result.output
    assert sent(pagerduty) == []


def test_a_table_without_a_run_is_not_known_and_the_output_says_what_a_run_is_known_by(watch, pagerduty) -> None:
    result = watch(*SINCE, schedule="sales.ordres hourly")
    assert result.exit_code == 0
    assert "sales.ordres: due by" in result.output
    assert "no run of it is known, so none is missed; a run is known by its subject, scope and job" in result.output
    assert sent(pagerduty) == []


def test_a_run_that_is_still_under_way_is_late_and_too_long_until_it_comes(watch, pagerduty, stats) -> None:
    stats.began(NOW - 50 * MINUTE, "slow")
    assert watch(*SINCE).exit_code == 1
    (incident,) = pagerduty.open_incidents()
    assert "sales.orders is late: a run began at" in incident.summary
    assert "and has not ended, at most 40 minutes" in incident.summary
    assert incident.details["run_under_way"] == "slow"
    stats.finished(NOW, "slow")
    stats.ended(NOW, minutes=50)
    assert watch(*SINCE).exit_code == 1  # it came, and it took too long
    (incident,) = pagerduty.open_incidents()
    assert "took 50 minutes, at most 40 minutes" in incident.summary
    stats.ended(datetime.now(timezone.utc), minutes=0)
    assert watch(*SINCE).exit_code == 0
    assert pagerduty.open_incidents() == []


def test_a_run_that_told_its_own_failure_is_not_told_again(watch, pagerduty, stats) -> None:
    stats.ended(DUE - MINUTE, status="errored", told=True)
    result = watch(*SINCE)
    assert result.exit_code == 0
    assert "which has its own incident" in result.output
    assert sent(pagerduty) == []


def test_an_incident_that_is_resolved_by_hand_does_not_open_for_the_same_slot_again(watch, cli, conf, pagerduty, tmp_path) -> None:
    watch(*SINCE)
    settings = {**pagerduty.config, "spark.pd.outbox.path": tmp_path / "outbox"}
    assert cli("resolve", KEY, *conf(settings)).exit_code == 0
    assert watch(*SINCE).exit_code == 0
    assert [action for action, _ in sent(pagerduty)] == ["trigger", "resolve"]


def test_an_alert_that_pagerduty_does_not_take_is_told_by_a_later_look(watch, pagerduty) -> None:
    pagerduty.fault(400, times=1)
    first = watch(*SINCE)
    assert (first.exit_code, "not delivered" in first.output) == (1, True), first.output
    assert watch(*SINCE).exit_code == 1
    assert len(pagerduty.open_incidents()) == 1


def test_the_switch_the_severity_and_the_grace_are_settings(watch, pagerduty) -> None:
    assert watch(*SINCE, config={"spark.pd.limit.late": 3600}).exit_code == 0
    assert watch(*SINCE, config={"spark.pd.severity.late": "warning"}).exit_code == 1
    assert [incident.severity for incident in pagerduty.open_incidents()] == ["warning"]
    assert watch(*SINCE, config={"spark.pd.on.late": False}).exit_code == 1  # it is found, and what is open is closed
    assert pagerduty.open_incidents() == []


def test_where_nothing_is_enabled_it_says_that_nobody_is_told(watch, pagerduty) -> None:
    result = watch(*SINCE, config={"spark.expectations.notifications.pagerduty.enabled": False})
    assert result.exit_code == 1
    assert "Nobody is told: PagerDuty is not enabled" in result.output
    assert sent(pagerduty) == []


def test_a_file_has_several_and_json_has_all_of_it_for_programs(cli, conf, pagerduty, stats, tmp_path) -> None:
    stats.ended(NOW - 2 * MINUTE, subject=replace(SUBJECT, table="sales.returns", scope="emea", product_id="sales"))
    file = tmp_path / "schedules.yaml"
    file.write_text(
        f"- {SCHEDULE}\n- {{table: sales.returns, when: 'every day by {DUE:%H:%M}, grace 1h', scope: emea, product_id: sales}}\n"
    )
    settings = {**pagerduty.config, "spark.pd.environment": "prod", "spark.pd.stats.table": stats.folder}
    result = cli("watch", "--schedules", file, "--once", "--json", *SINCE, *conf(settings))
    told = json.loads(result.output)["schedules"]
    assert [(each["subject"], each["found"], each["said"]) for each in told] == [
        ("spark_pd/prod/-/sales.orders", "missing", "told"),
        ("spark_pd/prod/sales/sales.returns/scope=emea", "came late", "told"),
    ]


def test_runs_that_spark_pd_wrote_are_known_by_the_same_subject(cli, conf, spark, pagerduty, tmp_path) -> None:
    settings = {
        **pagerduty.config,
        "spark.pd.environment": "prod",
        "spark.pd.stats.table": str(tmp_path / "dq"),
        "spark.pd.stats.format": "parquet",
    }
    with spark_pd.install(spark, settings).run("Watched.Orders", rules=[]):
        pass
    schedule = "watched.orders cron * * * * *, grace 1 hour"  # its slots of an hour ago are judged
    result = cli("watch", schedule, "--json", *SINCE, *conf(settings))
    (seen,) = json.loads(result.output)["schedules"]
    assert (result.exit_code, seen["subject"], seen["found"]) == (0, "spark_pd/prod/-/watched.orders", "came late"), seen


def test_mistakes_end_with_2_and_are_told_together(cli, tmp_path) -> None:
    result = cli("watch", "sales.orders every dya by 25:00", "--stats-table", tmp_path)
    assert result.exit_code == 2
    assert "'dya' is no day" in result.stderr
    assert "'25:00' is no time of day" in result.stderr
    assert cli("watch", SCHEDULE).exit_code == 2
    assert "expected a time with its zone" in cli("watch", SCHEDULE, "--stats-table", tmp_path, "--since", "2026-12-01").stderr
    assert "expected one of them" in cli("watch", SCHEDULE, "--once", "--every", 5).stderr


def test_a_table_that_spark_expectations_made_lacks_what_it_takes(cli, spark, tmp_path) -> None:
    spark.range(1).selectExpr("id AS input_count").write.parquet(str(tmp_path / "theirs"))
    result = cli("watch", SCHEDULE, "--stats-table", tmp_path / "theirs", "--conf", "spark.pd.stats.format=parquet")
    assert result.exit_code == 2
    assert "it lacks the columns ended_at, started_at, status, subject" in result.stderr


def test_without_pyspark_it_says_what_it_needs(tmp_path) -> None:
    hidden = "import sys; sys.modules['pyspark'] = None; from spark_pd.cli import main; main(prog_name='spark-pd')"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", hidden, "watch", SCHEDULE, "--stats-table", str(tmp_path)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "spark-pd watch reads a table with PySpark, which is not installed here: pip install 'spark-pd[spark]'" in done.stderr
    done = subprocess.run(
        [*COMMAND, "watch", SCHEDULE, "--stats-table", str(tmp_path)], cwd=root, capture_output=True, text=True, check=False,
        env={"PATH": "/nowhere", "PYTHONPATH": str(root), "JAVA_HOME": "/nowhere"},
    )  # fmt: skip
    assert done.returncode == 2
    assert "it takes Java 17 or 21" in done.stderr


def test_a_service_looks_again_and_again_and_ends_well_by_sigterm(start, conf, pagerduty, stats, tmp_path) -> None:
    settings = {
        **pagerduty.config, "spark.pd.environment": "prod", "spark.pd.stats.table": stats.folder, "spark.pd.stats.format": "parquet",
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.sql.shuffle.partitions": 2,
    }  # fmt: skip
    process = start("watch", SCHEDULE, "--every", "1", *SINCE, *conf(settings))
    until(lambda: len(pagerduty.open_incidents()) == 1, process)
    stats.ended(NOW - MINUTE)
    until(lambda: pagerduty.open_incidents() == [], process)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert sent(pagerduty) == [("trigger", KEY), ("resolve", KEY)]
    assert [line.split()[-2:] for line in output.splitlines() if line.startswith("sales.orders ")] == [
        ["missing", "told"],
        ["late", "told"],
    ]


def until(holds, process) -> None:
    limit = time.monotonic() + 130
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit, "it took too long"
        time.sleep(0.1)


def test_a_trigger_of_one_s_own_fires_where_a_table_has_no_run_and_closes_with_the_next(cli, conf, pagerduty, stats, tmp_path) -> None:
    file = tmp_path / "pd.yaml"
    file.write_text("triggers: [{name: silent, absent: {table: sales.orders}, within: 26h, severity: critical}]\n")
    settings = {**pagerduty.config, "spark.pd.environment": "prod", "spark.pd.outbox.path": tmp_path / "outbox"}

    def go(*arguments: object):
        return cli("watch", "--stats-table", stats.folder, "--config-file", file, *conf(settings), *arguments)

    first = go()
    assert (first.exit_code, pagerduty.open_incidents()) == (0, []), first.output
    assert "silent of sales.orders: good" in first.output
    late = tmp_path / "late.yaml"
    late.write_text(file.read_text().replace("26h", "30m"))
    file = late
    second = go("--json")
    assert second.exit_code == 1, second.output
    assert json.loads(second.stdout.splitlines()[-1])["absent"][0]["outcome"] == "firing"
    (incident,) = pagerduty.open_incidents()
    assert (incident.severity, incident.dedup_key) == ("critical", "spark_pd/prod/-/sales.orders/silent")
    assert "no run ended within the last 30 minutes" in incident.summary
    assert go().exit_code == 1
    assert pagerduty.open_incidents()[0].trigger_count == 1
    stats.ended(datetime.now(timezone.utc))
    assert go().exit_code == 0
    assert pagerduty.open_incidents() == []
