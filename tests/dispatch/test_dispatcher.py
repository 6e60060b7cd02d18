from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spark_pd
from spark_pd.delivery.dispatch import Dispatcher
from spark_pd.delivery.dispatch import worker as worker_module
from spark_pd.delivery.dispatch.dispatcher import in_order
from spark_pd.delivery.dispatch.submission import Task
from spark_pd.model import Address, Alert, Delivery, Secret
from spark_pd.pagerduty import PagerDutyChannel, endpoint
from spark_pd.sandbox import Sandbox

ROOT = Path(spark_pd.__file__).parents[1]


def alert(dedup_key: str = "a", state: Any = "firing", trigger: str = "failure") -> Alert:
    return Alert(
        trigger=trigger,
        state=state,
        severity="critical",
        summary=f"{dedup_key} failed",
        dedup_key=dedup_key,
        source="nightly",
        component="sales.orders",
        at=datetime(2026, 11, 20, tzinfo=timezone.utc),
    )


class Recorder:
    """A channel that keeps what it delivered, and in which thread."""

    def __init__(self, name: str = "recorder", act: Callable[[Alert], object] = lambda alert: None) -> None:
        self.name = name
        self.delivered: list[tuple[str, str]] = []
        self.threads: set[str] = set()
        self.deadlines: list[float] = []
        self._act = act

    barred = None

    def address(self) -> Address:
        return Address(channel=self.name, fingerprint="f")

    def deliver(self, alert: Alert, *, deadline: float, only_to: str | None = None) -> Delivery:
        self.delivered.append((alert.dedup_key, alert.state))
        self.threads.add(threading.current_thread().name)
        self.deadlines.append(deadline)
        self._act(alert)
        return Delivery(alert=alert, channel=self.name, status="sent", reason="accepted", status_code=202, attempts=1)


def dispatch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "spark_pd-dispatch"]


@pytest.fixture(autouse=True)
def _short_idle(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(worker_module, "IDLE", 0.2)
    yield
    for thread in dispatch_threads():
        thread.join(60)


def channel_to(sandbox: Sandbox) -> PagerDutyChannel:
    return PagerDutyChannel("pagerduty", endpoint=endpoint("us", sandbox.url), key=lambda: Secret(sandbox.key))


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as started:
        yield started


def test_alerts_open_and_close_incidents_in_the_background(sandbox: Sandbox) -> None:
    dispatcher = Dispatcher([channel_to(sandbox)])
    deliveries = dispatcher.submit([alert("a"), alert("b")], seconds=60).wait()
    assert [(delivery.alert.dedup_key, delivery.status, delivery.status_code) for delivery in deliveries] == [
        ("a", "sent", 202),
        ("b", "sent", 202),
    ]
    assert len(sandbox.open_incidents()) == 2
    (resolved,) = dispatcher.submit([alert("a", "resolved")], seconds=60).wait()
    assert resolved.status == "sent"
    assert [incident.dedup_key for incident in sandbox.open_incidents()] == ["b"]


def test_deliveries_come_in_the_order_of_the_alerts_and_channels() -> None:
    first, second = Recorder("first"), Recorder("second")
    deliveries = Dispatcher([first, second]).submit([alert("a", "resolved"), alert("b")], seconds=60).wait()
    assert [(delivery.alert.dedup_key, delivery.channel) for delivery in deliveries] == [
        ("a", "first"),
        ("a", "second"),
        ("b", "first"),
        ("b", "second"),
    ]
    assert first.delivered == [("b", "firing"), ("a", "resolved")]


def test_one_thread_delivers_everything_and_ends_when_it_is_idle() -> None:
    recorder = Recorder()
    dispatcher = Dispatcher([recorder])
    for n in range(5):
        dispatcher.submit([alert(str(n))], seconds=60)
    dispatcher.submit([alert("last")], seconds=60).wait()
    (thread,) = dispatch_threads()
    assert thread.daemon
    assert recorder.threads == {"spark_pd-dispatch"}
    assert [key for key, _ in recorder.delivered] == ["0", "1", "2", "3", "4", "last"]
    thread.join(60)
    assert not thread.is_alive()
    assert dispatcher.submit([alert("again")], seconds=60).wait()[0].status == "sent"


def test_many_threads_may_submit_at_once() -> None:
    recorder = Recorder()
    dispatcher = Dispatcher([recorder])
    sent: list[str] = []

    def submit(n: int) -> None:
        for i in range(20):
            sent.extend(delivery.status for delivery in dispatcher.submit([alert(f"{n}/{i}")], seconds=60).wait())

    threads = [threading.Thread(target=submit, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sent == ["sent"] * 160
    assert len(set(recorder.delivered)) == len(recorder.delivered) == 160


@given(
    alerts=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["firing", "resolved"])).map(lambda a: alert(*a)), max_size=12),
)
def test_firing_goes_first_and_each_dedup_key_keeps_its_order(alerts: list[Alert]) -> None:
    tasks = [Task(a, None, deadline=0.0, seconds=0.0) for a in alerts]
    ordered = in_order(tasks)
    assert sorted(map(id, ordered)) == sorted(map(id, tasks))
    for key in "abc":
        assert [task for task in ordered if task.alert.dedup_key == key] == [task for task in tasks if task.alert.dedup_key == key]
    for n, task in enumerate(ordered):
        if task.alert.state == "firing":
            # Only a resolve of its own key may be why something that is not firing went before it.
            own = [other for other in ordered[:n] if other.alert.dedup_key == task.alert.dedup_key and other.alert.state == "resolved"]
            assert own or all(other.alert.state == "firing" for other in ordered[:n])


def test_a_suppressed_dispatcher_sends_nothing_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "spark_pd.dispatch")
    recorder = Recorder()
    reason = "PagerDuty is not enabled"
    for channels, name in (([recorder], "recorder"), ([], "none")):
        submission = Dispatcher(channels, suppressed=reason).submit([alert("a"), alert("b")], seconds=60)
        assert [(d.status, d.reason, d.channel, d.attempts) for d in submission.wait()] == [("suppressed", reason, name, 0)] * 2
    assert recorder.delivered == []
    assert dispatch_threads() == []
    assert len(caplog.records) == 4


def test_a_submission_with_nothing_to_send_starts_nothing() -> None:
    assert Dispatcher([Recorder()]).submit([], seconds=60).wait() == ()
    assert Dispatcher([]).submit([alert()], seconds=60).wait() == ()
    assert dispatch_threads() == []


def test_each_delivery_is_one_log_line(caplog: pytest.LogCaptureFixture, sandbox: Sandbox) -> None:
    caplog.set_level(logging.INFO, "spark_pd.dispatch")
    dispatcher = Dispatcher([channel_to(sandbox)])
    dispatcher.submit([alert("a")], seconds=60).wait()
    sandbox.fault("403")
    dispatcher.submit([alert("a", "resolved")], seconds=60).wait()
    assert [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "spark_pd.dispatch"] == [
        ("INFO", "failure firing on pagerduty: sent, accepted [a]"),
        (
            "WARNING",
            "failure resolved on pagerduty: dead, PagerDuty answered 403 (forbidden: check the integration key and the webhook url) [a]",
        ),
    ]


@pytest.mark.parametrize(
    ("kind", "options"), [("hang", {}), ("drip", {"seconds": 0.3}), ("slow", {"seconds": 200}), ("500", {}), ("reset", {})]
)
def test_a_run_never_waits_longer_than_the_deadline(sandbox: Sandbox, kind: str, options: dict[str, Any]) -> None:
    sandbox.fault(kind, **options)
    started = time.monotonic()
    deliveries = Dispatcher([channel_to(sandbox)]).submit([alert("a"), alert("b")], seconds=1).wait()
    assert time.monotonic() - started < 60
    assert len(deliveries) == 2
    if kind != "drip":  # whose event was accepted, and whose first bytes may have come in time
        assert {delivery.status for delivery in deliveries} == {"failed"}


def test_the_channel_is_asked_to_be_ready_before_the_deadline_so_that_its_reason_counts(sandbox: Sandbox) -> None:
    sandbox.fault("hang")
    (delivery,) = Dispatcher([channel_to(sandbox)]).submit([alert()], seconds=1).wait()
    assert delivery.reason.startswith("PagerDuty did not answer in time")


def test_a_resolver_that_hangs_does_not_hold_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARK_PD_LOOPBACK_ONLY", raising=False)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    released = threading.Event()

    def hang(*args: Any, **kwargs: Any) -> list[Any]:
        released.wait(200)
        raise OSError("released")

    monkeypatch.setattr("socket.getaddrinfo", hang)
    channel = PagerDutyChannel("pagerduty", endpoint=endpoint("us", "https://pagerduty.invalid"), key=lambda: Secret("k" * 32))
    started = time.monotonic()
    (delivery,) = Dispatcher([channel]).submit([alert()], seconds=0.5).wait()
    assert time.monotonic() - started < 60
    released.set()
    assert (delivery.status, delivery.reason) == ("failed", "not delivered within 0.5 s (spark.pd.deadline)")


def test_a_stuck_channel_costs_the_next_submission_nothing() -> None:
    released = threading.Event()
    recorder = Recorder(act=lambda a: released.wait(200) if a.dedup_key == "stuck" else None)
    dispatcher = Dispatcher([recorder])
    stuck = dispatcher.submit([alert("stuck"), alert("behind")], seconds=0.3)
    waiting = dispatcher.submit([alert("later")], seconds=60)  # waits behind the stuck one, and has time left after it
    assert [delivery.reason for delivery in stuck.wait()] == ["not delivered within 0.3 s (spark.pd.deadline)"] * 2
    started = time.monotonic()
    assert waiting.wait()[0].status == "sent"
    assert dispatcher.submit([alert("new")], seconds=60).wait()[0].status == "sent"
    assert time.monotonic() - started < 60
    released.set()
    assert ("behind", "firing") not in recorder.delivered


def test_a_stuck_channel_is_left_alone_also_when_nobody_waits() -> None:
    released = threading.Event()
    recorder = Recorder(act=lambda a: released.wait(200) if a.dedup_key == "stuck" else None)
    dispatcher = Dispatcher([recorder])
    forgotten = dispatcher.submit([alert("stuck")], seconds=0.1)
    time.sleep(0.3)
    assert dispatcher.submit([alert("new")], seconds=60).wait()[0].status == "sent"
    released.set()
    assert forgotten.wait()[0].status == "failed"


def test_what_was_reported_failed_stays_failed_and_is_not_sent_later(caplog: pytest.LogCaptureFixture) -> None:
    released = threading.Event()
    recorder = Recorder(act=lambda a: released.wait(200))
    submission = Dispatcher([recorder]).submit([alert("a"), alert("b")], seconds=10)
    first = submission.wait(0.2)
    assert [delivery.status for delivery in first] == ["failed", "failed"]
    assert "when the waiting ended" in first[0].reason
    released.set()
    for thread in dispatch_threads():
        thread.join(60)
    assert submission.wait() == first
    assert recorder.delivered == [("a", "firing")]
    assert len([record for record in caplog.records if record.levelno >= logging.INFO]) == 2


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_without_time_nothing_is_sent(seconds: float) -> None:
    recorder = Recorder()
    (delivery,) = Dispatcher([recorder]).submit([alert()], seconds=seconds).wait()
    assert (delivery.status, delivery.reason) == ("failed", "not delivered within 0 s (spark.pd.deadline)")
    assert recorder.delivered == []


def test_without_an_end_it_is_waited_for() -> None:
    assert Dispatcher([Recorder()]).submit([alert()], seconds=float("inf")).wait()[0].status == "sent"


def test_a_channel_that_raises_fails_its_own_delivery_only() -> None:
    def fail(a: Alert) -> None:
        if a.dedup_key == "bad":
            raise RuntimeError("the key is hunter2")

    bad, good = Dispatcher([Recorder(act=fail)]).submit([alert("bad"), alert("good")], seconds=60).wait()
    assert (bad.status, bad.reason) == ("failed", "RuntimeError in the channel")
    assert good.status == "sent"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_makes_a_thread_of_its_own_and_leaves_the_parents_alerts_alone(sandbox: Sandbox) -> None:
    released = threading.Event()
    busy = Recorder(act=lambda a: released.wait(200))
    dispatcher = Dispatcher([busy, channel_to(sandbox)])
    parents = dispatcher.submit([alert("parent")], seconds=10)
    busy_child = os.fork()
    if busy_child == 0:
        released.set()
        sent = dispatcher.submit([alert("child")], seconds=10).wait()
        os._exit(0 if [delivery.status for delivery in sent] == ["sent", "sent"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(busy_child, 0)[1]) == 0
    assert [incident.dedup_key for incident in sandbox.incidents()] == ["child"]
    released.set()
    assert [delivery.status for delivery in parents.wait()] == ["sent", "sent"]
    assert [incident.dedup_key for incident in sandbox.incidents()] == ["child", "parent"]


SCRIPT = """
import atexit, sys, time
sys.path.insert(0, {tests!r})
from test_dispatcher import Dispatcher, Recorder, alert
{body}
"""


def _run(body: str) -> subprocess.CompletedProcess[str]:
    code = SCRIPT.format(tests=str(Path(__file__).parent), body=body)
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_interpreter_ends_while_a_channel_is_stuck() -> None:
    started = time.monotonic()
    done = _run("Dispatcher([Recorder(act=lambda a: time.sleep(600))]).submit([alert()], seconds=60)\ntime.sleep(0.2)")
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - started < 60


def test_an_alert_at_the_interpreters_end_is_still_delivered() -> None:
    done = _run("atexit.register(lambda: print(Dispatcher([Recorder()]).submit([alert()], seconds=60).wait()[0].status))")
    assert (done.returncode, done.stdout.strip()) == (0, "sent")


def test_without_a_thread_to_be_had_the_submitter_delivers(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    recorder = Recorder()
    dispatcher = Dispatcher([recorder])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        assert dispatcher.submit([alert("a"), alert("b")], seconds=60).wait()[1].status == "sent"
    assert recorder.threads == {threading.current_thread().name}
    assert dispatcher.submit([alert("c")], seconds=60).wait()[0].status == "sent"
