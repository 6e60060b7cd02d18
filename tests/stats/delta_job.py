"""The stats table and the state on Delta, in a session of their own: Delta's extensions cannot be added to one that runs.

It plays the scenarios that it reads from standard input, and prints JSON.

python -m tests.stats.delta_job FOLDER
"""

from __future__ import annotations

import sys
import threading
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import spark_pd
from spark_pd.history.past_runs_reader import past_runs
from spark_pd.history.run_record import STATE
from spark_pd.history.stats_columns import COLUMNS
from spark_pd.history.stats_row import row_of
from spark_pd.sandbox import Sandbox
from spark_pd.spark.tables import Table
from tests.checks.delta_job import session
from tests.end_to_end.shared import write
from tests.jobs import answer
from tests.stats import killed_job
from tests.stats.test_stats_row import ENDED, FACTS

TENS = {"rule": "tens", "expectation": "id % 10 <> 0", "action_if_failed": "drop"}
WRITERS, EACH = 4, 2


def run(spark: Any, config: dict[str, Any], rows: int) -> Any:
    monitor = spark_pd.install(spark, config)
    with monitor.run("orders", rules=[TENS]) as done:
        write(done.check(spark.range(1, 1 + rows)))
    return done


def runs_in_a_folder(spark: Any, folder: str) -> Any:
    name = f"{folder}/stats"
    for rows in (100, 50):
        run(spark, {"spark.pd.stats.table": name}, rows)
    found = spark.read.format("delta").load(name)
    past = past_runs(Table(spark, name, format=None, columns=COLUMNS), "spark_pd/-/-/orders", most=5)
    return {
        "delta": (Path(name) / "_delta_log").is_dir(),
        "rows": sorted(row.input_count for row in found.collect()),
        "columns": found.columns == [column.name for column in COLUMNS],
        "past": [each.input_count for each in past],
    }


def a_table_of_a_catalog_with_fewer_columns(spark: Any, folder: str) -> Any:
    spark.sql("CREATE TABLE old_stats (table_name STRING, input_count BIGINT, theirs STRING) USING delta")
    spark.sql("INSERT INTO old_stats VALUES ('orders', 1, 'x')")
    for _ in range(2):
        run(spark, {"spark.pd.stats.table": "old_stats"}, 100)
    found = spark.table("old_stats").orderBy("input_count")
    return {
        "rows": [[row.input_count, row.theirs, row.exact] for row in found.collect()],
        "lacks": [column.name for column in COLUMNS if column.name not in found.columns],
    }


def four_writers_at_once(spark: Any, folder: str) -> Any:
    """They make the table too: the first commits are the ones that conflict."""
    name, failed = f"{folder}/shared", []
    notifier = threading.Barrier(WRITERS)

    def append(writer: int) -> None:
        table = Table(spark, name, format=None, columns=COLUMNS)
        notifier.wait()
        for n in range(EACH):
            try:
                table.append(row_of(replace(ENDED, facts=replace(FACTS, run_id=f"{writer}-{n}"))))
            except Exception:
                failed.append(traceback.format_exc())

    threads = [threading.Thread(target=append, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [row.meta_dq_run_id for row in spark.read.format("delta").load(name).collect()]
    return {"failed": failed, "rows": len(found), "each once": len(set(found))}


def an_incident_that_another_cluster_closes(spark: Any, folder: str) -> Any:
    told = []
    with Sandbox() as sandbox:
        for cluster, rows in (("a", 10), ("b", 5), ("b", 5)):
            config = {
                **sandbox.config,
                "spark.pd.on.failure": False,
                "spark.pd.on.error_drop_threshold": True,
                "spark.pd.limit.error_drop_threshold": 10,
                "spark.pd.stats.table": "incident_stats",
                "spark.pd.outbox.path": f"{folder}/{cluster}",
            }
            done = run(spark, config, rows)
            told.append([[d.alert.state, d.status] for d in done.deliveries])
        open_now = len(sandbox.open_incidents())
    state = Table(spark, "incident_stats_state", format=None, columns=STATE)
    return {"told": told, "open": open_now, "state rows": state.read().count()}


def columns_of_another_type(spark: Any, folder: str) -> Any:
    """In the catalog, with a column that Delta makes itself, and in a folder."""
    from delta.tables import DeltaTable

    typed = DeltaTable.create(spark).tableName("typed_stats").addColumn("input_count", "TINYINT").addColumn("status", "INT")
    typed = typed.addColumn("started_at", "TIMESTAMP").addColumn("day", "DATE", generatedAlwaysAs="CAST(started_at AS DATE)")
    typed.execute()
    spark.sql(f"CREATE TABLE delta.`{folder}/typed` (input_count TINYINT, status INT) USING delta")
    told = []
    for name in ("typed_stats", f"{folder}/typed"):
        for rows in (100, 200):
            run(spark, {"spark.pd.stats.table": name}, rows)
        found = (spark.read.format("delta").load(name) if "/" in name else spark.table(name)).orderBy("output_count")
        told.append([[row.input_count, row.status, row.output_count, len(row.rules)] for row in found.collect()])
    return told, spark.table("typed_stats").filter("day = CAST(started_at AS DATE)").count()


def an_error_table_whose_columns_are_mapped(spark: Any, folder: str) -> Any:
    """As the target's are: Delta takes a name with a space no other way."""
    told = []
    for target in ("mapped", f"{folder}/mapped"):
        monitor = spark_pd.install(spark, {"se.enable.error.table": True})
        with monitor.run(target, rules=[TENS]) as done:
            frame = done.check(spark.range(1, 101).selectExpr("id", "id AS `order id`"))
            done.write(frame, format="delta", options={"delta.columnMapping.mode": "name"})
        monitor.uninstall()
        name = done.error_table.name
        found = spark.read.format("delta").load(name) if "/" in name else spark.table(name)
        told.append([done.error_table.reason, found.filter("`order id` = id").count()])
    return told


def a_view_of_the_session(spark: Any, folder: str) -> Any:
    """Beside it Spark would make a table of its name, which nobody in the session can see."""
    spark.range(1).createOrReplaceTempView("seen_stats")
    done = run(spark, {"spark.pd.stats.table": "seen_stats"}, 10)
    return done.stats.status, [table.tableType for table in spark.catalog.listTables() if table.name == "seen_stats"]


def after_a_crash(spark: Any, folder: str, place: str) -> Any:
    """What the job that was killed there before left, and what stands in its tables when it ran again."""
    killed = crashed(folder)[place]
    left = killed_job.found(spark, killed, "delta")
    again = killed_job.job(spark, killed, "delta")
    return [left, killed_job.found(spark, killed, "delta"), again.run_id]


def crashed(folder: str) -> dict[str, str]:
    """The folder of each job that is killed, by the place."""
    return {place: f"{folder}/killed-{n}" for n, place in enumerate(killed_job.PLACES)}


SCENARIOS = (
    runs_in_a_folder,
    a_table_of_a_catalog_with_fewer_columns,
    four_writers_at_once,
    an_incident_that_another_cluster_closes,
    columns_of_another_type,
    an_error_table_whose_columns_are_mapped,
    a_view_of_the_session,
)


def main(folder: str) -> None:
    spark = session(folder)
    spark.sparkContext.setLogLevel("OFF")
    scenarios: dict[str, Any] = {do.__name__: do for do in SCENARIOS}
    scenarios |= {f"after_a_crash {place}": partial(after_a_crash, place=place) for place in killed_job.PLACES}
    answer(lambda name: scenarios[name](spark, folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
