"""Counts of a batch whose rows Spark computed more than once are unknown where it counted them so, and right everywhere else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from tests.streaming.shared import BAD, COUNTS_ONCE, DROP, GOOD, ON, decided, open_triggers, outcomes


def through(monitor, source, made, *, rules=(DROP,), start=None):
    """The Watch of a query of all there is, made of the checked stream."""
    with monitor.run("sales.orders", rules=list(rules)) as run:
        checked = made(run.check(source.stream()))
        query = source.start(checked, "orders") if start is None else start(checked)
        watched = monitor.watch(query)
    query.awaitTermination()
    watched.settle()
    return watched


def is_exact_or_unknown(watched, rows: int) -> None:
    """Of a batch whose rows Spark computed twice."""
    if COUNTS_ONCE:
        assert (watched.stats.input_count, watched.stats.exact) == (rows, True)
        return
    (batch,) = watched.batches
    assert (batch.counts, watched.stats.input_count, watched.stats.exact) == (None, None, False)
    assert "more than once" in batch.unknown
    assert decided(watched, "error_drop_threshold") == ("unknown", batch.unknown)
    assert outcomes(watched)["ignored_rules"] == "unknown"


def test_a_range_partitioner_that_reads_a_batch_twice_is_never_a_wrong_count(install, source, pagerduty, caplog):
    source.put(BAD)
    watched = through(install(ON), source, lambda df: df.repartitionByRange(3, "id"))
    is_exact_or_unknown(watched, 4)
    assert source.rows() == [1, 2]
    assert open_triggers(pagerduty) == (["error_drop_threshold"] if COUNTS_ONCE else [])
    assert ("batch 0 is not judged" in caplog.text) is not COUNTS_ONCE


def test_a_stage_that_is_run_again_is_never_a_wrong_count(spark, install, source, tmp_path):
    """The files of the batch's shuffle are lost: the stage that the check is in has to make them again."""
    begun, lost, local = tmp_path / "begun", tmp_path / "lost", Path(spark.conf.get("spark.local.dir"))

    @F.udf("long")
    def lose(x: int) -> int:
        if lost.exists():
            return x
        try:
            begun.touch(exist_ok=False)
        except FileExistsError:  # the other of the first two tasks: none of the others is to begin before the files are gone
            while not lost.exists():
                time.sleep(0.01)
            return x
        for file in local.glob("**/shuffle_*"):
            file.unlink(missing_ok=True)
        lost.touch()
        return x

    # PySpark 4.2.0 by Arrow, its default, sometimes hangs in a plain write of withColumn(udf), without spark_pd
    spark.conf.set("spark.sql.execution.pythonUDF.arrow.enabled", "false")
    try:
        source.put(range(1, 101))
        watched = through(install(ON), source, lambda df: df.repartition(4, "id").select(lose("id").alias("id")))
    finally:
        spark.conf.unset("spark.sql.execution.pythonUDF.arrow.enabled")
    assert lost.exists()
    assert source.rows() == list(range(1, 101))
    is_exact_or_unknown(watched, 100)


def test_a_function_that_reads_its_batch_twice_is_never_a_wrong_count(spark, install, source, tmp_path):
    source.put(GOOD)

    def twice(df, batch_id):
        df.write.format("noop").mode("overwrite").save()
        df.write.format("noop").mode("overwrite").save()

    def start(checked):
        writer = checked.writeStream.foreachBatch(twice).option("checkpointLocation", str(tmp_path / "checkpoint"))
        return writer.trigger(availableNow=True).start()

    is_exact_or_unknown(through(install(ON), source, lambda df: df, start=start), 4)


@pytest.mark.parametrize(
    "made",
    [
        lambda df: df,
        lambda df: df.repartition(3),
        lambda df: df.coalesce(1),
        lambda df: df.union(df.selectExpr("id + 1000 AS id")),
        lambda df: df.withWatermark("at", "1 second").dropDuplicates(["id"]) if "at" in df.columns else df.dropDuplicates(["id"]),
    ],
    ids=["plain", "repartition", "coalesce", "union with itself", "deduplicated"],
)
def test_an_ordinary_batch_of_several_partitions_is_exact(spark, install, source, made):
    monitor = install(ON)
    source.put(range(-50, 450), (), BAD)
    with monitor.run("sales.orders", rules=[DROP]) as run:
        stream = source.stream().repartition(5)  # of which some may be empty
        query = source.start(made(run.check(stream)), "orders")
        watched = monitor.watch(query)
    query.awaitTermination()
    watched.settle()
    assert [(b.batch_id, b.input_count, b.dropped_count, b.unknown) for b in watched.batches] == [(0, 500, 51, None), (2, 4, 2, None)]
    assert watched.stats.exact


def test_the_window_goes_on_without_a_batch_that_could_not_be_counted(spark, install, source, pagerduty, tmp_path):
    """A bad batch opens the incident; one that is computed twice neither closes it nor takes a place in the window."""
    monitor = install({**ON, "spark.pd.stream.batches": 2})
    source.put(BAD, GOOD, GOOD)

    def function(df, batch_id):
        if batch_id == 2:
            df.persist()
        for _ in range(2 if batch_id else 1):
            df.write.format("noop").mode("overwrite").save()
        df.unpersist()

    def start(checked):
        writer = checked.writeStream.foreachBatch(function).option("checkpointLocation", str(tmp_path / "checkpoint"))
        return writer.trigger(availableNow=True).start()

    watched = through(monitor, source, lambda df: df, start=start)
    if COUNTS_ONCE:
        pytest.skip("this Spark counts what it computes again once")
    assert [(b.batch_id, b.input_count) for b in watched.batches] == [(0, 4), (1, None), (2, 4)]
    assert (watched.stats.input_count, watched.stats.dropped_count, watched.stats.exact) == (8, 2, True)
    assert open_triggers(pagerduty) == ["error_drop_threshold"]
