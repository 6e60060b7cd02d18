"""Checked data written to Delta tables, in a session of its own: Delta's extensions cannot be added to one that runs.

It plays the scenarios that it reads from standard input, such as "operator merge", and prints JSON.

python delta_job.py FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import spark_pd
from spark_pd import RuleFailed
from tests.jobs import answer

RULES = [
    {"rule": "tenth", "expectation": "id % 10 <> 0", "action_if_failed": "drop"},
    {"rule": "third", "expectation": "id % 3 <> 0", "action_if_failed": "ignore"},
]
FAIL = {"rule": "never_7", "expectation": "id <> 7", "action_if_failed": "fail"}
OVER = {"overwriteSchema": "true"}
SCENARIOS: dict[str, Callable[[Job], Any]] = {}


def scenario(do: Callable[[Job], Any]) -> Callable[[Job], Any]:
    SCENARIOS[do.__name__] = do
    return do


def session(folder: str) -> Any:
    from delta import configure_spark_with_delta_pip
    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.local.dir": f"{folder}/local",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        spark = configure_spark_with_delta_pip(builder).getOrCreate()
        spark.range(1).write.format("delta").save(f"{folder}/proof")
    except Exception as error:
        print("UNAVAILABLE Delta's jars could not be had: " + " ".join(str(error).split())[:300], flush=True)
        raise SystemExit(0) from None
    return spark


class Job:
    """One way of counting; a scenario does something with the numbers, checked, and counts what stands in the table then."""

    def __init__(self, spark: Any, counting: str, folder: str) -> None:
        self.spark = spark
        self.counting = counting
        self.monitor = spark_pd.install(spark, {"spark.pd.counting": counting})
        self.errors = spark_pd.install(spark, {"spark.pd.counting": counting, "se.enable.error.table": True})
        self.folder = folder

    def numbers(self) -> Any:
        return self.spark.range(0, 1000, 1, 4).selectExpr("id", "id % 4 AS part", "CAST(id AS DOUBLE) AS amount")

    def checked(self, use: Callable[[Any], None], frame: Any = None) -> list[Any]:
        return self.counts(self.run(use, self.numbers() if frame is None else frame, RULES))

    def run(self, use: Callable[[Any], None], frame: Any, rules: list[dict[str, str]]) -> Any:
        with self.monitor.run("numbers", rules=rules) as run:
            use(run.check(frame))
        return run.stats

    def counts(self, stats: Any) -> list[Any]:
        return [
            stats.exact,
            [stats.input_count, stats.error_count, stats.dropped_count, stats.output_count],
            [r.failed_count for r in stats.rules],
        ]

    def path(self, name: str) -> str:
        return f"{self.folder}/{name}"

    def written(self, name: str) -> list[int]:
        row = self.spark.read.format("delta").load(self.path(name)).selectExpr("count(*)", "coalesce(sum(id), 0)").collect()[0]
        return [row[0], row[1]]

    def table(self, name: str) -> Any:
        """A table of every second number with no amount, to merge into."""
        from delta import DeltaTable

        self.spark.range(0, 1000, 2).selectExpr("id", "id % 4 AS part", "0D AS amount").write.format("delta").save(self.path(name))
        return DeltaTable.forPath(self.spark, self.path(name)).alias("t")

    def updated(self, name: str) -> int:
        return int(self.spark.read.format("delta").load(self.path(name)).filter("amount = id AND id > 0").count())


@scenario
def write(job: Job) -> Any:
    return job.checked(lambda d: d.write.format("delta").save(job.path("write"))), job.written("write")


@scenario
def sorted_write(job: Job) -> Any:
    return job.checked(lambda d: d.orderBy("amount").write.format("delta").save(job.path("sorted"))), job.written("sorted")


@scenario
def append(job: Job) -> Any:
    job.numbers().filter("id < 10").write.format("delta").save(job.path("append"))
    return job.checked(lambda d: d.write.format("delta").mode("append").save(job.path("append"))), job.written("append")


@scenario
def overwrite_partitioned(job: Job) -> Any:
    job.numbers().write.format("delta").save(job.path("over"))

    def use(d: Any) -> None:
        d.write.format("delta").mode("overwrite").option("overwriteSchema", "true").partitionBy("part").save(job.path("over"))

    return job.checked(use), job.written("over")


@scenario
def replace_where(job: Job) -> Any:
    job.numbers().write.format("delta").save(job.path("replace"))
    return job.checked(
        lambda d: d.write.format("delta").mode("overwrite").option("replaceWhere", "id >= 0").save(job.path("replace"))
    ), job.written("replace")


@scenario
def save_as_table(job: Job) -> Any:
    found = job.checked(lambda d: d.write.format("delta").saveAsTable(f"t_{job.counting}"))
    return found, [job.spark.table(f"t_{job.counting}").count()]


@scenario
def merge(job: Job) -> Any:
    table = job.table("merge")

    def use(d: Any) -> None:
        table.merge(d.alias("s"), "t.id = s.id").whenMatchedUpdate(set={"amount": "s.amount"}).whenNotMatchedInsertAll().execute()

    return job.checked(use), [job.written("merge")[0], job.updated("merge")]


@scenario
def merge_insert_only(job: Job) -> Any:
    table = job.table("inserted")
    return job.checked(lambda d: table.merge(d.alias("s"), "t.id = s.id").whenNotMatchedInsertAll().execute()), [
        job.written("inserted")[0],
        job.updated("inserted"),
    ]


@scenario
def merge_not_materialized(job: Job) -> Any:
    job.spark.conf.set("spark.databricks.delta.merge.materializeSource", "none")
    table = job.table("direct")

    def use(d: Any) -> None:
        table.merge(d.alias("s"), "t.id = s.id").whenMatchedUpdate(set={"amount": "s.amount"}).whenNotMatchedInsertAll().execute()

    try:
        return job.checked(use), [job.written("direct")[0], job.updated("direct")]
    finally:
        job.spark.conf.set("spark.databricks.delta.merge.materializeSource", "auto")


@scenario
def merge_by_sql(job: Job) -> Any:
    job.table("sql")

    def use(d: Any) -> None:
        d.createOrReplaceTempView("checked_view")
        job.spark.sql(f"MERGE INTO delta.`{job.path('sql')}` t USING checked_view s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *")

    return job.checked(use), [job.written("sql")[0], job.updated("sql")]


@scenario
def delta_source(job: Job) -> Any:
    job.numbers().write.format("delta").save(job.path("source"))
    source = job.spark.read.format("delta").load(job.path("source"))
    return job.checked(lambda d: d.write.format("delta").save(job.path("copied")), source), job.written("copied")


@scenario
def another_table_written(job: Job) -> Any:
    return job.checked(lambda d: (d.count(), job.numbers().write.format("delta").save(job.path("other")))), job.written("other")


@scenario
def source_grows_before_the_write(job: Job) -> Any:
    job.numbers().write.format("delta").save(job.path("grows"))
    source = job.spark.read.format("delta").load(job.path("grows"))

    def use(d: Any) -> None:
        job.spark.range(1000, 1100).selectExpr("id", "id % 4 AS part", "0D AS amount").write.format("delta").mode("append").save(
            job.path("grows")
        )
        d.write.format("delta").save(job.path("grown"))

    return job.checked(use, source), job.written("grown")


# ---- error tables: what became of it, and the number of its rows, then of those with each of two columns -------------------------


def kept(job: Job, run: Any) -> list[Any]:
    outcome = run.error_table
    reader = job.spark.read.format("delta").load(outcome.name) if "/" in outcome.name else job.spark.table(outcome.name)
    own = reader.filter(f"meta_dq_run_id = '{run.run_id}'")
    return [outcome.written, outcome.rows, outcome.exact, own.count(), int(own.selectExpr("sum(size(meta_row_dq_results))").first()[0])]


@scenario
def error_table_that_grows(job: Job) -> Any:
    """The second run has one column more, the third one less: Delta's schema evolves."""
    told = []
    for columns in (["*"], ["*", "named_struct('x', id) AS more"], ["id"]):
        with job.errors.run("numbers", rules=RULES) as run:
            run.write(
                run.check(job.numbers().selectExpr(*columns)), job.path("grown_errors"), mode="overwrite", format="delta", options=OVER
            )
        told.append(kept(job, run))
    table = job.spark.read.format("delta").load(job.path("grown_errors_error"))
    return told, [*table.selectExpr("count(*)", "count(amount)", "count(more.x)").first()]


@scenario
def error_table_in_the_catalog(job: Job) -> Any:
    """The user writes a Delta table himself: its error table has its format."""
    target = f"errors_{job.counting}"
    job.numbers().limit(0).write.format("delta").saveAsTable(target)
    with job.errors.run(target, rules=RULES) as run:
        run.check(job.numbers()).write.format("delta").mode("append").saveAsTable(target)
    (format,) = job.spark.sql(f"DESCRIBE DETAIL {target}_error").select("format").first()
    return kept(job, run), format


@scenario
def fail_before_a_merge(job: Job) -> Any:
    """A rule with action fail stops the run before the user's own function merges: the table has no new version."""
    table = job.table("never_merged")
    versions = table.history().count()

    def merge(frame: Any) -> None:
        (
            table.merge(frame.alias("s"), "t.id = s.id")
            .whenMatchedUpdate(set={"amount": "s.amount"})
            .whenNotMatchedInsert(values={"id": "s.id", "part": "s.part", "amount": "s.amount"})
            .execute()
        )

    stopped = False
    try:
        with job.errors.run(f"never_merged_{job.counting}", rules=[*RULES, FAIL]) as run:
            merge(run.check(job.numbers()))
    except RuleFailed:
        stopped = True
    return [stopped, table.history().count() == versions, *kept(job, run)], job.written("never_merged")


@scenario
def aggregates_ride_along(job: Job) -> Any:
    """Of a merge, whose source Delta reads in queries of its own."""
    table = job.table("ridden")

    def use(d: Any) -> None:
        table.merge(d.alias("s"), "t.id = s.id").whenMatchedUpdate(set={"amount": "s.amount"}).whenNotMatchedInsertAll().execute()

    total = {"rule": "total", "rule_type": "agg_dq", "expectation": "sum(id) > 450000"}
    stats = job.run(use, job.numbers(), [*RULES, total])
    rule = stats.rule("total")
    return stats.exact, rule.status, rule.observed, rule.judged_on


def main(folder: str) -> None:
    spark = session(folder)
    spark.sparkContext.setLogLevel("OFF")
    jobs: dict[str, Job] = {}

    def play(asked: str) -> Any:
        counting, name = asked.split()
        if counting not in jobs:
            jobs[counting] = Job(spark, counting, f"{folder}/{counting}")
        return SCENARIOS[name](jobs[counting])

    answer(play)


if __name__ == "__main__":
    main(*sys.argv[1:])
