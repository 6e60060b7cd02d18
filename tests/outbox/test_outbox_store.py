"""The outbox's folder: what is kept, in which order, and what becomes of what cannot be kept or read."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import resource
import socket
import string
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_pd.delivery.outbox import Entry, Outbox, open_outbox
from spark_pd.delivery.outbox import folder as places
from spark_pd.delivery.outbox.entry import decode, encode, parse_name
from spark_pd.delivery.outbox.owner import this_process
from spark_pd.model import Address, Link, Secret
from spark_pd.pagerduty.json_values import plain
from tests.outbox.conftest import files_in, make_alert

HERE = Address(channel="pagerduty", endpoint="https://events.pagerduty.com/v2/enqueue", fingerprint="f" * 64)
DAY = 86_400 * 10**9
ANY_TEXT = st.text(max_size=40) | st.text(st.characters(), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.binary(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
ALERTS = st.builds(
    make_alert,
    dedup_key=ANY_TEXT,
    state=st.sampled_from(["firing", "resolved"]),
    severity=st.sampled_from(["critical", "error", "warning", "info"]),
    summary=ANY_TEXT,
    details=st.dictionaries(ANY_TEXT, JSON, max_size=3),
    group=st.none() | ANY_TEXT,
    links=st.lists(st.builds(Link, ANY_TEXT, ANY_TEXT), max_size=2).map(tuple),
    at=st.datetimes(timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=5, minutes=30))])),
)
ENTRIES = st.builds(
    Entry,
    id=st.text("0123456789abcdef", min_size=12, max_size=12),
    stamp=st.integers(0, 10**20 - 1),
    owner=ANY_TEXT,
    address=st.builds(
        Address, channel=ANY_TEXT, endpoint=ANY_TEXT, reference=st.none() | ANY_TEXT, fingerprint=st.none() | st.text(string.hexdigits)
    ),
    alert=ALERTS,
)


def keep(box: Outbox, *alerts: object, address: Address = HERE) -> list[Entry]:
    kept = box.keep([(alert, address) for alert in alerts])  # type: ignore[misc]
    assert all(isinstance(entry, Entry) for entry in kept), kept
    return kept  # type: ignore[return-value]


@given(ENTRIES)
def test_an_entry_comes_back_as_it_was(entry: Entry) -> None:
    back = decode(encode(entry))
    assert (back.id, back.stamp, back.owner, back.address) == (entry.id, entry.stamp, entry.owner, entry.address)
    assert back.alert.details == plain(dict(entry.alert.details))
    for name in ("trigger", "state", "severity", "summary", "dedup_key", "source", "component", "group", "at", "links"):
        assert getattr(back.alert, name) == getattr(entry.alert, name)
    assert encode(back) == encode(entry)
    name = parse_name(entry.name)
    assert name is not None
    assert (name.stamp, name.line, name.id) == (entry.stamp, entry.line, entry.id)


@given(ENTRIES, st.data())
def test_a_file_that_is_cut_or_changed_is_never_taken_for_a_whole_one(entry: Entry, data: st.DataObject) -> None:
    whole = encode(entry)
    place = data.draw(st.integers(0, len(whole) - 2))
    for broken in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
        with suppress(ValueError):
            assert encode(decode(broken)) == whole  # only whitespace or the spelling of a number may have changed


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(plain(value)).encode()))
def test_what_is_no_entry_is_a_value_error_and_nothing_else(data: bytes) -> None:
    with pytest.raises(ValueError, match="it"):
        decode(data)


def test_details_that_are_too_large_for_any_event_are_cut(box: Outbox) -> None:
    (entry,) = keep(box, make_alert(details={"rows": ["x" * 1000] * 2000}))
    assert (box.folder / "queue" / entry.name).stat().st_size < 10_000
    assert "did not keep them" in str(box.waiting()[0].alert.details)


def test_a_file_is_there_before_keep_returns_and_gone_once_it_is_done(box: Outbox) -> None:
    assert not box.folder.exists()
    one, two = keep(box, make_alert("a"), make_alert("a", "resolved"))
    assert files_in(box.folder) == [f"queue/{one.name}", f"queue/{two.name}"]
    assert one.name < two.name
    assert box.waiting() == [one, two]
    box.note(one, "the connection was refused")
    assert [entry.reason for entry in box.waiting()] == ["the connection was refused", None]
    box.done(one)
    box.done(two)
    assert files_in(box.folder) == []
    assert oct(box.folder.stat().st_mode & 0o777) == "0o700"


def test_a_dead_letter_keeps_its_reason_and_can_be_revived(box: Outbox) -> None:
    (entry,) = keep(box, make_alert())
    box.bury(entry, "PagerDuty answered 400")
    (dead,) = box.dead()
    assert (dead, dead.state, dead.reason, box.waiting(), box.holds(entry)) == (entry, "dead", "PagerDuty answered 400", [], "dead")
    assert box.revive(dead)
    assert (box.waiting(), box.dead(), box.holds(entry)) == ([entry], [], "queued")


def test_a_clock_that_jumps_changes_no_order(tmp_path: Path) -> None:
    now = [int(time.time() * 1e9)]
    box = Outbox(tmp_path, clock=lambda: now[0])
    kept = []
    for jump in (0, -30 * DAY, 5 * DAY, -(10**18), 0):
        now[0] = max(0, now[0] + jump)
        kept += keep(Outbox(tmp_path, clock=lambda: now[0]), make_alert("a"), make_alert("a", "resolved"))
    now[0] = int(time.time() * 1e9)
    assert [entry.id for entry in box.waiting()] == [entry.id for entry in kept]


def test_what_waited_too_long_becomes_a_dead_letter_and_is_not_lost(tmp_path: Path) -> None:
    now = [int(time.time() * 1e9)]
    box = Outbox(tmp_path, clock=lambda: now[0])
    (entry,) = keep(box, make_alert())
    now[0] -= 100 * DAY  # an entry from the future is not old
    assert box.waiting() == [entry]
    now[0] += 108 * DAY
    assert box.waiting() == []
    (dead,) = box.dead()
    assert dead.reason == "it waited for more than 7 days; before: nobody tried to send it"
    assert box.revive(dead)  # somebody wants it sent all the same
    (revived,) = box.waiting()
    box.note(revived, "the connection was refused")
    assert box.waiting() == [entry]


def test_a_full_outbox_says_so_and_removes_nothing(tmp_path: Path) -> None:
    box = Outbox(tmp_path, most_files=2)
    kept = box.keep([(make_alert(key), HERE) for key in "abc"])
    assert [isinstance(each, Entry) for each in kept] == [True, True, False]
    assert "it is full" in str(kept[2])
    assert len(box.waiting()) == 2
    (by_size,) = Outbox(tmp_path, most_bytes=10).keep([(make_alert("d"), HERE)])
    assert "it is full: 2 alerts wait" in str(by_size)


def test_dead_letters_and_corrupt_files_are_bounded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    box = Outbox(tmp_path, most_dead=3)
    for entry in keep(box, *(make_alert(str(n)) for n in range(5))):
        box.bury(entry, "no")
    assert [entry.alert.dedup_key for entry in box.dead()] == ["2", "3", "4"]
    assert len(list((tmp_path / "notes").iterdir())) == 3
    assert "removed the oldest" in caplog.text


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\x00", b'{"sha256":"x","entry":{}}', b"[1]", None])
def test_a_corrupt_file_is_set_aside_reported_and_in_nobodys_way(
    box: Outbox, caplog: pytest.LogCaptureFixture, damage: bytes | None
) -> None:
    bad, good = keep(box, make_alert("a"), make_alert("b"))
    path = box.folder / "queue" / bad.name
    path.write_bytes(path.read_bytes()[:-30] if damage is None else damage)
    assert box.waiting() == [good]
    assert [file.name for file in box.corrupt()] == [bad.name]
    assert f"is no alert and was set aside: {bad.name}" in caplog.text


def test_what_another_version_wrote_is_left_to_it(box: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    (entry,) = keep(box, make_alert())
    path = box.folder / "queue" / entry.name
    fields = {**json.loads(path.read_bytes())["entry"], "version": 2}
    digest = hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    path.write_text(json.dumps({"sha256": digest, "entry": fields}))
    assert (box.waiting(), box.corrupt(), box.names()) == ([], [], (entry.name,))
    assert "another version of spark_pd wrote an alert" in caplog.text


def test_where_renames_are_weak_a_file_that_may_still_grow_is_left_alone(box: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spark_pd.delivery.outbox.store.is_local", lambda folder: False)
    (entry,) = keep(box, make_alert())
    path = box.folder / "queue" / entry.name
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    assert (box.waiting(), box.corrupt()) == ([], [])
    path.write_bytes(whole)
    assert box.waiting() == [entry]
    path.write_bytes(whole[:50])
    os.utime(path, (1, 1))
    assert box.waiting() == []
    assert len(box.corrupt()) == 1
    with box.lock("00", until=0.0) as one, box.lock("00", until=0.0) as other:
        assert one is other is True


def test_without_renames_files_are_written_in_place(box: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_rename(self: Path, target: Path) -> Path:
        raise OSError(95, "Operation not supported")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", no_rename)
        (entry,) = keep(box, make_alert())
    assert box.waiting() == [entry]
    assert files_in(box.folder) == [f"queue/{entry.name}"]


def put_aside(box: Outbox, entry: Entry, owner: str, size: int | None = None) -> Path:
    """Have an entry's file look as while that process writes it."""
    path = box.folder / "queue" / entry.name
    path.unlink()
    aside = path.with_name(f".{path.name}.part")
    aside.write_bytes(encode(replace(entry, owner=owner))[:size])
    return aside


@pytest.fixture
def of_the_dead(child) -> str:
    """A process that has ended, as entries name their owner."""
    pid = child(lambda: None)
    os.waitpid(pid, 0)
    return f"{socket.gethostname()}:{pid}"


def test_what_a_killed_process_had_written_but_not_renamed_is_taken_in(box: Outbox, of_the_dead: str) -> None:
    one, two, mine, elsewhere = keep(box, *(make_alert(name) for name in "abcd"))
    put_aside(box, one, of_the_dead)
    half = put_aside(box, two, of_the_dead, 40)
    being_written = put_aside(box, mine, this_process())
    foreign = put_aside(box, elsewhere, "another-machine:7")
    assert [entry.alert.dedup_key for entry in box.waiting()] == ["a"]
    assert len([path for path in (half, being_written, foreign) if path.exists()]) == 3  # they may be under way
    for aside in (half, being_written, foreign):
        os.utime(aside, (1, 1))
    assert [entry.alert.dedup_key for entry in box.waiting()] == ["a", "d"]
    assert (half.exists(), being_written.exists()) == (False, True)


@pytest.mark.parametrize("ahead", [0, 700_000])
def test_what_a_killed_process_left_is_seen_before_anything_newer_of_its_line_is_sent(box: Outbox, of_the_dead: str, ahead: int) -> None:
    (left,) = keep(Outbox(box.folder, clock=lambda: time.time_ns() + ahead * 10**9), make_alert("a"))
    put_aside(box, left, of_the_dead)
    (newer,) = keep(box, make_alert("a", "resolved"))
    assert [entry.alert.state for entry in box.waiting(newer.line)] == ["firing", "resolved"]


def test_a_file_that_is_tidied_away_while_it_is_written_is_written_again(box: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.replace

    def robbed(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", real)
        self.unlink()
        return real(self, target)

    keep(box, make_alert("the folders are there"))
    monkeypatch.setattr(Path, "replace", robbed)
    (entry,) = keep(box, make_alert())
    assert entry in box.waiting()


def test_notes_of_alerts_that_are_gone_are_removed_once_they_are_old(box: Outbox) -> None:
    waits, dead = keep(box, make_alert("a"), make_alert("b"))
    box.note(waits, "no answer")
    box.bury(dead, "refused")
    notes = box.folder / "notes"
    for name in ("0123456789ab.json", ".0123456789ab.json.part"):
        (notes / name).write_bytes(b"{}")
    box.waiting()
    assert len(list(notes.iterdir())) == 4
    for path in notes.iterdir():
        os.utime(path, (1, 1))
    box.waiting()
    assert {path.name for path in notes.iterdir()} == {f"{waits.id}.json", f"{dead.id}.dead.json"}


def test_a_dead_letters_reason_is_not_written_over(box: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    (entry,) = keep(box, make_alert())
    held = box.holds
    # Who sends it has just seen that it waits when another buries it.
    monkeypatch.setattr(box, "holds", lambda entry: (held(entry), box.bury(entry, "it was too old"))[0])
    box.note(entry, "the connection was refused")
    assert [dead.reason for dead in box.dead()] == ["it was too old"]


def test_notes_that_several_write_at_once_are_whole(box: Outbox) -> None:
    (entry,) = keep(box, make_alert())
    reasons = [letter * 20_000 for letter in "abcdef"]
    seen: set[str | None] = set()
    threads = [threading.Thread(target=lambda reason=reason: [box.note(entry, reason) for _ in range(20)]) for reason in reasons]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen.update(one.reason for one in box.waiting())
    assert seen <= {None, *reasons}
    assert [one.reason in reasons for one in box.waiting()] == [True]
    assert len(list((box.folder / "notes").iterdir())) == 1


def test_a_full_disk_is_said_and_leaves_nothing_behind(box: Outbox) -> None:
    keep(box, make_alert("small"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))  # bytes that a file may have
    try:
        (said,) = box.keep([(make_alert("large", details={"x": "y" * 2000}), HERE)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert isinstance(said, str)
    assert "File too large" in said
    assert [entry.alert.dedup_key for entry in box.waiting()] == ["small"]
    assert len(files_in(box.folder)) == 1


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "outbox", Path("/proc/no-such-folder/outbox")):
        box = Outbox(folder)
        (said,) = box.keep([(make_alert(), HERE)])
        assert isinstance(said, str)
        assert str(folder.parent) in said
        assert (box.waiting(), box.dead(), box.corrupt(), box.names()) == ([], [], [], ())


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become somebody without rights")
def test_a_read_only_outbox_is_still_read_and_says_what_could_not_be_done(box: Outbox, child, caplog: pytest.LogCaptureFixture) -> None:
    (entry,) = keep(box, make_alert())
    for folder in (box.folder, *(path for path in box.folder.iterdir() if path.is_dir())):
        folder.chmod(0o555)
    for parent in box.folder.parents[:4]:  # a worker of pytest-xdist has one more folder
        parent.chmod(parent.stat().st_mode | 0o055)

    def as_nobody() -> None:
        logging.disable(logging.CRITICAL)
        os.setgid(65534)
        os.setuid(65534)
        assert os.access(box.folder, os.R_OK), "the test's own folder"
        assert box.waiting() == [entry]
        (said,) = box.keep([(make_alert("b"), HERE)])
        assert "Permission denied" in str(said)
        box.note(entry, "x")
        box.bury(entry, "x")
        box.done(entry)
        assert box.waiting() == [entry]
        with box.lock(entry.line, until=time.monotonic() + 0.1) as mine:
            assert mine

    assert os.waitstatus_to_exitcode(os.waitpid(child(as_nobody), 0)[1]) == 0


def test_a_lock_is_one_holders_ends_with_its_process_and_is_no_forked_childs(box: Outbox, child) -> None:
    keep(box, make_alert())
    line = "ab12"

    def free() -> bool:
        with box.lock(line, until=time.monotonic()) as mine:
            return mine

    with box.lock(line, until=0.0) as mine:
        assert mine
        assert not free()
        sleeper = child(lambda: time.sleep(60))
        assert os.waitstatus_to_exitcode(os.waitpid(child(lambda: os._exit(free())), 0)[1]) == 0
    assert free()  # though the sleeper had a copy
    read, write = os.pipe()

    def hold() -> None:
        with box.lock(line, until=0.0):
            os.write(write, b"x")
            time.sleep(60)

    holder = child(hold)
    os.read(read, 1)
    assert not free()
    for pid in (holder, sleeper):
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert free()
    os.close(read)
    os.close(write)


def test_the_default_is_under_the_users_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert str(tmp_path) not in str(places.default_folder())  # the pytest plugin's, which is stronger
    monkeypatch.delenv(places.STATE_HOME)
    assert places.default_folder() == tmp_path / "state" / "spark_pd" / "outbox"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert places.default_folder() == tmp_path / ".local" / "state" / "spark_pd" / "outbox"
    box = open_outbox("~/alerts")
    assert box is not None
    assert box.folder == tmp_path / "alerts"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["/dbfs/alerts", "/Volumes/main/ops/alerts", "/Workspace/Users/a"])
def test_databricks_own_mounts_are_not_trusted_with_locks(folder: str, tmp_path: Path) -> None:
    assert not places.is_local(Path(folder))
    assert places.is_local(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(states=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["firing", "resolved"])), max_size=6))
def test_each_line_keeps_its_order(tmp_path: Path, states: list[tuple[str, str]]) -> None:
    box = Outbox(tmp_path / uuid.uuid4().hex)
    for alert in (make_alert(*each) for each in states):
        keep(box, alert)
    for key in "ab":
        kept = [entry.alert.state for entry in box.waiting() if entry.alert.dedup_key == key]
        assert kept == [state for other, state in states if other == key]


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_fingerprint_tells_keys_apart_and_shows_none(one: str, other: str) -> None:
    assert (Secret(one).fingerprint() == Secret(other).fingerprint()) == (one == other)
    assert len(Secret(one).fingerprint()) == 64
    assert len(one) < 4 or one not in Secret(one).fingerprint()
