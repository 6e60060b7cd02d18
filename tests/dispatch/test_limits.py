"""The limits between alerts and a sandbox: the rate of a key, the storm, repeats, who goes first, and what a crash leaves."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import spark_pd
from spark_pd.delivery.dispatch import Dispatcher, Limits, Pace
from spark_pd.delivery.dispatch.limited_channel import NO_TOKEN
from spark_pd.delivery.dispatch.submission import Task
from spark_pd.delivery.dispatch.worker import first
from spark_pd.delivery.outbox import Outbox, Outcome, replay
from spark_pd.model import Alert, Delivery, Secret
from spark_pd.pagerduty import PagerDutyChannel, endpoint
from spark_pd.sandbox import Sandbox
from tests.outbox.conftest import files_in, make_alert

ROOT = Path(spark_pd.__file__).parents[1]


class Clock:
    """A wall clock that goes on only when told to, for whoever would wait."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> bool:
        self.now += seconds
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    with Sandbox(rate_limit=120, clock=clock) as started:
        yield started


@pytest.fixture
def box(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox")


def channel_to(sandbox: Sandbox) -> PagerDutyChannel:
    return PagerDutyChannel("pagerduty", endpoint=endpoint("us", sandbox.url), key=lambda: Secret(sandbox.key), retry_throttled=False)


def warn(key: object, state: Any = "firing", **fields: Any) -> Alert:
    usual = {"trigger": "ignored_rules", "severity": "warning", "component": f"table_{key}", "summary": f"{key} is bad"}
    return make_alert(f"k/{key}", state, **{**usual, **fields})


class World:
    """What a process with this outbox would have: its pace, and everything sent by a clock that is told to go on."""

    def __init__(self, sandbox: Sandbox, box: Outbox, clock: Clock, **limits: Any) -> None:
        self.box = box
        self.clock = clock
        self.pace = Pace(Limits(**{"rate": 100, "storm": 5, "environment": "test", **limits}), box, clock=clock)
        self.channel = self.pace.channel(channel_to(sandbox))

    def keep(self, *alerts: Alert) -> None:
        assert not [kept for kept in self.box.keep([(alert, self.channel.address()) for alert in alerts]) if isinstance(kept, str)]

    def drain(self, seconds: float = 7200.0) -> list[Outcome]:
        until = self.clock.now + seconds
        outcomes = list(replay(self.box, lambda entry: self.channel, until=until, pause=self.clock.sleep, clock=self.clock))
        self.tell()
        return outcomes

    def send(self, *alerts: Alert) -> list[Outcome]:
        self.keep(*alerts)
        return self.drain()

    def tell(self) -> None:
        while self.channel.due_in() == 0.0:
            told = self.channel.report_storms(deadline=time.monotonic() + 5)
            if told is None or (told.status != "sent" and not (told.retry_after and self.clock.sleep(told.retry_after))):
                break

    def tell_in_time(self) -> None:
        while (due := self.channel.due_in()) is not None:
            self.clock.sleep(due)
            self.tell()


@pytest.fixture
def world(sandbox: Sandbox, box: Outbox, clock: Clock) -> Callable[..., World]:
    return lambda **limits: World(sandbox, box, clock, **limits)


def storms(sandbox: Sandbox) -> list[tuple[str, str]]:
    return [(incident.status, incident.summary) for incident in sandbox.incidents() if incident.class_ == "storm"]


def opened(sandbox: Sandbox) -> set[str]:
    return {incident.dedup_key for incident in sandbox.open_incidents() if incident.class_ != "storm"}


def throttled(sandbox: Sandbox) -> int:
    return sum(request.status == 429 for request in sandbox.requests)


# ---- the storm -----------------------------------------------------------------------------------------------------------------------


def test_more_than_the_limit_within_a_minute_become_one_incident_that_closes_with_its_last_member(sandbox, world) -> None:
    now = world()
    outcomes = now.send(*(warn(n) for n in range(12)), warn("x", trigger="error_drop_threshold", severity="error"))
    assert {outcome.status for outcome in outcomes} == {"sent"}
    rolled_up = [outcome.reason for outcome in outcomes if "part of the storm incident spark_pd/test/-/outbox" in outcome.reason]
    assert len(rolled_up) == 8
    assert now.box.names() == ()
    assert opened(sandbox) == {f"k/{n}" for n in range(5)}
    now.tell_in_time()
    assert storms(sandbox) == [("triggered", "[test] storm of 8 alerts on 8 tables: 7 ignored_rules, 1 error_drop_threshold")]
    (incident,) = [each for each in sandbox.open_incidents() if each.class_ == "storm"]
    assert (incident.severity, incident.trigger_count) == ("error", 2)
    assert incident.details["tables"] == sorted(["table_x", *(f"table_{n}" for n in range(5, 12))])
    # Each leaves with its own good verdict, in any process.
    other = world()
    other.send(warn("x", "resolved"), *(warn(n, "resolved") for n in range(11)))
    other.tell_in_time()
    assert storms(sandbox) == [("triggered", "[test] storm of 1 alert on 1 table: 1 ignored_rules")]
    world().send(warn(11, "resolved"))
    assert sandbox.open_incidents() == []
    assert len(storms(sandbox)) == 1
    assert world().channel.due_in() is None
    assert not [name for name in files_in(now.box.folder) if "members" in name]


def test_the_incident_is_told_anew_once_a_minute_at_most(sandbox, world, clock) -> None:
    now = world(rate=0)
    started = clock.now
    for n in range(100):
        now.send(warn(n))
        clock.sleep(3)
        now.tell()
    now.tell_in_time()
    (incident,) = [each for each in sandbox.open_incidents() if each.class_ == "storm"]
    assert incident.summary == "[test] storm of 95 alerts on 95 tables: 95 ignored_rules"
    assert incident.trigger_count <= 2 + (clock.now - started) / 60
    assert len(sandbox.requests) <= 5 + incident.trigger_count


def test_a_critical_failure_is_always_its_own_incident(sandbox, world) -> None:
    now = world()
    failures = [make_alert(f"f/{n}") for n in range(10)]
    now.send(*(warn(n) for n in range(8)), *failures)
    assert {f"f/{n}" for n in range(10)} <= opened(sandbox)
    assert len(storms(sandbox)) == 1
    # A member that becomes one leaves for an incident of its own.
    now.send(warn(7, trigger="failure", severity="critical"))
    now.tell_in_time()
    assert "k/7" in opened(sandbox)
    assert storms(sandbox)[0][1].startswith("[test] storm of 2 alerts")


def test_a_member_that_is_bad_again_stays_one_and_a_resolve_is_sent_in_any_case(sandbox, world, clock) -> None:
    now = world()
    now.send(*(warn(n) for n in range(8)))
    clock.sleep(3600)
    for _ in range(3):
        now.send(warn(7))
        clock.sleep(100)
    assert "k/7" not in opened(sandbox)
    now.send(warn(7, "resolved"))
    assert [event["event_action"] for event in sandbox.events if event["dedup_key"] == "k/7"] == ["resolve"]
    # Once the storm has passed, what is bad is an incident of its own again.
    now.send(warn(7))
    assert "k/7" in opened(sandbox)


def test_an_incident_from_before_the_storm_is_closed_as_well(sandbox, world, clock) -> None:
    now = world()
    now.send(warn("old"))
    clock.sleep(3600)
    now.send(*(warn(n) for n in range(5)), warn("old"))
    now.send(warn("old", "resolved"))
    assert sandbox.open_incidents() == [] or "k/old" not in opened(sandbox)
    assert storms(sandbox)[0][0] == "resolved"


def test_each_environment_and_key_has_a_storm_of_its_own(sandbox, box, clock, world) -> None:
    world().send(*(warn(n) for n in range(7)))
    world(environment="prod").send(*(warn(f"p{n}") for n in range(7)))
    with Sandbox(clock=clock) as other:
        World(other, box, clock).send(*(warn(f"o{n}") for n in range(7)))
        assert [len(storms(each)) for each in (sandbox, other)] == [2, 1]
        World(other, box, clock).send(*(warn(f"o{n}", "resolved") for n in range(7)))
        assert [status for status, _ in storms(other)] == ["resolved"]
        assert [status for status, _ in storms(sandbox)] == ["triggered", "triggered"]


def test_switched_off_it_takes_nobody_in_and_lets_everybody_out(sandbox, world) -> None:
    world().send(*(warn(n) for n in range(8)))
    off = world(storm=0)
    off.send(*(warn(n) for n in range(5, 20)))
    assert opened(sandbox) == {f"k/{n}" for n in range(20)}
    assert [status for status, _ in storms(sandbox)] == ["resolved"]


def test_where_the_storm_cannot_be_opened_alerts_wait_and_where_it_is_refused_each_is_for_itself(sandbox, world, clock) -> None:
    now = world()
    now.send(*(warn(n) for n in range(5)))
    sandbox.fault("500")
    channel = now.channel
    delivery = channel.deliver(warn("waits"), deadline=time.monotonic() + 0.2)
    assert delivery.status == "failed"
    assert "part of the storm incident" in delivery.reason
    assert "could not be opened: PagerDuty answered 500" in delivery.reason
    sandbox.clear_faults()
    sandbox.fault("403")
    delivery = channel.deliver(warn("refused"), deadline=time.monotonic() + 2)
    assert (delivery.status, delivery.status_code) == ("dead", 403)
    sandbox.clear_faults()
    clock.sleep(61)
    now.tell()
    assert storms(sandbox) == [("triggered", "[test] storm of 1 alert on 1 table: 1 ignored_rules")]


def test_without_an_outbox_the_process_remembers_the_members(sandbox, clock) -> None:
    pace = Pace(Limits(rate=0, storm=5, environment="test"), None, clock=clock)
    channel = pace.channel(channel_to(sandbox))

    def send(*alerts: Alert) -> list[Delivery]:
        return [channel.deliver_unkept(alert, deadline=time.monotonic() + 5) for alert in alerts]

    assert "part of the storm incident" in send(*(warn(n) for n in range(8)))[7].reason
    clock.sleep(61)
    send(warn("afterwards"))
    (incident,) = [each for each in sandbox.open_incidents() if each.class_ == "storm"]
    assert incident.summary == "[test] storm of 3 alerts on 3 tables: 3 ignored_rules"
    assert "no outbox" in incident.details["closing"]
    send(*(warn(n, "resolved") for n in range(8)))
    assert [status for status, _ in storms(sandbox)] == ["resolved"]


# ---- the rate ------------------------------------------------------------------------------------------------------------------------


def test_what_waits_goes_out_at_the_rate_and_pagerduty_never_says_429(sandbox, world, clock) -> None:
    now = world(storm=0)
    started = clock.now
    outcomes = now.send(*(warn(n) for n in range(120)))
    assert {outcome.status for outcome in outcomes} == {"sent"}
    assert throttled(sandbox) == 0
    assert len(sandbox.requests) == 120
    assert 60 * (120 - 15) / 100 - 1 <= clock.now - started <= 60 * (120 - 15) / 100 + 5


@pytest.mark.parametrize("limits", [{}, {"rate": 1000.0}])
def test_where_others_use_the_key_too_a_429_is_waited_out_by_all(sandbox, world, clock, limits) -> None:
    sandbox.fault("429", times=5, retry_after=20 if limits else None)
    now = world(storm=0, **limits)
    outcomes = now.send(*(warn(n) for n in range(100)))
    assert {outcome.status for outcome in outcomes} == {"sent"}
    assert len(opened(sandbox)) == 100
    assert throttled(sandbox) <= (30 if limits else 5)


def test_a_429_closes_the_key_for_other_processes_too(sandbox, world, clock) -> None:
    sandbox.fault("429", times=1, retry_after=30)
    one, other = world(), world()
    first_try = one.channel.deliver(warn(1), deadline=time.monotonic() + 5)
    assert (first_try.status, first_try.status_code, first_try.attempts) == ("failed", 429, 1)
    assert first_try.retry_after == pytest.approx(30)
    second = other.channel.deliver(warn(2), deadline=time.monotonic() + 5)
    assert (second.status, second.attempts, second.reason) == ("failed", 0, NO_TOKEN)
    assert second.retry_after == pytest.approx(30)
    clock.sleep(31)
    assert other.channel.deliver(warn(2), deadline=time.monotonic() + 5).status == "sent"


def test_an_alert_without_a_token_stays_in_the_outbox_with_the_reason_and_is_sent_later(sandbox, box) -> None:
    limits = Limits(rate=100)
    dispatcher = Dispatcher([channel_to(sandbox)], outbox=box, limits=limits)
    deliveries = dispatcher.submit([warn(n) for n in range(40)], seconds=8).wait()
    queued = [delivery for delivery in deliveries if delivery.status == "queued"]
    assert 40 - len(queued) == len([delivery for delivery in deliveries if delivery.status == "sent"]) >= 15
    assert len(queued) >= 40 - 15 - 8 * 100 / 60 - 1  # what came in meanwhile
    assert {delivery.reason for delivery in queued} == {f"{NO_TOKEN}; it waits in the outbox"}
    until = time.monotonic() + 60
    while box.names() and time.monotonic() < until:
        time.sleep(0.1)
    assert len(opened(sandbox)) == 40


def test_a_run_waits_for_its_token_within_its_deadline(sandbox, box) -> None:
    dispatcher = Dispatcher([channel_to(sandbox)], outbox=box, limits=Limits(rate=300))
    deliveries = dispatcher.submit([warn(n) for n in range(50)], seconds=60).wait()
    assert {delivery.status for delivery in deliveries} == {"sent"}


def test_without_an_outbox_it_is_tried_all_the_same(sandbox) -> None:
    dispatcher = Dispatcher([channel_to(sandbox)], limits=Limits(rate=20))
    deliveries = dispatcher.submit([warn(n) for n in range(20)], seconds=5).wait()
    assert {delivery.status for delivery in deliveries} == {"sent"}


def test_firing_goes_before_resolves_where_both_wait_for_tokens(sandbox, box) -> None:
    dispatcher = Dispatcher([channel_to(sandbox)], outbox=box, limits=Limits(rate=120))
    resolves = dispatcher.submit([warn(f"r{n}", "resolved") for n in range(16)], seconds=60)
    time.sleep(0.5)
    firing = dispatcher.submit([warn(f"f{n}") for n in range(6)], seconds=60)
    assert {delivery.status for delivery in firing.wait()} == {"sent"}
    resolves.wait()
    order = [event["event_action"] for event in sandbox.events]
    assert "resolve" not in order[order.index("trigger") : order.index("trigger") + 6]


def test_the_worker_takes_firing_first_keeps_each_incidents_order_and_leaves_who_must_wait() -> None:
    def task(key: str, state: str, not_before: float = 0.0) -> Task:
        made = Task(warn(key, state), None, deadline=0.0, seconds=0.0)
        made.not_before = not_before
        return made

    resolve, fire, behind, later = task("a", "resolved"), task("b", "firing"), task("a", "firing"), task("c", "firing", 9.0)
    assert first([resolve, later, behind, fire], 5.0) is fire
    assert first([resolve, later, behind], 5.0) is resolve
    assert first([later, behind], 5.0) is behind
    assert first([later], 5.0) is None
    assert first([later, task("c", "resolved")], 5.0) is None
    assert first([later, task("c", "resolved")], 9.0) is later
    assert first([], 0.0) is None


def test_repeats_collapse_only_where_events_run_short(sandbox, world, clock) -> None:
    now = world(storm=0)
    for _ in range(40):
        assert [outcome.status for outcome in now.send(warn("a"))] == ["sent"]
    assert len(sandbox.requests) == 8  # until half of the burst was gone
    now.send(warn("a", summary="worse"))
    now.send(warn("a", "resolved"))
    now.send(warn("a"))
    assert [event["event_action"] for event in sandbox.events[8:]] == ["trigger", "resolve", "trigger"]
    assert len(opened(sandbox)) == 1


def test_a_repeat_is_sent_where_nobody_knows_what_pagerduty_took_in_between(sandbox, world, clock) -> None:
    now = world(storm=0)
    now.send(*(warn(f"other{n}") for n in range(9)), warn("a"))  # more than half of the burst
    sandbox.fault("lost")
    delivery = now.channel.deliver(warn("a", "resolved"), deadline=time.monotonic() + 0.3)
    assert delivery.status == "failed"  # though it was accepted
    sandbox.clear_faults()
    now.send(warn("a"))
    assert "k/a" in opened(sandbox)


def test_in_time_repeats_are_sent_again(sandbox, world, clock) -> None:
    now = world(storm=0)
    now.send(warn("a"))
    clock.sleep(61)
    now.send(*(warn(f"b{n}") for n in range(9)))  # more than half of the burst
    now.send(warn("a"))
    assert [event["dedup_key"] for event in sandbox.events] == ["k/a", *(f"k/b{n}" for n in range(9)), "k/a"]


# ---- processes -----------------------------------------------------------------------------------------------------------------------

TWENTY = """
import logging, sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from spark_pd.delivery.dispatch import Dispatcher, Limits
from spark_pd.delivery.outbox import Outbox
from tests.dispatch.test_limits import PagerDutyChannel, Secret, endpoint, warn
logging.disable(logging.CRITICAL)
channel = PagerDutyChannel("pagerduty", endpoint=endpoint("us", {url!r}), key=lambda: Secret({key!r}), retry_throttled=False)
dispatcher = Dispatcher([channel], outbox=Outbox(Path({folder!r})), limits=Limits(rate=100, storm={storm}, environment="test"))
me = sys.argv[1]
for n in range(5):
    for delivery in dispatcher.submit([warn(f"{{me}}/{{n}}")], seconds=1).wait():
        assert delivery.status in ("sent", "queued"), delivery
"""


@pytest.mark.parametrize(("storm", "most"), [pytest.param(0, 130, marks=pytest.mark.exhaustive), (10, 60)])
def test_twenty_processes_together_keep_the_limit_and_make_one_storm(box, storm: int, most: int) -> None:
    with Sandbox(rate_limit=120) as sandbox:
        code = TWENTY.format(root=str(ROOT), url=sandbox.url, key=sandbox.key, folder=str(box.folder), storm=storm)
        running = [subprocess.Popen([sys.executable, "-c", code, str(n)], stderr=subprocess.PIPE, text=True) for n in range(20)]
        assert [(process.communicate(timeout=240)[1], process.returncode) for process in running] == [("", 0)] * 20
        assert throttled(sandbox) == 0
        assert len(sandbox.requests) <= most
        sent = {incident.dedup_key for incident in sandbox.open_incidents()}
        waiting = {entry.alert.dedup_key for entry in box.waiting()}
        members = {name for name in files_in(box.folder) if "/members/" in name}
        assert len(sandbox.incidents()) == len(sent)
        everything = {f"k/{me}/{n}" for me in range(20) for n in range(5)}
        if not storm:
            assert sent | waiting == everything
            return
        assert len(storms(sandbox)) == 1
        assert len((sent | waiting) & everything) + len(members) >= 100  # some are members, and wait as well
        clock = Clock()
        clock.now = time.time() + 600
        late = World(sandbox, box, clock, rate=0, storm=10)
        late.drain()
        late.send(*(warn(key.removeprefix("k/"), "resolved") for key in everything))
        late.tell_in_time()  # the storm that drained late is told of again a minute later
        assert sandbox.open_incidents() == []
        assert box.names() == ()


def steps(folder: Path, n: int) -> Callable[[str, tuple[object, ...]], None]:
    """An audit hook that kills this process, as kill -9 does, before its n-th step on the outbox's files, or its n-th connection."""
    count = [0]

    def hook(event: str, args: tuple[object, ...]) -> None:
        ours = event in ("open", "os.rename", "os.remove", "os.mkdir") and str(folder) in str(args[0])
        if ours or event in ("socket.connect", "socket.sendto"):
            count[0] += 1
            if count[0] == n:
                os.kill(os.getpid(), 9)

    return hook


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_kill_minus_9_between_any_two_steps_of_a_storm_forgets_nobody_and_leaves_nothing_open(tmp_path: Path, every: int) -> None:
    logging.disable(logging.CRITICAL)
    try:
        n = 0
        survived = False
        with Sandbox() as sandbox:
            while not survived:
                n += max(every, 3) if n > 200 else every
                sandbox.reset()
                clock = Clock()
                box = Outbox(tmp_path / str(n))
                pid = os.fork()
                if pid == 0:
                    with suppress(BaseException):
                        sys.addaudithook(steps(box.folder, n))
                        mine = World(sandbox, box, clock, rate=0, storm=1)
                        mine.send(*(warn(each) for each in "abc"))  # b and c are rolled up
                        mine.send(warn("b", "resolved"))
                        os._exit(0)
                    os._exit(1)
                status = os.waitpid(pid, 0)[1]
                survived = os.WIFEXITED(status)
                assert survived or os.WTERMSIG(status) == 9
                # The next process takes over where that one died: c is bad, so somebody is told of it.
                clock.now += 120
                after = World(sandbox, box, clock, rate=0, storm=1)
                kept = {entry.alert.dedup_key for entry in box.waiting()}
                after.drain()
                after.tell_in_time()
                assert box.names() == (), n
                told = opened(sandbox) | {m["dedup_key"] for i in sandbox.open_incidents() for m in i.details.get("members", [])}
                assert kept - {"k/b"} <= told, (n, kept, told)
                if survived:
                    assert told == {"k/a", "k/c"}
                # And once all are good, nothing is left open.
                after.send(*(warn(each, "resolved") for each in "abc"))
                after.tell_in_time()
                assert sandbox.open_incidents() == [], n
                assert not [name for name in files_in(box.folder) if "/members/" in name]
        assert survived
        assert os.waitstatus_to_exitcode(status) == 0
        assert n > 30
    finally:
        logging.disable(logging.NOTSET)


# ---- by way of the dispatcher --------------------------------------------------------------------------------------------------------


def test_a_short_job_tells_all_of_its_storm_before_it_ends(box, sandbox) -> None:
    dispatcher = Dispatcher([channel_to(sandbox)], outbox=box, limits=Limits(rate=0, storm=3, environment="test"))
    for n in range(10):
        (delivery,) = dispatcher.submit([warn(n)], seconds=60).wait()
        assert delivery.status == "sent"
        assert ("part of the storm incident" in delivery.reason) == (n >= 3)
    dispatcher.flush(60)
    assert storms(sandbox) == [("triggered", "[test] storm of 7 alerts on 7 tables: 7 ignored_rules")]
    started = time.monotonic()
    dispatcher.flush(60)
    assert time.monotonic() - started < 30


def test_who_waits_for_tokens_leaves_at_once_and_tells_of_the_storm(box, sandbox) -> None:
    dispatcher = Dispatcher([channel_to(sandbox)], outbox=box, limits=Limits(rate=100, storm=3, environment="test"))
    dispatcher.submit([warn(n) for n in range(8)], seconds=60).wait()  # 3, the storm, and 11 tokens left
    dispatcher.submit([make_alert(f"f/{n}") for n in range(18)], seconds=0.4).wait()
    started = time.monotonic()
    dispatcher.flush(60)
    assert time.monotonic() - started < 30
    assert box.names() != ()
    assert storms(sandbox) == [("triggered", "[test] storm of 5 alerts on 5 tables: 5 ignored_rules")]


def test_at_the_interpreters_end_the_rest_of_a_storm_is_told_within_the_moment(box) -> None:
    with Sandbox() as sandbox:
        code = TWENTY.format(root=str(ROOT), url=sandbox.url, key=sandbox.key, folder=str(box.folder), storm=2)
        process = subprocess.run([sys.executable, "-c", code, "me"], capture_output=True, text=True, timeout=120, check=False)
        assert (process.returncode, process.stderr) == (0, "")
        assert [summary for _, summary in storms(sandbox)] == ["[test] storm of 3 alerts on 3 tables: 3 ignored_rules"]


def test_with_deadline_0_the_replay_makes_the_storm(box, sandbox, world) -> None:
    dispatcher = Dispatcher([channel_to(sandbox)], outbox=box, limits=Limits(rate=100, storm=5, environment="test"))
    for n in range(20):
        dispatcher.submit([warn(n)], seconds=0).wait()
    assert sandbox.requests == []
    now = world()
    now.drain()
    now.tell_in_time()
    assert len(opened(sandbox)) == 5
    assert storms(sandbox) == [("triggered", "[test] storm of 15 alerts on 15 tables: 15 ignored_rules")]


def test_an_outbox_on_a_weak_disk_limits_each_process_by_itself(sandbox, box, clock, monkeypatch) -> None:
    monkeypatch.setattr("spark_pd.delivery.outbox.store.is_local", lambda folder: False)
    one, other = (World(sandbox, box, clock, storm=3) for _ in range(2))
    one.send(*(warn(n) for n in range(6)))
    other.send(*(warn(f"o{n}") for n in range(6)))
    other.tell_in_time()
    assert storms(sandbox) == [("triggered", "[test] storm of 6 alerts on 6 tables: 6 ignored_rules")]
    assert not [name for name in files_in(box.folder) if name.startswith("limits")]
    one.send(*(warn(n, "resolved") for n in range(6)), *(warn(f"o{n}", "resolved") for n in range(6)))
    assert sandbox.open_incidents() == []


def test_where_nothing_can_be_written_the_limits_are_the_processs_own(sandbox, tmp_path, clock) -> None:
    (tmp_path / "file").write_text("")
    broken = Outbox(tmp_path / "file" / "outbox")
    pace = Pace(Limits(rate=100, storm=3, environment="test"), broken, clock=clock)
    channel = pace.channel(channel_to(sandbox))
    deliveries = [channel.deliver_unkept(warn(n), deadline=time.monotonic() + 5) for n in range(6)]
    assert {delivery.status for delivery in deliveries} == {"sent"}
    assert len(storms(sandbox)) == 1
