"""monitor.foreach_batch: each micro-batch is a run, and a `fail` rule really stops the stream."""

from __future__ import annotations

import pickle

import pytest

import spark_pd
from tests.streaming.shared import BAD, DROP, GOOD, ON, RULES, decided, open_triggers

NEVER_13 = {"rule": "never_13", "expectation": "id <> 13", "action_if_failed": "fail"}


@pytest.mark.versions
def test_each_batch_is_checked_and_written(spark, install, source, pagerduty, tmp_path):
    monitor = install(ON)
    source.put(GOOD, BAD, GOOD, GOOD)
    seen = []

    def keep(df, batch_id):
        seen.append((batch_id, sorted(row.id for row in df.collect())))
        df.write.mode("append").parquet(str(tmp_path / "out"))

    each = monitor.foreach_batch("orders", rules=RULES, write=keep)
    source.each(each).awaitTermination()
    assert [batch for batch, _ in seen] == [0, 1, 2, 3]
    assert seen[1][1] == [1, 2]
    assert spark.read.parquet(str(tmp_path / "out")).count() == 14
    assert each.batch_id == 3
    assert (each.run.stats.input_count, each.run.stats.exact, each.run.stats.counting) == (4, True, "operator")
    assert open_triggers(pagerduty) == []
    # The bad batch opened it, the next one closed it, and the fourth had nothing to say.
    told = [(e["dedup_key"].rpartition("/")[2], e["event_action"]) for e in pagerduty.events]
    assert [action for trigger, action in told if trigger == "error_drop_threshold"] == ["resolve", "trigger", "resolve"]
    assert [action for trigger, action in told if trigger == "failure"] == ["resolve"]


@pytest.mark.versions
def test_a_fail_rule_stops_the_stream_before_its_batch_is_written_and_the_mended_batch_closes_it(
    spark, install, source, pagerduty, tmp_path
):
    monitor = install(ON)
    path = tmp_path / "out"
    each = monitor.foreach_batch("orders", rules=[DROP, NEVER_13], write=lambda df, _: df.write.mode("append").parquet(str(path)))
    source.put(GOOD, (5, 13))
    query = source.each(each, "orders")
    watched = monitor.watch(query)
    with pytest.raises(Exception, match="never_13"):
        query.awaitTermination()
    watched.settle()
    assert each.run.stats.status == "failed"
    assert spark.read.parquet(str(path)).count() == 4
    (incident,) = pagerduty.open_incidents()  # one, for one breakdown
    assert incident.summary.startswith("orders stopped by 1 rule with action fail: never_13")
    outcome, reason = decided(watched, "query_failure")
    assert outcome == "none"
    assert reason.startswith("query orders failed: spark_pd.RuleFailed: ")
    assert reason.endswith("; the run of its batch 1 reported it as the failure of orders")
    (tmp_path / "in" / "0002.json").write_text('{"id": 5}\n')
    again = source.each(each, "orders")  # Spark gives the same batch again
    watched = monitor.watch(again)
    again.awaitTermination()
    watched.settle()
    assert each.batch_id == 1
    assert spark.read.parquet(str(path)).count() == 5
    assert open_triggers(pagerduty) == []


def ended(source, each, monitor, match):
    """What watches a query of that function, which ends by an error."""
    query = source.each(each, "nightly")
    watched = monitor.watch(query)
    with pytest.raises(Exception, match=match):
        query.awaitTermination()
    watched.settle()
    return watched


def mended(source, each, monitor):
    """Its next start, which completes."""
    query = source.each(each, "nightly")
    watched = monitor.watch(query)
    query.awaitTermination()
    watched.settle()
    return watched


def test_an_error_of_the_user_s_function_is_told_once_and_an_older_query_failure_closes_with_the_next_good_batch(
    install, source, pagerduty
):
    monitor = install(ON)
    errors = ["bucket is gone"]

    def write(df, batch_id):
        if errors:
            raise OSError(errors[0])
        df.write.format("noop").mode("overwrite").save()

    each = monitor.foreach_batch("orders", rules=[DROP], write=write)
    source.put(GOOD)

    def broken(df, batch_id):
        raise ValueError("before the run")

    assert decided(ended(source, broken, monitor, "before the run"), "query_failure")[0] == "firing"
    assert decided(ended(source, each, monitor, "bucket is gone"), "query_failure")[0] == "none"
    assert open_triggers(pagerduty) == ["failure", "query_failure"]
    told = {i.dedup_key.rpartition("/")[2]: i.trigger_count for i in pagerduty.open_incidents()}
    assert told == {"failure": 1, "query_failure": 1}
    errors.clear()
    assert decided(mended(source, each, monitor), "query_failure")[0] == "good"
    assert open_triggers(pagerduty) == []


@pytest.mark.parametrize(
    "silenced",
    [{"spark.pd.on.failure": False}, {"spark.pd.notify.failure": "never"}, {"spark.pd.after.failure": 2}],
    ids=["off", "never", "not yet"],
)
def test_a_failure_that_was_told_to_nobody_is_told_as_the_query_s(install, source, pagerduty, silenced):
    monitor = install({**ON, **silenced})
    source.put((13,))
    watched = ended(source, monitor.foreach_batch("orders", rules=[NEVER_13], format="parquet"), monitor, "never_13")
    assert decided(watched, "query_failure")[0] == "firing"
    assert open_triggers(pagerduty) == ["query_failure"]


def test_a_failure_whose_incident_is_open_already_stands_for_the_query_s_too(install, source, pagerduty, tmp_path):
    monitor = install({**ON, "spark.pd.notify.failure": "change", "spark.pd.outbox.path": str(tmp_path / "outbox")})
    source.put((13,))
    each = monitor.foreach_batch("orders", rules=[NEVER_13], format="parquet")
    ended(source, each, monitor, "never_13")
    again = ended(source, each, monitor, "never_13")
    assert [d.status for d in each.run.deliveries if d.alert.trigger == "failure"] == ["suppressed"]
    assert decided(again, "query_failure")[0] == "none"
    assert [i.trigger_count for i in pagerduty.open_incidents()] == [1]


def test_what_ends_the_query_after_a_batch_that_was_told_is_told(install, source, pagerduty):
    monitor = install(ON)
    each = monitor.foreach_batch("orders", rules=[NEVER_13], write=lambda df, _: df.write.format("noop").mode("overwrite").save())

    def caught(df, batch_id):
        if batch_id == 1:
            raise ValueError("something else")
        with pytest.raises(spark_pd.RuleFailed):
            each(df, batch_id)

    source.put((13,), GOOD)
    watched = ended(source, caught, monitor, "something else")
    assert decided(watched, "query_failure")[0] == "firing"
    assert open_triggers(pagerduty) == ["failure", "query_failure"]


def test_an_empty_batch_closes_no_threshold_and_pages_nobody(spark, install, source, pagerduty):
    monitor = install({**ON, "spark.pd.counting": "operator"})
    each = monitor.foreach_batch("orders", rules=RULES, write=lambda df, _: df.write.format("noop").mode("overwrite").save())
    source.put(BAD, ())
    each(spark.createDataFrame([(n,) for n in BAD], "id long"), 0)
    assert open_triggers(pagerduty) == ["error_drop_threshold"]
    each(spark.createDataFrame([], "id long"), 1)
    assert each.run.stats.input_count == 0
    assert open_triggers(pagerduty) == ["error_drop_threshold"]


def test_without_a_function_of_the_user_s_the_batch_is_appended_to_the_table(spark, install, source):
    monitor = install()
    source.put(GOOD, BAD)
    try:
        source.each(monitor.foreach_batch("stream_orders", rules=RULES, format="parquet")).awaitTermination()
        assert sorted(row.id for row in spark.table("stream_orders").collect()) == sorted([*GOOD, 1, 2])
    finally:
        spark.sql("DROP TABLE IF EXISTS stream_orders")


def test_it_stays_in_the_driver(install):
    with pytest.raises(spark_pd.UsageError, match="over Spark Connect"):
        pickle.dumps(install().foreach_batch("t"))
