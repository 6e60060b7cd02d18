"""monitor.watch: batches counted in the stream itself, judged together, told to PagerDuty."""

from __future__ import annotations

import logging

import pytest

import spark_pd
from tests.streaming.shared import BAD, DROP, GOOD, IGNORE, ON, RULES, open_triggers, outcomes, until


@pytest.mark.versions
def test_bad_batches_open_incidents_and_good_ones_close_them(spark, install, source, pagerduty):
    monitor = install({**ON, "spark.pd.stream.batches": 2, "spark.pd.environment": "prod"})
    source.put(GOOD)
    with monitor.run("sales.orders", rules=RULES, product_id="sales") as run:
        query = source.start(run.check(source.stream()), "orders", now=False)
        watched = monitor.watch(query)
    assert run.stats is None
    until(lambda: len(watched.batches) == 1)
    watched.settle()
    assert open_triggers(pagerduty) == []
    source.put(BAD)
    until(lambda: open_triggers(pagerduty) == ["error_drop_threshold"])
    watched.settle()
    assert (watched.stats.input_count, watched.stats.dropped_count, watched.stats.output_count) == (8, 2, 6)
    assert watched.stats.rule("positive").failed_percentage == 25.0
    assert [(b.batch_id, b.input_count, b.dropped_count) for b in watched.batches] == [(0, 4, 0), (1, 4, 2)]
    incident = pagerduty.open_incidents()[0]
    assert incident.dedup_key == "spark_pd/prod/sales/sales.orders/job=orders/error_drop_threshold"
    assert incident.summary == (
        "[prod] sales.orders dropped 25 % of its rows (2 of 8), threshold 20 %: positive (2 rows, 25 %), "
        "in the last 2 batches with rows, 0 to 1"
    )
    assert incident.details["query"] == "orders"
    source.put(GOOD)
    until(lambda: len(watched.batches) == 2 and watched.batches[-1].batch_id == 2)
    watched.settle()
    assert open_triggers(pagerduty) == ["error_drop_threshold"]  # the window still has the bad batch
    source.put(GOOD)
    until(lambda: open_triggers(pagerduty) == [])
    query.stop()
    watched.settle()
    assert watched.is_over
    assert source.rows() == sorted([*GOOD * 3, 1, 2])
    assert [(a.trigger, a.state) for a in watched.alerts] == [
        ("error_drop_threshold", "resolved"),
        ("ignored_rules", "resolved"),
        ("query_failure", "resolved"),
        ("error_drop_threshold", "firing"),
        ("error_drop_threshold", "resolved"),
    ]
    assert {d.status for d in watched.deliveries} == {"sent"}
    assert pagerduty.incidents()[0].trigger_count == 1


def test_an_expectation_that_raises_an_error_is_a_failed_row(spark, install, source, request):
    ansi = spark.conf.get("spark.sql.ansi.enabled")
    request.addfinalizer(lambda: spark.conf.set("spark.sql.ansi.enabled", ansi))
    spark.conf.set("spark.sql.ansi.enabled", "true")
    source.put((1, 2, 3, 4), (3, 3, 5))
    rules = [
        {"rule": "share", "expectation": "10 / (id - 3) > 5", "action_if_failed": "drop"},
        {"rule": "again", "expectation": "10 / (id - 3) < 0"},
    ]
    monitor = install({"spark.pd.stream.batches": 2})
    with monitor.run("orders", rules=rules) as run:
        query = source.start(run.check(source.stream()))
        watched = monitor.watch(query)
    query.awaitTermination()
    until(lambda: watched.is_over)
    watched.settle()
    assert [(b.input_count, b.dropped_count) for b in watched.batches] == [(4, 3), (3, 3)]
    assert [rule.failed_count for rule in watched.stats.rules] == [6, 5]
    assert source.rows() == [4]


@pytest.mark.versions
def test_a_query_that_was_over_before_it_was_watched_is_judged_all_the_same(install, source, pagerduty):
    monitor = install(ON)
    source.put(BAD, (100,))
    with monitor.run("sales.orders", rules=RULES) as run:
        query = source.start(run.check(source.stream()))
    query.awaitTermination()
    watched = monitor.watch(query)
    assert watched.is_over
    assert outcomes(watched)["error_drop_threshold"] == outcomes(watched)["ignored_rules"] == "firing"
    assert open_triggers(pagerduty) == ["error_drop_threshold", "ignored_rules"]
    assert [d.trigger for d in watched.decisions] == [d.trigger for d in run.decisions]
    assert outcomes(watched)["completion"] == outcomes(watched)["query_failure"].replace("good", "none") == "none"


def test_the_run_s_own_block_judges_no_batch_and_says_who_does(install, source, caplog):
    monitor = install(ON)
    source.put(BAD)
    with monitor.run("sales.orders", rules=RULES) as run:
        run.check(source.stream())
        with pytest.raises(spark_pd.UsageError, match="checked a DataFrame already"):
            run.check(source.stream())
    reasons = {d.trigger: (d.outcome, d.reason) for d in run.decisions}
    assert reasons["error_drop_threshold"] == ("none", "the run checked a stream: monitor.watch judges its batches")
    assert reasons["failure"][0] == "good"
    assert "nobody watches: call monitor.watch(query)" in caplog.text


def test_a_start_and_empty_batches_page_nobody_and_judge_nothing(spark, install, source, pagerduty):
    monitor = install({**ON, "spark.pd.on.start": True, "spark.pd.on.completion": True})
    with monitor.run("t", rules=[{**DROP, "expectation": "value > 5"}]) as run:
        stream = spark.readStream.format("rate").option("rowsPerSecond", 1).load().filter("value < 0")
        query = run.check(stream).writeStream.format("noop").trigger(processingTime="50 milliseconds").start()
        watched = monitor.watch(query)
    resolved_at_start = len(pagerduty.events)
    until(lambda: (query.lastProgress or {"batchId": 0})["batchId"] >= 2)
    query.stop()
    watched.settle()
    assert watched.stats is None
    assert watched.batches == ()
    assert outcomes(watched) == dict.fromkeys(outcomes(watched), "none") | {"query_failure": outcomes(watched)["query_failure"]}
    told = [e["payload"]["class"] if "payload" in e else e["dedup_key"].rpartition("/")[2] for e in pagerduty.events[resolved_at_start:]]
    assert set(told) <= {"query_failure"}
    assert {e["event_action"] for e in pagerduty.events[resolved_at_start:]} <= {"resolve"}


def test_an_unnamed_query_is_known_by_its_checkpoint_and_another_one_is_another_subject(install, source):
    monitor = install(ON)
    source.put(GOOD)
    found = []
    for checkpoint in ("a", "b", "a"):
        with monitor.run("t", rules=RULES) as run:
            query = source.start(run.check(source.stream()), checkpoint=checkpoint)
            query.awaitTermination()
            found.append(monitor.watch(query))
    first, other, again = (watched.subject for watched in found)
    assert first == again != other
    assert first.job is not None
    assert first.job.startswith("a-")
    assert found[0].run_id != found[2].run_id


def test_rules_that_no_stream_can_be_judged_by_are_refused_together(install, source):
    whole = {"rule": "enough", "rule_type": "agg_dq", "expectation": "count(*) > 1"}
    rules = [DROP, {**IGNORE, "action_if_failed": "fail"}, whole]
    with pytest.raises(spark_pd.UsageError) as raised, install().run("t", rules=rules) as run:
        run.check(source.stream())
    for part in ("below_90 with action fail", "enough of type agg_dq", "monitor.foreach_batch"):
        assert part in str(raised.value)
    with (
        pytest.raises(spark_pd.RulesError, match="there is no column nothing"),
        install().run("t", rules=[{"rule": "x", "expectation": "nothing > 1"}]) as run,
    ):
        run.check(source.stream())


def test_what_is_no_query_is_refused(install, spark):
    with pytest.raises(spark_pd.UsageError, match="takes the StreamingQuery"):
        install().watch(spark.range(3))
    monitor = install()
    monitor.uninstall()
    with pytest.raises(spark_pd.UsageError, match="uninstalled"):
        monitor.watch(None)


def test_a_policy_that_waits_for_bad_runs_counts_bad_batches(install, source, pagerduty):
    monitor = install({**ON, "spark.pd.after.error_drop_threshold": 3})
    source.put(BAD, BAD)
    with monitor.run("t", rules=RULES) as run:
        query = source.start(run.check(source.stream()), now=False)
        watched = monitor.watch(query)
    until(lambda: len(watched.batches) == 2)
    watched.settle()
    assert open_triggers(pagerduty) == []
    assert "bad run 2 of the 3 in a row" in {d.trigger: d.reason for d in watched.decisions}["error_drop_threshold"]
    source.put(BAD)
    until(lambda: open_triggers(pagerduty) == ["error_drop_threshold"])


@pytest.mark.versions
def test_the_listener_is_there_as_long_as_a_query_is_watched(spark, install, source, caplog):
    caplog.set_level(logging.INFO)
    monitor = install()
    source.put(GOOD)
    first = source.start(source.stream(), checkpoint="a", now=False)
    second = source.start(source.stream(), checkpoint="b", now=False)
    watches = [monitor.watch(query) for query in (first, second)]
    manager = spark.streams._jsqm
    assert len(manager.listListeners()) == 1
    assert monitor.watch(first) is watches[0]
    watches[0].stop()
    assert len(manager.listListeners()) == 1
    assert first.isActive
    monitor.uninstall()
    assert len(manager.listListeners()) == 0
    assert second.isActive
    assert "no streaming listener" not in caplog.text
