"""A client of a Spark Connect server, in a process of its own: classic PySpark and Connect do not share one.

It plays the scenarios that it reads from standard input, and prints JSON.

python connect_job.py sc://HOST:PORT FOLDER
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import spark_pd
from spark_pd import RuleFailed, RulesError
from spark_pd.sandbox import Sandbox
from spark_pd.spark import run_lifecycle as lifecycle
from tests.jobs import answer

RULES = [
    {"rule": "tenth", "expectation": "id % 10 <> 0", "action_if_failed": "drop"},
    {"rule": "third", "expectation": "id % 3 <> 0", "action_if_failed": "ignore"},
]
SCENARIOS: dict[str, Callable[[Any, Any, str], Any]] = {}


def scenario(do: Callable[[Any, Any, str], Any]) -> Callable[[Any, Any, str], Any]:
    SCENARIOS[do.__name__] = do
    return do


def numbers(spark: Any) -> Any:
    return spark.range(0, 1000, 1, 4)


def told(run: Any, rows: int | None = None) -> dict[str, Any]:
    stats = run.stats
    return {
        "exact": stats.exact,
        "status": stats.status,
        "counting": stats.counting,
        "counts": [stats.input_count, stats.error_count, stats.dropped_count, stats.output_count],
        "rules": [rule.failed_count for rule in stats.rules],
        "rows": None if rows is None else int(rows),  # numpy's on PySpark 3.5
    }


def used(
    use: Callable[[Any, str], None], *, rules: Any = RULES, frame: Any = numbers, reads: bool = True
) -> Callable[[Any, Any, str], Any]:
    """A scenario: a block that checks and then does so; what stands in the folder afterwards is counted."""

    def do(spark: Any, monitor: Any, folder: str) -> Any:
        with monitor.run("numbers", rules=rules) as run:
            use(run.check(frame(spark)), folder)
        return told(run, spark.read.parquet(folder).count() if reads else None)

    return do


def refused(use: Callable[[], object]) -> None:
    """The use fails."""
    try:
        use()
    except Exception:
        return
    raise AssertionError("it did not fail")


def save(df: Any, folder: str) -> None:
    df.write.mode("overwrite").parquet(folder)


def look_then_save(df: Any, folder: str) -> None:
    df.show(2), df.count(), df.limit(3).collect()
    save(df, folder)


def cache_then_save(df: Any, folder: str) -> None:
    df = df.cache()
    df.count()
    save(df, folder)
    df.unpersist()


def write_to(df: Any, folder: str) -> None:
    df.sparkSession.sql("DROP TABLE IF EXISTS t_connect_v2")
    df.writeTo("t_connect_v2").using("parquet").create()
    df.sparkSession.sql("SELECT * FROM t_connect_v2").write.mode("overwrite").parquet(folder)


def save_as_table(df: Any, folder: str) -> None:
    df.write.mode("overwrite").saveAsTable("t_connect")
    df.sparkSession.table("t_connect").write.mode("overwrite").parquet(folder)


def create_by_sql(df: Any, folder: str) -> None:
    df.createOrReplaceTempView("checked_view")
    df.sparkSession.sql("DROP TABLE IF EXISTS t_connect_sql")
    df.sparkSession.sql("CREATE TABLE t_connect_sql USING parquet AS SELECT * FROM checked_view")
    df.sparkSession.table("t_connect_sql").write.mode("overwrite").parquet(folder)


SCENARIOS.update(
    plain=used(save),
    sorted=used(lambda d, f: save(d.orderBy("id"), f)),
    joined=used(lambda d, f: save(d.join(d.sparkSession.range(0, 1000), "id"), f)),
    filtered=used(lambda d, f: save(d.filter("id >= 0").select("id"), f)),
    looked_at_first=used(look_then_save),
    cached=used(cache_then_save),
    by_table=used(save_as_table),
    by_write_to=used(write_to),
    by_sql=used(create_by_sql),
    written_twice=used(lambda d, f: (save(d, f), save(d.orderBy("id"), f))),  # type: ignore[arg-type,return-value]
    empty=used(save, frame=lambda s: numbers(s).filter("id < 0")),
    all_bad=used(save, rules=[{"rule": "no", "expectation": "id < 0", "action_if_failed": "drop"}]),
    no_rules=used(save, rules=[]),
    never_written=used(lambda d, f: None, reads=False),
    only_looked_at=used(lambda d, f: (d.show(2), d.count()), reads=False),  # type: ignore[arg-type,return-value]
    other_written=used(lambda d, f: save(numbers(d.sparkSession), f)),
    failed_write=used(lambda d, f: refused(lambda: save(d.selectExpr("id", "assert_true(id < 500) AS a"), f)), reads=False),
    random_input=used(save, frame=lambda s: numbers(s).selectExpr("CAST(rand() * 1000 AS BIGINT) AS id")),
    random_rule=used(save, rules=[{"rule": "coin", "expectation": "rand() < 0.5", "action_if_failed": "drop"}]),
)


@scenario
def install(spark: Any, monitor: Any, folder: str) -> Any:
    return {"counting": monitor.counting}


@scenario
def run_write(spark: Any, monitor: Any, folder: str) -> Any:
    with monitor.run("numbers", rules=RULES) as run:
        run.write(run.check(numbers(spark)), Path(folder), mode="overwrite", format="parquet")
    return told(run, spark.read.parquet(folder).count())


@scenario
def whole_rules(spark: Any, monitor: Any, folder: str) -> Any:
    rules = [
        *RULES,
        {"rule": "rows", "rule_type": "agg_dq", "expectation": "count(*) >= 950"},
        {"rule": "lost", "rule_type": "query_dq", "expectation": "(SELECT count(*) FROM {source}) - (SELECT count(*) FROM {target}) < 100"},
    ]
    with monitor.run("numbers", rules=rules) as run:
        save(run.check(numbers(spark)), folder)
    return {rule.name: [rule.status, rule.observed, rule.judged_on] for rule in run.stats.rules}


@scenario
def source_grows(spark: Any, monitor: Any, folder: str) -> Any:
    source = f"{folder}_source"
    save(numbers(spark), source)
    with monitor.run("numbers", rules=RULES) as run:
        checked = run.check(spark.read.parquet(source))
        numbers(spark).limit(100).write.mode("append").parquet(source)
        save(checked, folder)
    return told(run, spark.read.parquet(folder).count())


@scenario
def fail_rule(spark: Any, monitor: Any, folder: str) -> Any:
    rules = [*RULES, {"rule": "below", "expectation": "id < 990", "action_if_failed": "fail"}]
    run = monitor.run("numbers", rules=rules)
    try:
        with run:
            save(run.check(numbers(spark)), folder)
    except RuleFailed as failed:
        return {**told(run), "failed": [[rule.name, rule.failed_count] for rule in failed.rules], "target": Path(folder).exists()}
    return "RuleFailed was not raised"


@scenario
def bad_rules(spark: Any, monitor: Any, folder: str) -> Any:
    rules = [
        *RULES,
        {"rule": "a", "expectation": "id <"},
        {"rule": "b", "expectation": "nothing > 1"},
        {"rule": "c", "expectation": "count(*) > 1"},
    ]
    try:
        with monitor.run("numbers", rules=rules) as run:
            run.check(numbers(spark))
    except RulesError as error:
        return {"mistakes": len(error.mistakes), "named": [name in str(error) for name in ("'a'", "'b'", "'c'")]}
    return "RulesError was not raised"


@scenario
def not_evaluable(spark: Any, monitor: Any, folder: str) -> Any:
    ansi = spark.conf.get("spark.sql.ansi.enabled")
    spark.conf.set("spark.sql.ansi.enabled", "true")
    rules = [
        {"rule": "number", "expectation": "cast(text as int) >= 0", "action_if_failed": "drop"},
        {"rule": "again", "expectation": "cast(text as int) < 10"},
        {"rule": "zero", "expectation": "1 / (id - 3) < 1 / 0"},
        {"rule": "largest", "rule_type": "agg_dq", "expectation": "max(cast(text as int)) > 0"},
    ]
    with monitor.run("numbers", rules=rules) as run:
        save(run.check(spark.sql("SELECT id, if(id = 7, 'x', cast(id AS string)) AS text FROM range(10)")), folder)
    spark.conf.set("spark.sql.ansi.enabled", ansi)
    results = [[rule.status, rule.failed_count, rule.evaluation_errors, rule.reason] for rule in run.stats.rules]
    return [run.stats.exact, spark.read.parquet(folder).count(), results]


@scenario
def two_threads(spark: Any, monitor: Any, folder: str) -> Any:
    runs: dict[int, Any] = {}

    def one(divisor: int) -> None:
        with monitor.run(
            f"numbers_{divisor}", rules=[{"rule": "r", "expectation": f"id % {divisor} <> 0", "action_if_failed": "drop"}]
        ) as run:
            save(run.check(numbers(spark)), f"{folder}/{divisor}")
        runs[divisor] = run

    threads = [threading.Thread(target=one, args=(divisor,)) for divisor in (2, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {str(d): told(run, spark.read.parquet(f"{folder}/{d}").count()) for d, run in runs.items()}


@scenario
def left_as_it_was(spark: Any, monitor: Any, folder: str) -> Any:
    return "execute_command" not in vars(spark.client)


@scenario
def incident(spark: Any, monitor: Any, folder: str) -> Any:
    with Sandbox() as pagerduty:
        config = {**pagerduty.config, "spark.pd.on.error_drop_threshold": True, "spark.expectations.notifications.error.drop.threshold": 5}
        paging = spark_pd.install(spark, {**config, "spark.pd.environment": "test"})
        with paging.run("numbers", rules=RULES) as bad:
            save(bad.check(numbers(spark)), folder)
        opened = [(i.severity, i.dedup_key) for i in pagerduty.open_incidents()]
        with paging.run("numbers", rules=RULES) as good:
            save(good.check(numbers(spark).filter("id % 10 <> 0")), folder)
        return {
            "opened": opened,
            "open": len(pagerduty.open_incidents()),
            "statuses": [i.status for i in pagerduty.incidents()],
            "deliveries": [d.status for run in (bad, good) for d in run.deliveries],
        }


@scenario
def error_table(spark: Any, monitor: Any, folder: str) -> Any:
    config = {"se.enable.error.table": True, "spark.pd.samples": 2, "spark.pd.samples.columns": "id"}
    keeping = spark_pd.install(spark, config)
    rules = [*RULES, {"rule": "never_7", "expectation": "id <> 7", "action_if_failed": "fail"}]
    stopped = keeping.run("numbers", rules=rules)
    try:
        with stopped:
            stopped.write(stopped.check(numbers(spark)), folder)
    except RuleFailed:
        found = [kept(spark, stopped)]
    with keeping.run("numbers", rules=RULES) as run:
        run.write(run.check(numbers(spark).selectExpr("id", "id AS other")), folder, format="parquet")
    with keeping.run("sales.numbers", rules=RULES) as lost:  # there is no such schema
        save(lost.check(numbers(spark)), folder)
    samples = {rule.name: [list(row.values()) for row in rule.samples] for rule in run.stats.rules}
    return {
        "found": [*found, kept(spark, run)],
        "samples": samples,
        "lost": [lost.stats.status, lost.error_table.written, lost.error_table.exact],
    }


def kept(spark: Any, run: Any) -> Any:
    """What became of the error table, the number of its rows, and of the rules that they failed."""
    outcome = run.error_table
    table = spark.read.parquet(outcome.name) if "/" in outcome.name else spark.table(outcome.name)
    rows = table.filter(table.meta_dq_run_id == run.run_id).select("meta_row_dq_results").collect()
    if "/" not in outcome.name:
        spark.sql(f"DROP TABLE {outcome.name}")
    return [outcome.written, outcome.rows, outcome.exact, len(rows), sum(len(row[0]) for row in rows)]


@scenario
def stats_table(spark: Any, monitor: Any, folder: str) -> Any:
    """A row for each run, and a state that says when nothing is open."""
    told = []
    with Sandbox() as pagerduty:
        config = {**pagerduty.config, "spark.pd.on.error_drop_threshold": True, "spark.expectations.notifications.error.drop.threshold": 5}
        for rows in (numbers(spark), *[numbers(spark).filter("id % 10 <> 0")] * 2):
            paging = spark_pd.install(spark, {**config, "spark.pd.stats.table": f"{folder}/stats"})
            with paging.run("numbers", rules=RULES) as run:
                save(run.check(rows), f"{folder}/numbers")
            told.append([[d.alert.trigger, d.alert.state, d.status] for d in run.deliveries])
    rows = spark.read.parquet(f"{folder}/stats").orderBy("started_at").select("input_count", "dropped_count", "exact", "rules").collect()
    return {"told": told, "rows": [[row.input_count, row.dropped_count, row.exact, row.rules[0].failed_count] for row in rows]}


@scenario
def stream(spark: Any, monitor: Any, folder: str) -> Any:
    """A query that is watched goes bad, starts again and is good, and then fails."""
    read = Path(folder) / "in"
    read.mkdir(parents=True)

    def through(paging: Any, rows: range, broken: bool = False) -> Any:
        (read / f"{rows.start}.json").write_text("".join(json.dumps({"id": n}) + "\n" for n in rows))
        with paging.run("numbers", rules=RULES) as run:
            checked = run.check(spark.readStream.schema("id long").json(str(read)))
            written = checked.selectExpr("raise_error('boom') AS id") if broken else checked
            writer = written.writeStream.format("parquet").option("checkpointLocation", f"{folder}/checkpoint").queryName("stream")
            query = writer.option("path", f"{folder}/out").trigger(availableNow=True).start()
            watched = paging.watch(query)
        until = time.monotonic() + 60
        while not watched.is_over and time.monotonic() < until:  # the listener tells, or the query is asked
            time.sleep(0.05)
        exact.append(watched.stats.exact)
        return [watched.is_over, [b.input_count for b in watched.batches], [b.dropped_count for b in watched.batches]]

    exact: list[bool] = []
    with Sandbox() as pagerduty:
        config = {**pagerduty.config, "spark.pd.on.error_drop_threshold": True, "spark.expectations.notifications.error.drop.threshold": 9}
        paging = spark_pd.install(spark, {**config, "spark.pd.stream.batches": 2})
        found = []
        for rows, broken in ((range(100), False), (range(101, 110), False), (range(111, 120), True)):
            found.append([*through(paging, rows, broken), [i.dedup_key for i in pagerduty.open_incidents()]])
        paging.uninstall()
        return {"found": found, "written": int(spark.read.parquet(f"{folder}/out").count()), "exact": exact}


@scenario
def listener(spark: Any, monitor: Any, folder: str) -> Any:
    """There is none, which is said once, and to who insists."""
    said: list[str] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: said.append(record.levelname)  # type: ignore[method-assign]
    log = logging.getLogger("spark_pd.lifecycle")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    lifecycle._said.clear()
    try:
        with [spark_pd.install(spark) for _ in range(2)][1].run("numbers") as run:
            pass
        spark_pd.install(spark, lifecycle=True)
    except spark_pd.UsageError as error:
        return {"said": said, "lifecycle": run.lifecycle, "error": "Connect" in str(error)}
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)


def main(url: str, folder: str) -> None:
    import pyspark
    from pyspark.sql import SparkSession

    try:
        spark = SparkSession.builder.remote(url).getOrCreate()
        spark.range(3).count()
    except Exception as error:
        if not pyspark.__version__.startswith("3."):
            raise
        why = " ".join(str(error).split())[:300]
        print(f"UNAVAILABLE the Connect client of PySpark {pyspark.__version__} does not work with the packages here: {why}", flush=True)
        raise SystemExit(0) from None
    monitor = spark_pd.install(spark)
    answer(lambda name: SCENARIOS[name](spark, monitor, f"{folder}/{name}"))


if __name__ == "__main__":
    main(*sys.argv[1:])
