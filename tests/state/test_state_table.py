"""The state in a table: real tables, real PagerDuty on loopback, and clusters that share nothing else."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import spark_pd
from spark_pd.history.run_record import STATE
from spark_pd.history.state_table import RunState, StateTable
from spark_pd.model import Delivery
from spark_pd.model.incident_state import forget
from spark_pd.spark.tables import Table
from tests.end_to_end.shared import THRESHOLD_ON, write
from tests.state.cluster_job import TENS
from tests.state.shared import KEY, memory

HERE = Path(__file__).parent
SUBJECT = KEY.rpartition("/")[0]


@pytest.fixture
def cluster(spark, pagerduty, tmp_path):
    """Runs `orders` on a cluster by its name, good with 5 rows and bad with 10, and says what became of the alerts."""

    def ran(name: str, rows: int, config: Any = None, prepare: Any = None) -> Any:
        monitor = spark_pd.install(
            spark,
            {
                **pagerduty.config,
                **THRESHOLD_ON,
                "spark.pd.limit.error_drop_threshold": 10,
                "spark.pd.stats.table": str(tmp_path / "stats"),
                "spark.pd.outbox.path": str(tmp_path / name),
                **(config or {}),
            },
        )
        try:
            with monitor.run("orders", rules=[TENS]) as run:
                write(run.check(spark.range(1, 1 + rows)))
                if prepare:
                    prepare(run)
        finally:
            monitor.uninstall()
        return {d.alert.trigger: (d.alert.state, d.status, d.reason) for d in run.deliveries}

    return ran


SILENT = ("resolved", "suppressed", "no incident is open")


def test_a_good_run_on_another_cluster_closes_what_the_first_opened_and_a_second_sends_nothing(cluster, pagerduty, tmp_path):
    job = subprocess.run(
        [sys.executable, "-m", "tests.state.cluster_job", pagerduty.url, pagerduty.key, str(tmp_path / "stats"), str(tmp_path / "a"), "10"],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable},
        cwd=HERE.parents[1], capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    lines = [line for line in job.stdout.splitlines() if line.startswith("FOUND ")]
    assert lines, job.stderr[-3000:]
    assert json.loads(lines[0][6:]) == [["error_drop_threshold", "firing", "sent"], ["failure", "resolved", "sent"]]
    assert len(pagerduty.open_incidents()) == 1
    closing = cluster("b", 5)
    assert closing["error_drop_threshold"][:2] == ("resolved", "sent")
    assert closing["failure"] == SILENT
    assert pagerduty.open_incidents() == []
    events = len(pagerduty.events)
    assert cluster("b", 5) == cluster("c", 5) == {"failure": SILENT, "error_drop_threshold": SILENT}
    assert len(pagerduty.events) == events


def test_an_alert_that_may_wait_in_another_machine_s_outbox_keeps_the_resolves_coming(cluster, pagerduty):
    cluster("b", 5)
    pagerduty.fault("500")
    assert cluster("a", 10, {"spark.pd.deadline": 0.5})["error_drop_threshold"][1] == "queued"
    pagerduty.clear_faults()
    for _ in range(2):
        assert cluster("b", 5)["error_drop_threshold"][:2] == ("resolved", "sent")


def test_a_run_that_never_wrote_its_end_keeps_the_resolves_coming(cluster, pagerduty):
    cluster("b", 5)
    cluster("a", 5, prepare=lambda run: run._record.state.give_up())
    for _ in range(2):
        assert {status for _, status, _ in cluster("b", 5).values()} == {"sent"}


def test_what_a_change_is_measured_against_is_what_another_cluster_told(cluster):
    config = {"spark.pd.notify.error_drop_threshold": "change"}
    assert cluster("a", 10, config)["error_drop_threshold"][1] == "sent"
    state, status, reason = cluster("b", 10, config)["error_drop_threshold"]
    assert (state, status) == ("firing", "suppressed")
    assert "it is no worse (spark.pd.notify.error_drop_threshold is change)" in reason


def test_bad_runs_in_a_row_are_counted_across_clusters(cluster):
    config = {"spark.pd.after.error_drop_threshold": 2}
    assert cluster("a", 10, config)["error_drop_threshold"][1] == "suppressed"
    assert cluster("b", 10, config)["error_drop_threshold"][1] == "sent"


def test_a_state_that_cannot_be_read_withholds_nothing_and_says_so_once(cluster, tmp_path, caplog):
    for _ in range(2):
        cluster("a", 5)
    (tmp_path / "stats_state" / "month=202601").mkdir()
    (tmp_path / "stats_state" / "month=202601" / "x.parquet").write_text("no Parquet")
    next((tmp_path / "stats_state").glob("month=2*/part*")).write_text("no Parquet")
    caplog.clear()
    assert {status for _, status, _ in cluster("a", 5).values()} == {"sent"}
    told = [r.getMessage() for r in caplog.records if r.name == "spark_pd.state" and r.levelno == logging.WARNING]
    assert len(told) == 1
    assert "the state could not be read or written" in told[0]


def test_another_key_s_runs_are_other_incidents_and_a_doubt(cluster, pagerduty, monkeypatch):
    cluster("a", 5)
    monkeypatch.setenv("OTHER_TEAM", pagerduty.key)
    other = {"spark.expectations.notifications.pagerduty.integration.key": "env:OTHER_TEAM"}
    assert cluster("a", 10, {**other, "spark.pd.notify.error_drop_threshold": "change"})["error_drop_threshold"][1] == "sent"
    assert cluster("a", 5)["error_drop_threshold"][:2] == ("resolved", "sent")
    assert pagerduty.open_incidents() == []


# ---- without the road ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(spark, tmp_path) -> StateTable:
    return StateTable.of(Table(spark, str(tmp_path / "state"), format="parquet", columns=STATE, partition_by="month"), "here")


@pytest.mark.versions
def test_what_is_saved_is_there_for_the_next_run_when_the_first_has_ended(table):
    first, second = RunState(table, SUBJECT, "r1"), RunState(table, SUBJECT, "r2")
    assert not first.durable
    first.begin()
    with first.hold([KEY]) as held:
        assert (held.known, dict(held.memories)) == (True, {})
        assert held.save([memory()])
    with first.hold([KEY]) as held:
        assert dict(held.memories) == {KEY: memory()}
    first.finish(())
    second.begin()
    with second.hold([KEY]) as held:
        assert dict(held.memories) == {KEY: memory()}
        assert second.durable
    months = {int(path.name.partition("=")[2]) for path in Path(table.table.name).glob("month=*")}
    assert months <= {at.year * 100 + at.month for at in (datetime.now(timezone.utc), datetime.now(timezone.utc) - timedelta(hours=1))}


def test_an_incident_that_was_resolved_by_hand_on_this_machine_is_not_open_any_more(table, tmp_path):
    from spark_pd.delivery.state import FileStateStore

    local = FileStateStore(tmp_path / "outbox" / "state")
    first = RunState(table, SUBJECT, "r1", local=local)
    first.begin()
    with first.hold([KEY]) as held:
        held.save([memory()])
    first.finish(())
    forget(local, KEY)
    for here, opened in ((local, False), (None, True)):
        second = RunState(table, SUBJECT, "r2", local=here)
        second.begin()
        with second.hold([KEY]) as held:
            assert (held.memories[KEY].open_since is not None) is opened
            assert KEY in held.doubts


def test_who_gave_up_asks_spark_for_nothing(table):
    state = RunState(table, SUBJECT, "r1")
    state.give_up()
    with state.hold([KEY]) as held:
        assert not held.known
        assert not held.save([memory()])
    deliveries: tuple[Delivery, ...] = ()
    state.finish(deliveries)
    assert not Path(table.table.name).exists()


def test_a_row_that_nobody_can_read_is_a_doubt(table):
    row = {"place": table.place, "subject": SUBJECT, "run_id": "r1", "event": "ended", "at": datetime.now(timezone.utc), "told": "{}",
           "memories": "{}", "month": datetime.now(timezone.utc).year * 100 + 12}  # fmt: skip
    table.table.append(row)
    state = RunState(table, SUBJECT, "r2")
    state.begin()
    with state.hold([KEY]) as held:
        assert held.known
        assert "has not written down its end" in held.doubts[KEY] or "nothing is remembered" in held.doubts[KEY]
