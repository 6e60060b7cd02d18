"""The notifier: real state, real outbox, real HTTP. What passes is sent, what does not has its reason, and all is remembered."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from spark_pd.alerting.policy import PagingPolicy, Verdict
from spark_pd.alerting.policy.mute import Mutes
from spark_pd.alerting.policy.mutes_file import MutesFile
from spark_pd.delivery.dispatch import Dispatcher
from spark_pd.delivery.notifier import Notification, Notifier
from spark_pd.delivery.outbox import Outbox
from spark_pd.delivery.outbox.dead_letters import died_since
from spark_pd.delivery.state import FileStateStore
from spark_pd.model import Decision, Secret
from spark_pd.model.incident_state import IncidentState
from spark_pd.model.recurring_window import parse_windows
from spark_pd.pagerduty import PagerDutyChannel, endpoint
from spark_pd.sandbox import Sandbox
from tests.policy.shared import SUBJECT, at, verdict

CHANGE = PagingPolicy(notify={"failure": "change"})


class Bench:
    """A notifier with its own clock, over a folder and a sandbox that outlive it."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.box = Outbox(folder / "outbox")
        self.store = FileStateStore(self.box.folder / "state", patience=60)
        self.sandbox = sandbox
        self.now = at(1)

    def notifier(self, policy: PagingPolicy | None = PagingPolicy(), **fields: Any) -> Notifier:  # noqa: B008 (frozen)
        channel = PagerDutyChannel("pagerduty", endpoint=endpoint("us", self.sandbox.url), key=lambda: Secret(self.sandbox.key))
        dispatcher = Dispatcher([channel], outbox=self.box)
        usual: dict[str, Any] = {"store": self.store, "died": partial(died_since, self.box.folder, "pagerduty"), "clock": lambda: self.now}
        return Notifier(dispatcher, policy=policy, **{**usual, **fields})

    def send(self, notifier: Notifier, *verdicts: Verdict, seconds: float = 60) -> Notification:
        self.now = max([self.now, *(one.started_at for one in verdicts)]) + timedelta(minutes=1)
        return notifier.submit(verdicts, seconds=seconds)

    def told(self, notifier: Notifier, *verdicts: Verdict, seconds: float = 60) -> list[tuple[str, str]]:
        return [(d.status, d.reason) for d in self.send(notifier, *verdicts, seconds=seconds).wait()]

    def memory(self, trigger: str = "failure") -> IncidentState | None:
        key = SUBJECT.dedup_key(trigger)
        with self.store.hold([key]) as held:
            return held.memories.get(key)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Sandbox() as sandbox:
        yield Bench(tmp_path, sandbox)


def statuses(told: list[tuple[str, str]]) -> list[str]:
    return [status for status, _ in told]


def test_another_process_s_gate_knows_what_this_one_told(bench: Bench) -> None:
    assert statuses(bench.told(bench.notifier(CHANGE), verdict("firing", 0))) == ["sent"]
    ((status, reason),) = bench.told(bench.notifier(CHANGE), verdict("firing", 10))
    assert status == "suppressed"
    assert "it is no worse (spark.pd.notify.failure is change)" in reason
    assert statuses(bench.told(bench.notifier(CHANGE), verdict("good", 20))) == ["sent"]
    assert statuses(bench.told(bench.notifier(CHANGE), verdict("firing", 30))) == ["sent"]
    assert [i.status for i in bench.sandbox.incidents()] == ["resolved", "triggered"]


def test_alerts_and_deliveries_are_in_the_verdicts_order_withheld_ones_too(bench: Bench) -> None:
    notifier = bench.notifier(PagingPolicy(min_severity="error"))
    notification = bench.send(
        notifier, verdict("firing", trigger="failure"), verdict("firing", trigger="start", severity="info"), verdict("good", trigger="late")
    )
    assert [alert.trigger for alert in notification.alerts] == ["failure", "start", "late"]
    assert [(d.alert.trigger, d.status, d.channel) for d in notification.wait()] == [
        ("failure", "sent", "pagerduty"),
        ("start", "suppressed", "pagerduty"),
        ("late", "sent", "pagerduty"),
    ]


def test_a_decision_says_what_became_of_its_alert(bench: Bench) -> None:
    decisions = [Decision(trigger=name, outcome="firing", reason="3 rows") for name in ("failure", "start")]
    notification = bench.send(bench.notifier(PagingPolicy(notify={"failure": "never"})), verdict("firing"))
    assert [d.reason for d in notification.noted(decisions)] == ["3 rows; not told: spark.pd.notify.failure is never", "3 rows"]


def test_mutes_come_from_the_settings_and_from_a_file_that_changes_under_the_gate(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "mutes.yaml"
    notifier = bench.notifier(CHANGE, mutes=Mutes(windows=parse_windows("0 13 20 11 * for 30m"), file=MutesFile(file)))
    file.write_text("- {table: sales.*, reason: upgrade, who: ops, until: 2026-11-20T12:30:00Z}")
    assert bench.told(notifier, verdict("firing", 0)) == [
        ("suppressed", "muted: upgrade (ops), until 2026-11-20 12:30 UTC (spark.pd.mutes.file)")
    ]
    assert bench.memory() is not None
    file.write_text("")
    assert statuses(bench.told(notifier, verdict("firing", 5))) == ["sent"]
    file.write_text("- {reason: upgrade, until: 2027-01-01T00:00:00Z}")
    # a resolve is never muted
    assert statuses(bench.told(notifier, verdict("good", 10))) == ["sent"]
    assert statuses(bench.told(notifier, verdict("firing", 20))) == ["suppressed"]
    file.unlink()
    assert bench.told(notifier, verdict("firing", 65)) == [
        ("suppressed", "muted: it is in the window 0 13 20 11 * for 30m in UTC (spark.pd.mute)")
    ]
    assert statuses(bench.told(notifier, verdict("firing", 95))) == ["sent"]


# ---- what was not told -----------------------------------------------------------------------------------------------------------


def test_what_waits_in_the_outbox_counts_as_told(bench: Bench) -> None:
    bench.sandbox.fault("503")
    assert statuses(bench.told(bench.notifier(CHANGE), verdict("firing", 0), seconds=0.5)) == ["queued"]
    assert statuses(bench.told(bench.notifier(CHANGE), verdict("firing", 10), seconds=0.5)) == ["suppressed"]


def test_what_pagerduty_refused_counts_as_untold(bench: Bench) -> None:
    bench.sandbox.fault("403", times=1)
    assert statuses(bench.told(bench.notifier(CHANGE), verdict("firing", 0))) == ["dead"]
    memory = bench.memory()
    assert memory is not None
    assert (memory.open_since, memory.bad_runs) == (None, 1)
    # without a look at the dead letters, whose time is the real one
    assert statuses(bench.told(bench.notifier(CHANGE, died=None), verdict("firing", 10))) == ["sent"]
    assert statuses(bench.told(bench.notifier(CHANGE, died=None), verdict("firing", 20))) == ["suppressed"]


def test_what_neither_pagerduty_nor_the_outbox_took_counts_as_untold(bench: Bench) -> None:
    bench.sandbox.fault("503")
    bench.box.folder.mkdir(parents=True)
    (bench.box.folder / "queue").write_text("in the way")
    assert statuses(bench.told(bench.notifier(CHANGE), verdict("firing", 0), seconds=0.5)) == ["failed"]
    memory = bench.memory()
    assert memory is not None
    assert memory.open_since is None
    bench.sandbox.reset()
    assert statuses(bench.told(bench.notifier(CHANGE), verdict("firing", 10))) == ["sent"]


def test_a_page_that_became_a_dead_letter_later_is_told_by_the_next_bad_run(bench: Bench) -> None:
    bench.sandbox.fault("503")
    bench.now = datetime.now(bench.now.tzinfo) - timedelta(minutes=1)
    start = (bench.now - at(0)).total_seconds() / 60
    assert statuses(bench.told(bench.notifier(CHANGE), verdict("firing", start), seconds=0.5)) == ["queued"]
    bench.sandbox.reset()
    assert statuses(bench.told(bench.notifier(CHANGE), verdict("firing", start), seconds=0.5)) == ["suppressed"]
    (entry,) = bench.box.waiting()
    bench.box.bury(entry, "400 Invalid routing key")
    assert statuses(bench.told(bench.notifier(CHANGE), verdict("firing", start))) == ["sent"]


def test_a_resolve_that_was_refused_leaves_the_incident_believed_open(bench: Bench) -> None:
    assert statuses(bench.told(bench.notifier(), verdict("firing", 0))) == ["sent"]
    bench.sandbox.fault("403", times=1)
    assert statuses(bench.told(bench.notifier(), verdict("good", 10))) == ["dead"]
    memory = bench.memory()
    assert memory is not None
    assert memory.open_since is not None
    assert memory.outcome == "good"


# ---- the order of runs -----------------------------------------------------------------------------------------------------------


def begun(bench: Bench, minutes: float) -> datetime:
    return bench.notifier().begin(SUBJECT, ("failure", "start"), at(minutes))


def test_a_run_comes_after_every_verdict_that_stood_when_it_started_whatever_the_clock_says(bench: Bench) -> None:
    assert begun(bench, 10) == at(10)
    bench.told(bench.notifier(), replace(verdict("good", 0), started_at=begun(bench, 10)))
    # the clock is set back by nine minutes, and the run ends when it shows more than it did
    start = begun(bench, 1)
    assert start > at(10)
    bench.now = at(20)
    assert statuses(bench.told(bench.notifier(), replace(verdict("firing"), started_at=start))) == ["sent"]
    # whoever was under way before either of them is still the earlier one
    assert statuses(bench.told(bench.notifier(), replace(verdict("good"), started_at=at(9)))) == ["suppressed"]
    assert begun(bench, 30) == at(30)


def test_without_policy_or_state_or_with_a_broken_one_the_clock_decides(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.told(bench.notifier(), verdict("good", 10))
    for notifier in (bench.notifier(None), bench.notifier(store=None), bench.notifier(store=Broken("held", bench.store))):
        assert notifier.begin(SUBJECT, ("failure",), at(1)) == at(1)
    assert len(caplog.records) == 1


# ---- what fails ------------------------------------------------------------------------------------------------------------------


class Broken:
    """A store that breaks its promise never to raise, when it is held or when it is let go."""

    durable = True

    def __init__(self, when: str, inner: FileStateStore) -> None:
        self._when, self._inner = when, inner

    @contextmanager
    def hold(self, keys: Any) -> Iterator[Any]:
        if self._when == "held":
            raise RuntimeError("integration key 0123")
        with self._inner.hold(keys) as held:
            yield held
        raise RuntimeError("integration key 0123")


@pytest.mark.parametrize("when", ["held", "let go"])
def test_whatever_fails_in_it_every_alert_goes_out_once(bench: Bench, caplog: pytest.LogCaptureFixture, when: str) -> None:
    notifier = bench.notifier(CHANGE, store=Broken(when, bench.store))
    off = verdict("none", 0, trigger="start", pages=True, switched_off=True)
    assert statuses(bench.told(notifier, verdict("firing", 0), off)) == ["sent"]
    assert len(bench.sandbox.events) == 1
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == ["the policy could not be applied, so alerts are sent without it: RuntimeError"]
    assert "0123" not in caplog.text


def test_mutes_that_raise_mute_nothing(bench: Bench) -> None:
    class Raises:
        def read(self) -> Any:
            raise OSError

    assert statuses(bench.told(bench.notifier(mutes=Mutes(file=Raises())), verdict("firing", 0))) == ["sent"]


@pytest.mark.parametrize("break_it", [lambda b: (b.store.folder / "incidents").rmdir(), lambda b: None])
def test_a_count_that_cannot_be_kept_withholds_nothing(
    bench: Bench, break_it: Callable[[Bench], object], caplog: pytest.LogCaptureFixture
) -> None:
    policy = PagingPolicy(after={"failure": 3})
    bench.store.folder.mkdir(parents=True)
    (bench.store.folder / "incidents").mkdir()
    break_it(bench)
    if not (bench.store.folder / "incidents").exists():
        (bench.store.folder / "incidents").write_text("in the way")
        expected = ["sent", "sent", "sent"]
    else:
        expected = ["suppressed", "suppressed", "sent"]
    assert [statuses(bench.told(bench.notifier(policy), verdict("firing", n)))[0] for n in range(3)] == expected


def test_a_corrupt_state_withholds_nothing(bench: Bench) -> None:
    policy = PagingPolicy(after={"failure": 3})
    assert statuses(bench.told(bench.notifier(policy), verdict("firing", 0))) == ["suppressed"]
    (file,) = (bench.store.folder / "incidents").iterdir()
    file.write_bytes(b"{")
    assert statuses(bench.told(bench.notifier(policy), verdict("firing", 1))) == ["sent"]
    assert statuses(bench.told(bench.notifier(policy), verdict("firing", 2))) == ["sent"]


def test_without_a_store_only_what_needs_no_memory_withholds(bench: Bench) -> None:
    policy = PagingPolicy(notify={"failure": "change"}, after={"failure": 3}, cooldown=9e5)
    notifier = bench.notifier(policy, store=None)
    assert statuses(bench.told(notifier, verdict("firing", 0))) == ["sent"]
    assert statuses(bench.told(notifier, verdict("firing", 1))) == ["sent"]
    assert statuses(bench.told(notifier, verdict("good", 2))) == ["sent"]
    assert statuses(bench.told(bench.notifier(PagingPolicy(notify={"failure": "never"}), store=None), verdict("firing", 3))) == [
        "suppressed"
    ]
    assert not bench.store.folder.exists()


def test_without_a_policy_everything_passes_and_nothing_is_remembered(bench: Bench) -> None:
    off = verdict("none", 0, trigger="start", pages=True, switched_off=True)
    notification = bench.send(bench.notifier(None), verdict("firing", 0), off, verdict("unknown", 0, trigger="late"))
    assert [alert.trigger for alert in notification.alerts] == ["failure"]
    assert [d.status for d in notification.wait()] == ["sent"]
    assert not bench.store.folder.exists()


# ---- several at once -------------------------------------------------------------------------------------------------------------


def test_of_many_processes_with_one_bad_run_each_only_as_many_page_as_there_is_news(bench: Bench, tmp_path: Path) -> None:
    script = tmp_path / "bad.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from spark_pd.sandbox import Sandbox
        from tests.policy.test_policy_notifier import Bench, CHANGE, PagingPolicy, verdict
        class There:
            url, key = {bench.sandbox.url!r}, {bench.sandbox.key!r}
        bench = Bench(Path({str(tmp_path)!r}), There())
        policy = PagingPolicy(notify={{"failure": "change"}}, after={{"failure": 3}})
        for n in range(5):
            print(*(s for s, _ in bench.told(bench.notifier(policy), verdict("firing", 0), seconds=20)))
        """)
    )
    processes = [subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * 3
    # 15 bad runs: two before the page, the page, and twelve that are no news
    assert sorted(word for words in outputs for word in words) == ["sent"] + ["suppressed"] * 14
    memory = bench.memory()
    assert memory is not None
    assert memory.bad_runs == 15
    assert [i.trigger_count for i in bench.sandbox.incidents()] == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment_nobody_is_left_believed_told_who_was_not(bench: Bench) -> None:
    random = Random(4)
    for number in range(40):
        bad = verdict("firing", 0, subject=replace(SUBJECT, scope=str(number)))
        child = os.fork()
        if child == 0:
            try:
                bench.send(bench.notifier(CHANGE), bad).wait()
            finally:
                os._exit(0)
        time.sleep(random.random() * 0.03)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        bench.now += timedelta(minutes=1)
        notification = bench.send(bench.notifier(CHANGE), bad)
        notification.wait()
        accepted = {incident.dedup_key for incident in bench.sandbox.open_incidents()}
        waiting = {entry.alert.dedup_key for entry in bench.box.waiting()}
        assert bad.dedup_key in accepted | waiting
    assert len({i.dedup_key for i in bench.sandbox.incidents()}) == len(bench.sandbox.incidents())


OWN = {"rules": ["a", "b"], "failing": ["a"], "rule": "a", "passed": True}
GONE = {"rules": ["b"], "passed": True, "rules_source": "table t"}


def opened(bench: Bench) -> list[str]:
    return [incident.dedup_key.rpartition("/")[2] for incident in bench.sandbox.open_incidents()]


def test_which_rules_have_an_own_incident_is_remembered_with_the_table_s_and_a_removed_one_s_is_closed(bench: Bench) -> None:
    first = [verdict("good", 0, rules=["a", "b"], passed=True), verdict("firing", 0, **{**OWN, "rules_source": "table t"})]
    assert statuses(bench.told(bench.notifier(), *first)) == ["sent", "sent"]
    assert bench.memory().own == ("a",)  # type: ignore[union-attr]
    assert opened(bench) == ["rule=a"]
    # A run that did not pass closes nothing, and one with rules from elsewhere neither.
    bench.told(bench.notifier(), verdict("good", 10, **{**GONE, "passed": False}))
    bench.told(bench.notifier(), verdict("good", 20, **{**GONE, "rules_source": "table u"}))
    assert opened(bench) == ["rule=a"]
    told = bench.told(bench.notifier(), verdict("good", 30, **GONE))
    assert len(told) == 2
    assert opened(bench) == []
    assert bench.memory().own == ()  # type: ignore[union-attr]
    assert len(bench.told(bench.notifier(), verdict("good", 40, **GONE))) == 1


def test_the_rules_that_have_an_own_incident_stay_remembered_when_the_table_s_page_is_refused(bench: Bench) -> None:
    bench.told(bench.notifier(CHANGE), verdict("firing", 0, **OWN))
    bench.sandbox.fault("400", times=1)
    table = verdict("firing", 10, rules=["b"], failing=["b"])
    assert statuses(bench.told(bench.notifier(CHANGE), table)) == ["dead"]
    memory = bench.memory()
    assert memory is not None
    assert (memory.own, memory.open_since, memory.bad_runs) == (("a",), None, 1)
