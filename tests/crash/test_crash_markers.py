"""Runs whose process is dead: who finds their markers, who tells, once, and whom nobody takes for dead."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.delivery.outbox import Outbox, replay
from spark_pd.model import Address, Subject
from spark_pd.runs.crash.marker import Marker, death_alert, decode, encode
from spark_pd.runs.crash.markers_folder import MISSED, Markers, touch_marker
from spark_pd.runs.crash.process_identity import Process, is_alive, this_process
from spark_pd.runs.crash.report_dead_runs import report_dead_runs
from tests.crash.conftest import ROOT, finished, markers, triggers, until_ready

ORDERS = "spark_pd/test/-/orders/failure"
SUBJECT = Subject(environment="test", product_id=None, table="orders")
DEAD_HERE = replace(this_process(), pid=2**22 + 1, start="1")
ELSEWHERE = Process("other", "other/boot/pid", 1, "1")


def marker(run_id: str = "r1", process: Process = DEAD_HERE, heartbeat: float = 30.0, subject: Subject = SUBJECT) -> Marker:
    return Marker(
        run_id=run_id,
        subject=subject,
        severity="critical",
        application="nightly",
        started_at=datetime(2026, 11, 20, tzinfo=timezone.utc),
        heartbeat=heartbeat,
        process=process,
        address=Address(channel="pagerduty", endpoint="http://127.0.0.1:1/v2/enqueue", reference="env:JOB_KEY", fingerprint="f"),
    )


@pytest.fixture
def folder(outbox_folder: Path) -> Markers:
    return Markers.beside(Outbox(outbox_folder))


def aged(path: Path, seconds: float) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


# ---- the marker ------------------------------------------------------------------------------------------------------------------

TEXT = st.text(max_size=20)
MAYBE = st.none() | TEXT


@given(
    subject=st.builds(Subject, environment=MAYBE, product_id=MAYBE, table=TEXT, scope=MAYBE, job=MAYBE),
    process=st.builds(Process, host=TEXT, place=TEXT, pid=st.integers(1, 2**22), start=MAYBE),
    application=TEXT,
    heartbeat=st.floats(0, 86_400),
)
def test_a_marker_comes_back_as_it_was_written(subject: Subject, process: Process, application: str, heartbeat: float) -> None:
    one = replace(marker(), subject=subject, process=process, application=application, heartbeat=heartbeat)
    assert decode(encode(one)) == one


@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.integers() | TEXT, lambda s: st.lists(s) | st.dictionaries(TEXT, s)).map(json.dumps).map(str.encode)
)
def test_what_is_no_marker_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no open run's marker"):
        decode(data)


@pytest.mark.parametrize("cut", [0, 1, 50, -2])
def test_half_a_marker_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="no open run's marker"):
        decode(encode(marker())[:cut])


@pytest.mark.parametrize(
    ("field", "value"),
    [("version", 2), ("severity", "terrible"), ("started_at", "soon"), ("heartbeat", "x"), ("process", {}), ("subject", {"table": 1})],
)
def test_a_marker_with_another_kind_of_field_is_refused(field: str, value: object) -> None:
    fields = json.loads(encode(marker())) | {field: value}
    with pytest.raises(ValueError, match="no open run's marker"):
        decode(json.dumps(fields).encode())


def test_the_alert_of_a_dead_run_is_that_of_its_failure() -> None:
    alert = death_alert(marker(), "its process died", at=datetime(2026, 11, 21, tzinfo=timezone.utc))
    assert (alert.trigger, alert.state, alert.severity, alert.dedup_key) == ("failure", "firing", "critical", ORDERS)
    assert alert.summary == "[test] orders failed: its process died"
    assert alert.details["run_id"] == "r1"


# ---- who is dead -----------------------------------------------------------------------------------------------------------------


def test_this_process_lives_and_one_that_had_its_id_before_does_not() -> None:
    here = this_process()
    assert is_alive(here, here=here) is True
    if here.start is not None:  # the system tells
        assert is_alive(replace(here, start="1"), here=here) is False
    assert is_alive(replace(here, pid=2**22 + 1), here=here) is False
    assert is_alive(replace(here, place="other"), here=here) is None


def test_a_zombie_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    from spark_pd.runs.crash.process_identity import _start_of

    seen = replace(this_process(), pid=process.pid, start=_start_of(process.pid))
    assert is_alive(seen, here=this_process()) is True
    process.kill()
    until = time.monotonic() + 60
    while is_alive(seen, here=this_process()) and time.monotonic() < until:
        time.sleep(0.01)
    assert is_alive(seen, here=this_process()) is False
    process.communicate()


FOUND = {
    # process, heartbeat, seconds since the last sign of life: whether it is told
    "dead here": (DEAD_HERE, 30.0, 0, True),
    "dead here without a heartbeat": (DEAD_HERE, 0.0, 0, True),
    "lives here, long without a heartbeat": (this_process(), 30.0, 100_000, False),
    "its id is used again": (replace(this_process(), start="1"), 30.0, 0, True),
    "elsewhere, fresh": (ELSEWHERE, 30.0, 0, False),
    "elsewhere, a few missed": (ELSEWHERE, 30.0, 30 * MISSED - 20, False),
    "elsewhere, silent": (ELSEWHERE, 30.0, 30 * MISSED + 20, True),
    "elsewhere, silent, and never gave a sign": (ELSEWHERE, 0.0, 100_000, False),
    "elsewhere, from the future": (ELSEWHERE, 30.0, -100_000, False),
}


@pytest.mark.parametrize(("process", "heartbeat", "age", "told"), FOUND.values(), ids=FOUND)
def test_who_is_taken_for_dead(folder: Markers, process: Process, heartbeat: float, age: float, told: bool) -> None:
    path = aged(folder.put(marker(process=process, heartbeat=heartbeat)), age)
    assert folder.state(path) == ("dead" if told else "alive")
    assert [claim.marker.run_id for claim in folder.dead(SUBJECT)] == (["r1"] if told else [])
    assert folder.dead(SUBJECT) == []
    assert path.exists() is not told


def test_only_the_subjects_own_are_taken(folder: Markers) -> None:
    folder.put(marker("mine"))
    folder.put(marker("scoped", subject=replace(SUBJECT, scope="2026-11-20")))
    assert [claim.marker.run_id for claim in folder.dead(SUBJECT)] == ["mine"]
    assert [claim.marker.run_id for claim in folder.all_dead()] == ["scoped"]


def test_what_is_no_marker_and_a_folder_that_is_not_there_harm_nobody(folder: Markers) -> None:
    assert folder.all_dead() == []
    assert not folder.folder.exists()
    folder.put(marker())
    (folder.folder / "0123456789abcdef-x.json").write_text("{")
    (folder.folder / "0123456789abcdef-y.json").mkdir()
    assert len(folder.all_dead()) == 1


def test_who_claims_and_dies_leaves_it_to_the_next(folder: Markers) -> None:
    path = folder.put(marker())
    take = f"Markers(Path({str(folder.folder)!r})).take(Path({str(path)!r}))"
    code = f"from pathlib import Path; from spark_pd.runs.crash import Markers; {take}"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert not path.exists()
    assert [claim.marker.run_id for claim in folder.all_dead()] == ["r1"]
    assert folder.all_dead() == []


def test_what_a_killed_process_had_not_written_to_its_end_is_removed_when_it_is_old(folder: Markers) -> None:
    path = folder.put(marker(process=this_process()))
    old, new = path.with_name(f".{path.name}.part"), path.with_name(".x.json.part")
    for aside in (old, new):
        aside.write_text("{")
    aged(old, 100)
    assert folder.all_dead() == []
    assert (old.exists(), new.exists(), path.exists()) == (False, True, True)


def test_a_claim_of_another_machine_holds_for_a_time(folder: Markers) -> None:
    claimed = folder.put(marker()).rename(folder.folder / f"{marker().name}.claimed-{'0' * 16}-1-1")
    os.utime(claimed)
    assert folder.all_dead() == []
    aged(claimed, 700)
    assert [claim.marker.run_id for claim in folder.all_dead()] == ["r1"]


def test_threads_that_race_for_a_marker_get_it_once(folder: Markers) -> None:
    for n in range(50):
        folder.put(marker(f"r{n}"))
    got: list[str] = []
    barrier = threading.Barrier(6)

    def take() -> None:
        barrier.wait()
        got.extend(claim.marker.run_id for claim in folder.all_dead())

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(f"r{n}" for n in range(50))


def test_a_sign_of_life_of_what_is_gone_makes_nothing(folder: Markers) -> None:
    path = aged(folder.put(marker()), 1000)
    touch_marker(path)
    assert time.time() - path.stat().st_mtime < 100
    path.unlink()
    touch_marker(path)
    assert not path.exists()


def test_an_alert_that_cannot_be_kept_leaves_the_marker_to_the_next(folder: Markers, outbox_folder: Path) -> None:
    folder.put(marker())
    (outbox_folder / "queue").write_text("in the way")
    assert report_dead_runs(Outbox(outbox_folder)) == []
    assert len(markers(outbox_folder)) == 1


# ---- the whole road --------------------------------------------------------------------------------------------------------------

DEATHS = {
    "kill_9": "os.kill(os.getpid(), signal.SIGKILL)",
    "os__exit": "os._exit(1)",
    "crash": "import ctypes; ctypes.string_at(0)",
    "sigterm_that_nobody_handles": "signal.signal(signal.SIGTERM, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGTERM)",
}


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS)
def test_the_next_run_tells_of_the_dead_one_at_its_start_and_closes_it_by_its_good_end(start, sandbox, outbox_folder, death) -> None:
    assert finished(start(f"with run_of(): {death}"))[0] != 0
    assert sandbox.events == []
    (left,) = markers(outbox_folder)
    assert sandbox.key.encode() not in (outbox_folder / "open" / left).read_bytes()
    assert finished(start('with run_of("other"): pass'))[0] == 0
    assert triggers(sandbox) == []
    job = start("with run_of():\n    ready(); sys.stdin.readline()", stdin=subprocess.PIPE)
    until_ready(job)
    until = time.monotonic() + 60
    while not sandbox.open_incidents() and time.monotonic() < until:
        time.sleep(0.02)
    (incident,) = sandbox.open_incidents()
    assert incident.dedup_key == ORDERS
    assert "its process died before the run had its verdict" in incident.summary
    job.communicate("\n", timeout=120)
    assert job.returncode == 0
    assert sandbox.open_incidents() == []
    assert triggers(sandbox) == [ORDERS]
    assert markers(outbox_folder) == []


def test_replay_tells_of_dead_runs_too(start, sandbox, outbox_folder, enabled) -> None:
    finished(start("with run_of('a'), run_of('b'), run_of('c'): os._exit(1)"))
    command = [sys.executable, "-c", "from spark_pd.cli import main; main(prog_name='spark-pd')", "outbox", "replay"]
    done = subprocess.run(command, cwd=ROOT, env=enabled, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 sent" in done.stdout
    assert {incident.dedup_key for incident in sandbox.open_incidents()} == {f"spark_pd/test/-/{t}/failure" for t in "abc"}
    assert markers(outbox_folder) == []
    assert "0 sent" in subprocess.run(command, cwd=ROOT, env=enabled, capture_output=True, text=True, check=False, timeout=120).stdout


def test_replay_with_another_key_keeps_the_dead_run_for_its_own(start, sandbox, outbox_folder, enabled) -> None:
    finished(start("with run_of(): os._exit(1)"))
    command = [sys.executable, "-c", "from spark_pd.cli import main; main(prog_name='spark-pd')", "outbox", "replay"]
    other = enabled | {"JOB_KEY": "0" * 32}
    done = subprocess.run(command, cwd=ROOT, env=other, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "1 queued" in done.stdout
    assert sandbox.requests == []


def test_two_processes_that_both_find_it_tell_it_once(start, sandbox, outbox_folder) -> None:
    for rounds in range(1, 6):
        finished(start("with run_of(): os._exit(1)"))
        jobs = [start("ready(); sys.stdin.readline()\nwith run_of(): time.sleep(0.1)", stdin=subprocess.PIPE) for _ in range(2)]
        for job in jobs:
            until_ready(job)
        for job in jobs:
            assert job.stdin is not None
            job.stdin.write("\n")
            job.stdin.flush()
        for job in jobs:
            assert finished(job)[0] == 0
        assert triggers(sandbox) == [ORDERS] * rounds
    assert markers(outbox_folder) == []


def test_a_run_that_lives_is_left_alone_by_others_of_its_table(start, sandbox, outbox_folder) -> None:
    job = start("with run_of():\n    ready(); sys.stdin.readline()", stdin=subprocess.PIPE)
    until_ready(job)
    assert finished(start("with run_of(): pass"))[0] == 0
    assert triggers(sandbox) == []
    assert len(markers(outbox_folder)) == 1
    job.communicate("\n", timeout=120)
    assert markers(outbox_folder) == []


def test_the_heartbeat_keeps_a_marker_fresh_and_0_turns_it_off(start, outbox_folder) -> None:
    job = start("with run_of('a', heartbeat=0.1), run_of('b', heartbeat=0):\n    ready(); time.sleep(600)")
    until_ready(job)
    by_heartbeat = {json.loads(path.read_bytes())["heartbeat"]: path for path in (outbox_folder / "open").iterdir()}
    for path in by_heartbeat.values():
        aged(path, 1000)
    until = time.monotonic() + 60
    while time.time() - by_heartbeat[0.1].stat().st_mtime > 100 and time.monotonic() < until:
        time.sleep(0.05)
    assert time.time() - by_heartbeat[0.1].stat().st_mtime < 100
    assert time.time() - by_heartbeat[0.0].stat().st_mtime > 900
    job.send_signal(signal.SIGKILL)
    finished(job)


# ---- kill -9 between every two steps ---------------------------------------------------------------------------------------------


def steps(folder: Path, n: int) -> Callable[[str, tuple[object, ...]], None]:
    """An audit hook that kills this process, as kill -9 does, before its n-th step on the files of the outbox, or its n-th connection."""
    count = [0]

    def hook(event: str, args: tuple[object, ...]) -> None:
        ours = event in ("open", "os.rename", "os.remove", "os.mkdir", "os.scandir", "os.listdir", "os.utime") and str(folder) in str(
            args[0]
        )
        if ours or event in ("fcntl.flock", "socket.connect", "socket.sendto"):
            count[0] += 1
            if count[0] == n:
                os.kill(os.getpid(), 9)

    return hook


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.parametrize("ends", ["badly", "well"])
def test_kill_9_between_any_two_steps_of_a_run_is_told_once_and_only_if_there_is_something_to_tell(
    sandbox, tmp_path, monkeypatch, environ, ends
) -> None:
    from tests.crash.job import channel_of_job, run_of

    for name, value in environ.items():
        if name.startswith("JOB_"):
            monkeypatch.setenv(name, value)
    channel = channel_of_job()
    survived, told = 0, []
    for n in itertools.count(1):
        folder = tmp_path / str(n)
        pid = os.fork()
        if pid == 0:
            try:
                sys.addaudithook(steps(folder, n))
                with run_of(folder=folder):
                    if ends == "badly":
                        raise KeyError(n)
            finally:
                os._exit(7)
        killed = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9
        box = Outbox(folder)
        report_dead_runs(box)
        outcomes = list(replay(box, lambda entry: channel, until=time.monotonic() + 10))
        assert {outcome.status for outcome in outcomes} <= {"sent", "dropped"}
        assert markers(folder) == []
        told.append(len(sandbox.open_incidents()))
        assert len(sandbox.incidents()) <= 1
        sandbox.reset()
        if not killed:
            break
        survived += 1
    assert survived > 12
    if ends == "well":
        assert told[-1] == 0
    else:
        # once the marker is there, there is no step at which the failure is lost
        assert told[told.index(1) :] == [1] * (len(told) - told.index(1))
        assert told.index(1) < 6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_kill_9_between_any_two_steps_of_who_tells_leaves_it_to_the_next(sandbox, tmp_path, monkeypatch, environ) -> None:
    from tests.crash.job import channel_of_job

    for name, value in environ.items():
        if name.startswith("JOB_"):
            monkeypatch.setenv(name, value)
    channel = channel_of_job()
    for n in itertools.count(1):
        box = Outbox(tmp_path / str(n))
        Markers.beside(box).put(replace(marker(), address=channel.address()))
        pid = os.fork()
        if pid == 0:
            try:
                sys.addaudithook(steps(box.folder, n))
                report_dead_runs(box)
            finally:
                os._exit(7)
        killed = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9
        report_dead_runs(box)
        list(replay(box, lambda entry: channel, until=time.monotonic() + 10))
        assert len(sandbox.open_incidents()) == len(sandbox.incidents()) == 1
        assert markers(box.folder) == []
        sandbox.reset()
        if not killed:
            break
    assert n > 8
