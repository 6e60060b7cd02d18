"""What needs no Spark: windows, what an exception says, what is kept, what is news."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.alerting.facts import TriggerSettings
from spark_pd.alerting.policy import Verdict
from spark_pd.checks.counts import Counts
from spark_pd.checks.row_plan import RowPlan
from spark_pd.delivery.dispatch import Dispatcher
from spark_pd.delivery.notifier import Notifier
from spark_pd.model import Alert, Rule, Severity, Subject
from spark_pd.runs.run_plan import RunPlan
from spark_pd.runs.session_context import SessionContext
from spark_pd.runs.streaming.batch_window import Batch, BatchWindow
from spark_pd.runs.streaming.double_counting import COUNTED_TWICE, NO_STARTS
from spark_pd.runs.streaming.query_end import described
from spark_pd.runs.streaming.query_listener import SessionQueryListener
from spark_pd.runs.streaming.query_progress import batch_of, ran, read_rows
from spark_pd.runs.streaming.query_watch import Watch
from spark_pd.runs.streaming.reported_batches import ReportedBatch, ReportedBatches
from spark_pd.runs.streaming.stream_check import StreamCheck
from spark_pd.runs.streaming.verdict_changes import REPEAT, VerdictChanges
from spark_pd.runs.streaming.window_files import WindowFiles
from spark_pd.settings import Settings

AT = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


def batch(number: int, rows: int = 10, dropped: int = 0, query: str = "q") -> Batch:
    return Batch(query_id=query, batch_id=number, at=AT, seconds=0.5, counts=Counts(rows, dropped, dropped, (dropped,)))


def uncounted(number: int) -> Batch:
    return replace(batch(number), counts=None, unknown="twice")


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 50)), max_size=30), st.integers(1, 5))
def test_a_window_has_the_last_of_each_batch_and_no_more_than_it_may(told: list[tuple[int, int]], most: int) -> None:
    window = BatchWindow()
    kept: dict[int, int] = {}
    for number, rows in told:
        window = window.with_batch(batch(number, rows), most=most)
        kept.pop(number, None)
        kept[number] = rows
        kept = dict(list(kept.items())[-most:])
    assert [(b.batch_id, b.input_count) for b in window.batches] == list(kept.items())
    assert window.counts == (None if not told else Counts(sum(b.input_count or 0 for b in window.batches), 0, 0, (0,)))


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=30), st.integers(1, 5))
def test_a_batch_that_could_not_be_counted_pushes_none_out_and_is_no_part_of_the_sum(told: list[tuple[int, bool]], most: int) -> None:
    window, counted = BatchWindow(), BatchWindow()
    for number, known in told:
        one = batch(number) if known else uncounted(number)
        window = window.with_batch(one, most=most)
        counted = BatchWindow(batches=tuple(b for b in counted.batches if b.batch_id != number))
        counted = counted.with_batch(one, most=most) if known else counted
    assert [b for b in window.batches if b.counts is not None] == list(counted.batches)
    assert window.counts == counted.counts
    assert len(window.uncounted) <= most


def test_a_window_says_what_it_leaves_out() -> None:
    window = BatchWindow().with_batch(uncounted(0), most=5)
    assert (str(window), window.counts) == ("no batch with rows yet, without 0, which could not be counted", None)
    window = window.with_batch(batch(1), most=5).with_batch(uncounted(2), most=5).with_batch(batch(3), most=5)
    assert str(window) == "the last 2 batches with rows, 1 to 3, without 2, which could not be counted"


def test_counts_are_known_only_where_each_partition_was_begun_once() -> None:
    def read(**witnesses: int) -> Batch:
        told = {"m0": 10, "m1": 2, "m2": 2, "m3": 2, **witnesses}
        return batch_of({"id": "q", "batchId": 7, "observedMetrics": {"spark_pd_stream_1": told}}, "spark_pd_stream_1")

    known = Counts(10, 2, 2, (2,))
    assert (read(begun=3, different=3).counts, read(begun=3, different=3).unknown) == (known, None)
    assert read().counts == known  # over Connect
    assert (read(begun=6, different=3).counts, read(begun=6, different=3).unknown) == (None, COUNTED_TWICE)
    assert (read(begun=0, different=3).counts, read(begun=0, different=3).unknown) == (None, NO_STARTS)


def test_the_last_failure_that_was_told_ends_a_query_that_did_not_get_over_it() -> None:
    told = ReportedBatches()
    assert told.ending("a", completed=-1) is None
    told.add("a", ReportedBatch("t", 3))
    assert told.ending("a", completed=2) == ReportedBatch("t", 3)
    assert told.ending("a", completed=3) is None
    assert told.ending("b", completed=-1) is None
    for n in range(100):
        told.add(f"other {n}", ReportedBatch("t", 0))
    assert told.ending("a", completed=2) is None
    assert told.ending("other 0", completed=-1) == ReportedBatch("t", 0)


def test_a_batch_of_another_query_is_another_batch() -> None:
    window = BatchWindow().with_batch(batch(1), most=5).with_batch(batch(1, query="other"), most=5)
    assert len(window.batches) == 2
    assert (str(BatchWindow()), str(window.with_batch(batch(2), most=1))) == ("no batch with rows yet", "batch 2")


def test_progress_is_read_from_a_mapping_and_from_an_object() -> None:
    told: dict[str, Any] = {
        "id": "q",
        "batchId": 7,
        "timestamp": "2026-11-21T12:00:00.000Z",
        "durationMs": {"addBatch": 300, "triggerExecution": 500},
        "observedMetrics": {"spark_pd_stream_1": {"m0": 10, "m1": 2, "m2": 2, "m3": 2}, "theirs": {"x": 1}},
    }
    as_object = type("Progress", (), told)()
    fields = [{"name": f"m{n}", "type": "long"} for n in range(4)]
    over_connect = {**told, "observedMetrics": {"spark_pd_stream_1": {"values": [10, 2, 2, 2, 3, 3], "schema": {"fields": fields}}}}
    for progress in (told, as_object, over_connect):
        assert batch_of(progress, "spark_pd_stream_1") == batch(7, 10, 2)
        assert batch_of(progress, "spark_pd_stream_2").counts is None
        assert ran(progress)
    assert not ran({**told, "durationMs": {"latestOffset": 1}})
    assert not read_rows({**told, "numInputRows": 0, "sources": [{"numInputRows": 0}]})
    assert read_rows({**told, "numInputRows": 3})
    assert read_rows({**told, "sources": [{"numInputRows": 0}, {"numInputRows": 3}]})  # 3.5 over Connect
    unknown = {**told, "observedMetrics": {"spark_pd_stream_1": {"m0": 10, "m1": None, "m2": 2, "m3": 2}}}
    assert batch_of(unknown, "spark_pd_stream_1").counts is None


JVM = "org.apache.spark.SparkException: Job aborted: cast of 'John' failed\n\tat org.apache.spark.Foo(Foo.scala:3)\nCaused by: x"
PYTHON = (
    "py4j.Py4JException: An exception was raised by the Python Proxy. Return Message: Traceback (most recent call last):\n"
    '  File "/x/clientserver.py", line 644, in _call_proxy\n    return_value = f(*p)\n'
    "spark_pd.RuleFailed: t: 1 rule with action fail failed: never_13\n\n\tat py4j.Protocol.getReturnValue(Protocol.java:476)\n"
)


@pytest.mark.parametrize(
    ("failure", "scrubbed", "kind"),
    [
        (JVM, "org.apache.spark.SparkException: Job aborted: cast of '***' failed", "org.apache.spark.SparkException"),
        (PYTHON, "spark_pd.RuleFailed: t: 1 rule with action fail failed: never_13", "spark_pd.RuleFailed"),
        ("java.lang.NullPointerException", "java.lang.NullPointerException", "java.lang.NullPointerException"),
        ("[STREAM_FAILED] it broke", "StreamingQueryException: [STREAM_FAILED] it broke", "StreamingQueryException"),
        ("", "StreamingQueryException", "StreamingQueryException"),
    ],
)
def test_a_failure_is_said_by_its_class_and_its_scrubbed_message(failure: str, scrubbed: str, kind: str) -> None:
    assert described(failure, "scrubbed") == scrubbed
    assert described(failure, "class") == kind
    assert described(failure, "full") == " ".join(failure.split())


def test_a_window_is_kept_for_the_next_process_and_for_its_own_rules_place_and_stream_only(tmp_path: Path) -> None:
    window = BatchWindow("rules").with_batch(batch(1), most=5).with_batch(batch(2, 20, 3), most=5)
    WindowFiles(tmp_path / "streams", lambda: "here").save("orders", window)
    again = WindowFiles(tmp_path / "streams", lambda: "here")
    assert again.load("orders", "rules") == window
    assert again.load("orders", "other rules") == BatchWindow("other rules")
    assert again.load("other", "rules") == BatchWindow("rules")
    assert WindowFiles(tmp_path / "streams", lambda: "there").load("orders", "rules") == BatchWindow("rules")
    assert WindowFiles(None).load("orders", "rules") == BatchWindow("rules")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 2}', '{"version": 1, "rules": "rules", "batches": [[1]]}', "null"])
def test_a_window_that_cannot_be_read_begins_anew_with_a_warning(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    WindowFiles(tmp_path).save("orders", BatchWindow("rules").with_batch(batch(1), most=5))
    (file,) = tmp_path.iterdir()
    file.write_text(content)
    assert WindowFiles(tmp_path).load("orders", "rules") == BatchWindow("rules")
    assert "starts empty" in caplog.text


def test_a_folder_that_cannot_be_written_is_a_warning_and_the_window_is_kept_in_the_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    windows = WindowFiles(tmp_path / "file" / "streams")
    for number in (1, 2):
        windows.save("orders", BatchWindow("rules").with_batch(batch(number), most=5))
    assert [b.batch_id for b in windows.load("orders", "rules").batches] == [2]
    assert len([r for r in caplog.records if "cannot be kept" in r.getMessage()]) == 1


class Query:
    """Of a query, what a Watch asks, where a batch has no counts: no query of Spark's is known that does so."""

    name = "orders"
    runId = "run"
    isActive = True
    recentProgress = (
        {
            "id": "q",
            "runId": "run",
            "batchId": 0,
            "timestamp": "2026-11-21T12:00:00.000Z",
            "numInputRows": 3,
            "durationMs": {"addBatch": 1},
            "observedMetrics": {},
        },
    )


def test_a_batch_whose_counts_are_not_there_is_unknown_and_not_zero() -> None:
    settings = Settings(on={"ignored_rules": True}, stream_batches=10, exceptions="class", deadline=1)
    policy = TriggerSettings(on=settings.on, severity=settings.severity, error_drop_threshold=10)
    context = SessionContext(settings=settings, triggers=policy, application="a")
    rule = Rule(name="r", expectation="id > 0")
    subject = Subject(environment=None, product_id=None, table="t")
    run = RunPlan(context=context, table="t", subject=subject)
    check = StreamCheck(df=None, name="c", plan=RowPlan((rule,)), rules=(rule,), run=run)
    notifier = Notifier(Dispatcher([], suppressed="not enabled"))
    watched = Watch(Query(), context, spark=None, notifier=notifier, windows=WindowFiles(None), check=check, find=lambda names: None)
    watched.catch_up()
    assert watched.stats is not None
    assert (watched.stats.input_count, watched.stats.exact, watched.stats.rule("r").status) == (None, False, "unknown")
    assert {d.trigger: d.outcome for d in watched.decisions}["ignored_rules"] == "unknown"
    assert watched.batches == ()
    assert [a.trigger for a in watched.alerts] == ["query_failure"]


class NoSpark:
    """A session that takes no listeners: its queries are asked."""


class Leaving:
    """A watch that leaves its hub while somebody waits for the hub to be done."""

    run_id = "run"

    def __init__(self, hub: SessionQueryListener) -> None:
        self._hub = hub
        self.asked, self.may_leave = threading.Event(), threading.Event()

    def catch_up(self) -> None:
        self.asked.set()
        self.may_leave.wait(60)
        self._hub.remove(self)  # type: ignore[arg-type]


def test_who_waits_for_the_hub_is_not_forgotten_where_the_last_watch_leaves_meanwhile() -> None:
    spark = NoSpark()
    hub = SessionQueryListener(spark)
    watch = Leaving(hub)
    hub.add(watch)  # type: ignore[arg-type]
    assert watch.asked.wait(60)
    waiting = threading.Thread(target=hub.drain, args=(600,), daemon=True)
    waiting.start()
    while hub._events.empty():
        time.sleep(0.01)
    watch.may_leave.set()
    waiting.join(60)
    assert not waiting.is_alive()


class Passed:
    """Of a notification, what Changes looks at."""

    def __init__(self, *withheld: str) -> None:
        self.withheld = frozenset(withheld)


def verdict(trigger: str = "ignored_rules", state: Any = "firing", severity: Severity = "error", failing: tuple[str, ...] = ()) -> Verdict:
    subject = Subject(environment=None, product_id=None, table="t")
    alert = Alert(
        trigger=trigger, state=state, severity=severity, summary="s", dedup_key=subject.dedup_key(trigger), source="a", component="t", at=AT
    )
    outcome: Any = "firing" if state == "firing" else "good"
    return Verdict(subject=subject, trigger=trigger, outcome=outcome, alert=alert, started_at=AT, failing=failing)


def test_only_news_is_told() -> None:
    now = [0.0]
    changes = VerdictChanges(clock=lambda: now[0])

    def told(given: Verdict, *withheld: str) -> bool:
        news = changes.changed([given])
        changes.submitted(news, Passed(*withheld))  # type: ignore[arg-type]
        return bool(news)

    assert told(verdict(state="resolved"))
    assert not told(verdict(state="resolved"))
    assert told(verdict(), "spark_pd/-/-/t/ignored_rules")
    assert told(verdict())  # the policy had withheld it
    assert not told(verdict())
    assert told(verdict(severity="critical"))
    assert not told(verdict(severity="error"))
    assert told(verdict(severity="critical", failing=("a",)))
    assert not told(verdict(severity="critical"))
    now[0] = REPEAT
    assert told(verdict())
    assert told(verdict(state="resolved"))
    assert told(verdict("query_failure"))
    assert told(verdict("query_failure"))
