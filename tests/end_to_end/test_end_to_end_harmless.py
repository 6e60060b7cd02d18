"""Alerting never changes the job: not its result, its exception, its time, its settings; and it never shows a key."""

from __future__ import annotations

import logging
import pickle
import threading
import time
from typing import Any

import pytest

import spark_pd
from spark_pd import user_config
from tests.end_to_end.shared import ALL_ON, RULES, THRESHOLD_ON, write

THRESHOLD = {**THRESHOLD_ON, user_config.se_notifications_on_error_drop_threshold: 5}


@pytest.mark.parametrize("fault", ["429", "500", "hang", "reset", "drip", "not_json", "redirect", "403"])
def test_pagerduty_in_trouble_leaves_result_and_exception_as_they_were(spark, pagerduty, install, fault):
    monitor = install({**THRESHOLD, "spark.pd.deadline": 0.5})
    pagerduty.fault(fault)
    with monitor.run("t", rules=RULES) as run:
        write(run.check(spark.range(100)))
        before = time.monotonic()
    assert time.monotonic() - before < 20  # the deadline is half a second; the counts are read before it
    assert run.stats.dropped_count == 10
    assert {d.status for d in run.deliveries} <= ({"dead"} if fault == "403" else {"queued", "sent"})
    error = KeyError("x")
    with pytest.raises(KeyError) as raised, monitor.run("t", rules=RULES):
        raise error
    assert raised.value is error
    assert error.__context__ is None
    assert error.__cause__ is None


def test_pagerduty_that_is_not_there_is_reported_and_nothing_else(spark, install, caplog):
    config = {user_config.se_notifications_pagerduty_webhook_url: "http://127.0.0.1:9/", "spark.pd.deadline": 0.3}
    with install({**THRESHOLD, **config}).run("t", rules=RULES) as run:
        write(run.check(spark.range(100)))
    assert {d.status for d in run.deliveries} == {"queued"}
    assert "error_drop_threshold" in caplog.text


def test_strict_raises_what_was_not_delivered_but_never_over_the_users_exception(spark, pagerduty, install):
    monitor = install({**THRESHOLD, "spark.pd.strict": True, "spark.pd.deadline": 0.3})
    pagerduty.fault("500")
    with pytest.raises(spark_pd.DeliveryError) as raised, monitor.run("t", rules=RULES) as run:
        write(run.check(spark.range(100)))
    assert raised.value.deliveries == tuple(d for d in run.deliveries if d.status == "queued")
    with pytest.raises(ZeroDivisionError), monitor.run("t", rules=RULES):
        _ = 1 / 0


def test_an_alert_whose_secret_cannot_be_had_waits_in_the_outbox(spark, install, pagerduty):
    config = {user_config.se_notifications_pagerduty_integration_key: "env:SPARK_PD_TEST_NO_SUCH_KEY"}
    with install({**THRESHOLD, **config}).run("t", rules=RULES) as run:
        write(run.check(spark.range(100)))
    assert {d.status for d in run.deliveries} == {"queued"}
    assert "env:SPARK_PD_TEST_NO_SUCH_KEY" in run.deliveries[0].reason


def test_what_one_run_could_not_send_the_next_one_sends(spark, pagerduty, install):
    with pytest.raises(ZeroDivisionError), install({"spark.pd.deadline": 0.3}).run("bad") as run:
        pagerduty.fault("hang")
        _ = 1 / 0
    assert [d.status for d in run.deliveries] == ["queued"]
    pagerduty.clear_faults()
    with install().run("good"):
        pass
    until = time.monotonic() + 60
    while not pagerduty.open_incidents() and time.monotonic() < until:
        time.sleep(0.05)
    assert [(i.component, i.class_, i.trigger_count) for i in pagerduty.open_incidents()] == [("bad", "failure", 1)]


def test_with_deadline_0_a_run_only_fills_the_outbox_and_strict_has_nothing_to_raise(spark, pagerduty, install, tmp_path):
    pagerduty.fault("hang")
    config = {"spark.pd.deadline": 0, "spark.pd.outbox.path": str(tmp_path / "outbox"), "spark.pd.strict": True}
    with install(config).run("t") as run:
        pass
    assert [(d.status, d.attempts) for d in run.deliveries] == [("queued", 0)]
    assert len(list((tmp_path / "outbox" / "queue").iterdir())) == 1
    assert pagerduty.requests == []


def test_not_enabled_puts_nothing_into_the_outbox(spark, tmp_path):
    monitor = spark_pd.install(spark, {"spark.pd.outbox.path": str(tmp_path / "outbox")})
    with monitor.run("t") as run:
        pass
    monitor.uninstall()
    assert {d.status for d in run.deliveries} == {"suppressed"}
    assert not (tmp_path / "outbox").exists()


def test_the_key_is_found_nowhere(spark, pagerduty, install, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SPARK_PD_TEST_KEY", pagerduty.key)
    config = {**THRESHOLD, user_config.se_notifications_pagerduty_integration_key: "env:SPARK_PD_TEST_KEY"}
    by_reference, by_value = install(config), install(THRESHOLD)
    seen: list[str] = []
    for monitor in (by_reference, by_value):
        with monitor.run("t", rules=RULES) as run:
            write(run.check(spark.range(100)))
        assert {d.status for d in run.deliveries} == {"sent"}
        with pytest.raises(spark_pd.UsageError) as unpicklable:
            pickle.dumps(monitor)
        seen += [repr(monitor), repr(monitor.settings), repr(run), repr(run.alerts), repr(run.deliveries), str(unpicklable.value)]
        seen += [repr(pickle.dumps(monitor.settings)), repr(pickle.dumps(run.deliveries)), repr(vars(run))]
    seen += [caplog.text, str(spark.sparkContext.getConf().getAll())]
    assert not [text[:200] for text in seen if pagerduty.key in text]
    assert pagerduty.key in str([r.body for r in pagerduty.requests])  # where it belongs


def test_passwords_and_quoted_values_reach_no_event(spark, pagerduty, install):
    monitor = install(ALL_ON)
    for message in ("cast of 'John Doe' failed", "jdbc:postgresql://user:s3cret@db/x?password=s3cret&ssl=1", 'row {"email": "j@d.org"}'):
        with pytest.raises(RuntimeError), monitor.run("t", rules=RULES) as run:
            run.check(spark.range(10))
            raise RuntimeError(message)
    sent = str(pagerduty.events)
    assert not [secret for secret in ("John", "s3cret", "j@d.org") if secret in sent]
    assert "RuntimeError" in sent


@pytest.mark.parametrize(("mode", "shown"), [("class", False), ("full", True)])
def test_an_exceptions_message_leaves_as_much_as_the_setting_says(pagerduty, install, mode, shown):
    with pytest.raises(RuntimeError), install({"spark.pd.details.exceptions": mode}).run("t"):
        raise RuntimeError("the city was 'Ulm'")
    assert ("Ulm" in str(pagerduty.events)) is shown


def test_the_users_job_group_description_and_local_properties_are_as_they_were(spark, install):
    context = spark.sparkContext
    context.setJobGroup("theirs", "their description")
    context.setLocalProperty("their.own", "yes")
    try:
        with install().run("t", rules=RULES) as run:
            write(run.check(spark.range(100)))
        names = ("spark.jobGroup.id", "spark.job.description", "their.own", "spark.sql.execution.id")
        assert [context.getLocalProperty(name) for name in names] == ["theirs", "their description", "yes", None]
    finally:
        for name in ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel", "their.own"):
            context.setLocalProperty(name, None)


def test_decorated_functions_own_their_plans(spark, pagerduty, install):
    monitor = install(THRESHOLD)
    calls = []

    @monitor.with_expectations("first", rules=[RULES[0]], mode="overwrite", format="parquet", product_id="p")
    def first(n: int) -> Any:
        """Docs stay."""
        calls.append(n)
        return spark.range(n)

    @monitor.with_expectations("second", rules=[{"rule": "odd", "expectation": "id % 2 = 1"}], mode="overwrite", format="parquet")
    def second() -> Any:
        return spark.range(10)

    one, two, again = first(100), second(), first(n=50)
    assert (first.__name__, first.__doc__, calls) == ("first", "Docs stay.", [100, 50])
    assert [(r.stats.table_name, r.stats.input_count, r.stats.dropped_count) for r in (one, two, again)] == [
        ("first", 100, 10), ("second", 10, 0), ("first", 50, 5),
    ]  # fmt: skip
    assert [r.name for r in two.stats.rules] == ["odd"]
    assert (spark.table("first").count(), spark.table("second").count()) == (45, 10)
    assert one.stats.product_id == "p"
    assert len({one.run_id, two.run_id, again.run_id}) == 3
    spark.sql("DROP TABLE first")
    spark.sql("DROP TABLE second")


def test_runs_in_threads_and_of_two_monitors_never_mix(spark, pagerduty, install):
    monitors = [install(THRESHOLD), install({**THRESHOLD, "spark.pd.environment": "other"})]
    results: dict[int, Any] = {}

    def job(n: int) -> None:
        rules = [{"rule": f"r{n}", "expectation": f"id >= {n}", "action_if_failed": "drop"}]
        with monitors[n % 2].run(f"t{n}", rules=rules) as run:
            write(run.check(spark.range(50)))
        results[n] = run

    threads = [threading.Thread(target=job, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {n: (r.stats.table_name, r.stats.dropped_count, r.stats.exact) for n, r in results.items()} == {
        n: (f"t{n}", n, True) for n in range(8)
    }
    assert {i.dedup_key for i in pagerduty.open_incidents()} == {
        f"spark_pd/{'other' if n % 2 else '-'}/-/t{n}/error_drop_threshold" for n in range(3, 8)
    }


def test_installing_again_replaces_and_uninstalling_refuses_new_runs(spark, pagerduty, install):
    first = install(THRESHOLD)
    second = install()
    with first.run("t", rules=RULES) as run:  # functions decorated before the setup cell ran again still work
        write(run.check(spark.range(10)))
    assert run.stats.exact
    second.uninstall()
    with pytest.raises(spark_pd.UsageError, match="uninstalled"):
        second.run("t")


def test_wrong_use_says_what_to_do(spark, install):
    monitor = install()
    run = monitor.run("t", rules=RULES)
    with pytest.raises(spark_pd.UsageError, match="inside the block"):
        run.check(spark.range(1))
    with pytest.raises(spark_pd.UsageError, match="has checked a DataFrame already"), run:
        run.check(spark.range(1))
        run.check(spark.range(1))
    with pytest.raises(spark_pd.UsageError, match="entered before"):
        run.__enter__()
    with pytest.raises(spark_pd.UsageError, match=r"not builtins\.list"), monitor.run("t") as other:
        other.check([1])
    with pytest.raises(spark_pd.UsageError, match="name of the table"):
        monitor.run(" ")
    with pytest.raises(spark_pd.UsageError, match="lifecycle"):
        spark_pd.install(spark, lifecycle="always")


def test_settings_come_from_the_spark_configuration_too(spark, pagerduty):
    names = {f"{k}": str(v) for k, v in pagerduty.config.items()} | {"spark.pd.environment": "from-conf"}
    for name, value in names.items():
        spark.conf.set(name, value)
    try:
        monitor = spark_pd.install(spark, {"spark.pd.environment": "from-argument"})
        assert (monitor.settings.enabled, monitor.settings.environment) == (True, "from-argument")
        spark.conf.set("spark.pd.enviroment", "x")
        with pytest.raises(spark_pd.SettingsError, match=r"spark\.pd\.environment"):
            spark_pd.install(spark)
    finally:
        for name in [*names, "spark.pd.enviroment"]:
            spark.conf.unset(name)
    monitor.uninstall()


def test_a_frame_that_is_used_after_its_run_still_has_the_right_rows(spark, install):
    with install().run("t", rules=RULES) as run:
        checked = run.check(spark.range(100))
        write(checked)
    assert checked.count() == 90


def test_the_block_may_write_by_run_write_to_a_table_or_a_folder(spark, install, tmp_path):
    with install().run("db_t", rules=RULES) as run:
        checked = run.check(spark.range(100))
        run.write(checked.selectExpr("id", "id % 2 AS part"), tmp_path / "out", mode="overwrite", format="parquet", partition_by="part")
    assert spark.read.parquet(str(tmp_path / "out")).count() == 90
    assert sorted(p.name for p in (tmp_path / "out").glob("part=*")) == ["part=0", "part=1"]
    assert run.stats.output_count == 90


def test_where_spark_does_not_list_its_configuration_it_is_asked_name_by_name(spark, install):
    class Refusing:
        """A configuration as on a shared or serverless cluster: it does not list, and refuses to tell some."""

        def get(self, name: str, default: Any = None) -> Any:
            if name == "spark.pd.deadline":
                raise PermissionError(name)
            return {"spark.pd.environment": "prod", "spark.se.streaming.secret.type": None}.get(name, default)

    class Session:
        conf = Refusing()

    from spark_pd.settings import setting_names
    from spark_pd.spark.session import settings_of

    assert settings_of(Session(), setting_names()) == {"spark.pd.environment": "prod"}
