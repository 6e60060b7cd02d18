"""Which of a block's queries the statistics are of: the data that was written, not the first query that happened to run."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from counting_blocks import BLOCKS, EITHER, EXACT, UNKNOWN, always_fails, table
from counting_world import assert_stats, counts_of
from flights_data import FLIGHT_RULES, FlightRule, Truth, mappings

SOME_RULES = FLIGHT_RULES[:7]
RULES = mappings(SOME_RULES)


class Broken(Exception):
    """Raised by the tests' own blocks."""


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.do.__name__.strip("<>"))
def test_the_statistics_are_of_what_was_written(monitor, world, block, capsys):
    oracle = world.oracle(SOME_RULES)
    with monitor.run("flights", rules=RULES) as run:
        block.do(world, run.check(world.read()))
    assert_stats(run.stats, oracle.truth(), block.must(monitor.counting))
    if block.rows is not None:
        assert oracle.differences(block.rows, world.written()) == 0


@pytest.mark.parametrize("made", ["read", "checkpointed", "of an RDD"])
@pytest.mark.parametrize("look", ["collect", "count", "nothing"])
def test_the_input_itself_that_is_written_says_nothing_of_the_check(monitor, world, made, look):
    frame = world.read()
    if made == "checkpointed":
        frame = frame.localCheckpoint()
    elif made == "of an RDD":
        frame = world.spark.createDataFrame(frame.rdd, frame.schema)
    with monitor.run("flights", rules=RULES) as run:
        checked = run.check(frame)
        if look != "nothing":
            getattr(checked, look)()
        world.save(frame)
    assert_stats(run.stats, world.oracle(SOME_RULES).truth(), UNKNOWN)
    assert world.oracle(SOME_RULES).differences("SELECT * FROM input", world.written()) == 0


def test_a_command_that_keeps_no_rows_is_no_write(monitor, world):
    with monitor.run("flights", rules=RULES) as run:
        run.check(world.read()).createOrReplaceTempView("checked_view")
        world.spark.sql("DESCRIBE QUERY SELECT * FROM checked_view").collect()
        world.spark.sql("EXPLAIN EXTENDED SELECT * FROM checked_view").collect()
        world.spark.sql("CREATE OR REPLACE TEMPORARY VIEW checked_again AS SELECT * FROM checked_view")
        if not world.spark.version.startswith("3."):
            world.spark.sql("DECLARE OR REPLACE VARIABLE rows_of_it BIGINT DEFAULT 0")
            world.spark.sql("SET VAR rows_of_it = (SELECT count(*) FROM checked_view)")
            world.spark.sql("DROP TEMPORARY VARIABLE rows_of_it")
    assert_stats(run.stats, world.oracle(SOME_RULES).truth(), UNKNOWN)


def test_a_block_that_fails_after_the_write_keeps_the_counts_of_the_write(monitor, world):
    with pytest.raises(Broken), monitor.run("flights", rules=RULES) as run:
        world.save(run.check(world.read()))
        raise Broken
    assert run.stats.status == "errored"
    assert_stats(run.stats, world.oracle(SOME_RULES).truth())


def test_a_block_that_fails_in_the_write_knows_nothing(monitor, world):
    with pytest.raises(Exception, match="always"), monitor.run("flights", rules=RULES) as run:
        world.save(run.check(world.read()).withColumn("z", always_fails()))
    assert run.stats.status == "errored"
    assert counts_of(run.stats) is None


def test_run_write_and_decorated_functions(monitor, world):
    with monitor.run("flights", rules=RULES) as run:
        run.write(run.check(world.read()), world.out, mode="overwrite", format="parquet", partition_by="origin")
    assert_stats(run.stats, world.oracle(SOME_RULES).truth())
    assert world.oracle(SOME_RULES).differences("SELECT * FROM kept", world.written()) == 0

    @monitor.with_expectations("t_decorated", rules=RULES, mode="overwrite")
    def flights() -> Any:
        return world.read()

    with table(world, "t_decorated"):
        decorated = flights()
        world.save(world.spark.table("t_decorated"), "decorated")
    assert_stats(decorated.stats, world.oracle(SOME_RULES).truth())
    assert world.oracle(SOME_RULES).differences("SELECT * FROM kept", world.written("decorated")) == 0


def test_a_rule_with_action_fail_that_holds_counts_like_the_others(monitor, world):
    rules = (*SOME_RULES, FlightRule("has an id", "fail", "id >= 0"))
    with monitor.run("flights", rules=mappings(rules)) as run:
        world.save(run.check(world.read()))
    assert_stats(run.stats, world.oracle(rules).truth())


def test_runs_in_threads_never_mix(monitor, world):
    limits = (300, 1000, 2000)

    def one(limit: int) -> Any:
        rules = (FlightRule("short", "drop", f"distance < {limit}"),)
        with monitor.run(f"flights_{limit}", rules=mappings(rules)) as run:
            world.save(run.check(world.read()).repartition(3, "id"), f"below-{limit}")
        return rules, run

    with ThreadPoolExecutor(3) as pool:
        for (rules, run), limit in zip(pool.map(one, limits), limits, strict=True):
            oracle = world.oracle(rules)
            assert_stats(run.stats, oracle.truth())
            assert oracle.differences("SELECT * FROM kept", world.written(f"below-{limit}")) == 0


def test_a_check_of_a_checked_frame_in_a_run_inside_a_run(monitor, world):
    first, second = FLIGHT_RULES[:5], FLIGHT_RULES[5:12]
    with monitor.run("outer", rules=mappings(first)) as outer:
        checked = outer.check(world.read())
        with monitor.run("inner", rules=mappings(second)) as inner:
            world.save(inner.check(checked))
    oracle = world.oracle(first)
    assert_stats(outer.stats, oracle.truth())
    assert_stats(
        inner.stats,
        world.oracle(
            second, f"SELECT * FROM ({world.rows}) WHERE {' AND '.join(f'NOT {r.bad}' for r in first if r.action == 'drop')}"
        ).truth(),
        # Spark calls the outer check's guarded rules random, and two passes count no random input
        EITHER if monitor.counting == "two_pass" else EXACT,
    )
    written = oracle.row(f"SELECT count(*) FROM ({world.written()})")
    assert inner.stats.output_count in (*written, None)


def test_two_runs_of_one_source_side_by_side(monitor, world):
    with monitor.run("a", rules=RULES) as a, monitor.run("b", rules=RULES) as b:
        one, other = a.check(world.read()), b.check(world.read())
        other.count()
        world.save(one)
    assert_stats(a.stats, world.oracle(SOME_RULES).truth())
    assert counts_of(b.stats) is None


def test_a_frame_that_was_checked_by_a_run_that_is_over(monitor, world):
    with monitor.run("first", rules=RULES) as first:
        checked = first.check(world.read())
        world.save(checked)
    stats = first.stats
    world.save(checked.orderBy("id"), "later")
    with monitor.run("second", rules=RULES) as second:
        world.save(second.check(checked), "again")
    oracle = world.oracle(SOME_RULES)
    for name in ("out", "later", "again"):
        assert oracle.differences("SELECT * FROM kept", world.written(name)) == 0
    assert first.stats is stats
    kept = world.oracle(SOME_RULES, source="SELECT * FROM (" + world.rows + f") WHERE id IN (SELECT id FROM ({world.written()}))")
    assert_stats(second.stats, kept.truth())


def test_a_write_after_the_block_is_not_counted(monitor, world):
    with monitor.run("flights", rules=RULES) as run:
        checked = run.check(world.read())
    world.save(checked)
    assert counts_of(run.stats) is None
    assert world.oracle(SOME_RULES).differences("SELECT * FROM kept", world.written()) == 0


def test_a_run_for_each_micro_batch(monitor, world):
    found: list[Any] = []

    def batch(df: Any, number: int) -> None:
        with monitor.run("stream", rules=RULES) as run:
            run.check(df).write.mode("append").parquet(str(world.out))
        found.append(run.stats)

    stream = world.spark.readStream.schema(world.read().schema).option("maxFilesPerTrigger", 3).parquet(str(world.source))
    query = stream.writeStream.foreachBatch(batch).option("checkpointLocation", str(world.folder / "cp")).trigger(availableNow=True).start()
    assert query.awaitTermination(120)
    oracle = world.oracle(SOME_RULES)
    assert len(found) == 2
    each = [counts_of(stats) for stats in found]
    assert None not in each
    total = Truth(
        sum(c.rows for c in each),
        sum(c.failed for c in each),
        sum(c.dropped for c in each),
        {r.name: sum(c.rules[r.name] for c in each) for r in SOME_RULES},
    )
    assert total == oracle.truth()
    assert oracle.differences("SELECT * FROM kept", world.written()) == 0


@pytest.mark.parametrize("checks", ["its own frame", "the session's monitor"])
def test_another_session_of_the_application(spark, world, monitor, checks):
    import spark_pd

    other = spark.newSession()
    mine = monitor if checks == "its own frame" else spark_pd.install(other, {"spark.pd.counting": monitor.counting})
    with mine.run("flights", rules=RULES) as run:
        world.save(run.check(other.read.parquet(str(world.source))).orderBy("id").select("id"))
    if mine is not monitor:
        mine.uninstall()
    assert_stats(run.stats, world.oracle(SOME_RULES).truth(), EITHER if monitor.counting == "observation" else EXACT)


def test_the_users_thread_properties_stay(monitor, world):
    context = world.spark.sparkContext
    context.setJobGroup("mine", "my description")
    context.setLocalProperty("my.property", "7")
    try:
        with monitor.run("flights", rules=RULES) as run:
            world.save(run.check(world.read()))
        assert [context.getLocalProperty(n) for n in ("spark.jobGroup.id", "spark.job.description", "my.property")] == [
            "mine",
            "my description",
            "7",
        ]
    finally:
        for name in ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel", "my.property"):
            context.setLocalProperty(name, None)
    assert run.stats.exact
    assert threading.active_count() < 50
