"""The state on disk: real files, several processes, disks that are full, read-only or broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.delivery.outbox import Outbox
from spark_pd.delivery.state import FileStateStore, state_of
from spark_pd.delivery.state.state_cleanup import prune
from spark_pd.delivery.state.state_codec import decode, encode
from spark_pd.model import Address, Secret
from spark_pd.model.incident_state import IncidentState, forget
from tests.state.shared import KEY, NOW, files, found, memory, saved

OTHER = "spark_pd/prod/sales/sales.orders/ignored_rules"
ELSEWHERE = "spark_pd/prod/sales/sales.refunds/failure"


@pytest.fixture
def store(tmp_path: Path) -> FileStateStore:
    return FileStateStore(tmp_path / "outbox" / "state")


def test_what_is_saved_is_there_for_the_next_process_in_one_file_for_each_subject(store: FileStateStore) -> None:
    assert not store.folder.exists()
    assert found(store) == {}
    kept = [memory(), memory(OTHER, failing=("a",)), memory(ELSEWHERE)]
    assert saved(store, *kept)
    again = FileStateStore(store.folder)
    assert found(again, KEY, OTHER, ELSEWHERE, "x") == {each.dedup_key: each for each in kept}
    assert files(store.folder).count("incidents") == 2
    assert not store.durable


def test_only_the_owner_may_look_into_a_folder_that_we_made(store: FileStateStore) -> None:
    saved(store, memory())
    assert store.folder.parent.stat().st_mode & 0o777 == 0o700


def test_a_memory_is_changed_without_touching_the_others_of_its_file(store: FileStateStore) -> None:
    saved(store, memory(), memory(OTHER))
    saved(store, memory(bad_runs=2))
    assert found(store, KEY, OTHER) == {KEY: memory(bad_runs=2), OTHER: memory(OTHER)}
    before = next((store.folder / "incidents").iterdir()).stat().st_ino
    saved(store, memory(bad_runs=2))
    assert next((store.folder / "incidents").iterdir()).stat().st_ino == before  # the same: nothing to write


def test_two_places_share_a_folder_and_not_what_is_in_it(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    key = Secret("0123456789abcdef0123456789abcdef")
    ours = state_of(box, lambda: Address(channel="pagerduty", endpoint="https://x.example", reference="env:A"))
    theirs = state_of(box, lambda: Address(channel="pagerduty", endpoint="https://x.example", reference="env:B"))
    literal = state_of(box, lambda: Address(channel="pagerduty", endpoint="https://x.example", fingerprint=key.fingerprint()))
    for store in (ours, theirs, literal):
        assert found(store) == {}
        saved(store, memory())
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    everything += str(list(tmp_path.rglob("*"))).encode()
    assert key.reveal().encode() not in everything
    assert key.fingerprint().encode() not in everything


def test_forgetting_an_incident_leaves_it_closed_with_nobody_told(store: FileStateStore) -> None:
    saved(store, memory(failing=("a",), told=("a",), unknown_runs=2))
    forget(store, KEY)
    assert found(store) == {KEY: IncidentState(dedup_key=KEY, run_started_at=NOW)}
    forget(store, ELSEWHERE)
    assert found(store, ELSEWHERE) == {}


# ---- several at once -------------------------------------------------------------------------------------------------------------


def test_no_update_of_several_processes_is_lost(store: FileStateStore, tmp_path: Path) -> None:
    script = tmp_path / "count.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        from dataclasses import replace
        from pathlib import Path
        from spark_pd.model.incident_state import IncidentState
        from spark_pd.delivery.state import FileStateStore
        store = FileStateStore(Path({str(store.folder)!r}), patience=60)
        for _ in range(50):
            with store.hold([{KEY!r}, {ELSEWHERE!r}]) as held:
                for key in ({KEY!r}, {ELSEWHERE!r}):
                    memory = held.memories.get(key) or IncidentState(dedup_key=key)
                    assert held.save([replace(memory, bad_runs=memory.bad_runs + 1)])
        """)
    )
    processes = [subprocess.Popen([sys.executable, str(script)]) for _ in range(4)]
    assert [process.wait(timeout=120) for process in processes] == [0] * 4
    counted = found(store, KEY, ELSEWHERE)
    assert counted is not None
    assert {key: each.bad_runs for key, each in counted.items()} == {KEY: 200, ELSEWHERE: 200}


def test_no_update_of_several_threads_is_lost(store: FileStateStore) -> None:
    store = FileStateStore(store.folder, patience=60)

    def count() -> None:
        for _ in range(25):
            with store.hold([KEY]) as held:
                before = held.memories.get(KEY) or IncidentState(dedup_key=KEY)
                held.save([replace(before, bad_runs=before.bad_runs + 1)])

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found(store) == {KEY: IncidentState(dedup_key=KEY, bad_runs=100)}


def test_who_does_not_get_the_lock_in_time_knows_nothing_and_changes_nothing(
    store: FileStateStore, caplog: pytest.LogCaptureFixture
) -> None:
    saved(store, memory())
    hasty = FileStateStore(store.folder, patience=0.05)
    with store.hold([KEY]):
        assert found(hasty) is None
        assert not saved(hasty, memory(bad_runs=9))
    assert found(hasty) == {KEY: memory()}
    (record,) = caplog.records
    assert "another process holds the state for long" in record.getMessage()


def test_a_process_that_is_killed_while_it_holds_the_state_lets_it_go(store: FileStateStore, tmp_path: Path) -> None:
    saved(store, memory())
    script = textwrap.dedent(f"""
        import os, time
        from pathlib import Path
        from spark_pd.delivery.state import FileStateStore
        with FileStateStore(Path({str(store.folder)!r})).hold([{KEY!r}]):
            print("held", flush=True)
            time.sleep(60)
        """)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    process.kill()
    process.wait()
    process.stdout.close()
    assert found(store) == {KEY: memory()}


def test_an_interruption_lets_the_state_go(store: FileStateStore) -> None:
    with pytest.raises(KeyboardInterrupt), store.hold([KEY]) as held:
        held.save([memory()])
        raise KeyboardInterrupt
    assert found(FileStateStore(store.folder, patience=0)) == {KEY: memory()}


def test_on_a_network_disk_nobody_waits_and_what_may_be_under_way_is_left_alone(
    store: FileStateStore, caplog: pytest.LogCaptureFixture
) -> None:
    store._local = False
    saved(store, memory())
    with store.hold([KEY]), store.hold([KEY]) as held:
        assert held.known
    file = only_file(store)
    whole = file.read_bytes()
    file.write_bytes(whole[:50])  # another machine is writing it
    assert found(store) is None
    assert found(store) is None
    assert len(caplog.records) == 1
    file.write_bytes(whole)
    assert found(store) == {KEY: memory()}
    file.write_bytes(whole[:50])
    os.utime(file, (0, 0))
    assert found(store) is None
    assert found(store) == {}
    assert not list((store.folder / "locks").iterdir())


# ---- disks that fail -------------------------------------------------------------------------------------------------------------


def only_file(store: FileStateStore) -> Path:
    (file,) = (store.folder / "incidents").iterdir()
    return file


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"sha256": "x", "state": {"version": 1, "incidents": {}}}', b"\xff\xfe", b"[" * 100_000],
)
def test_a_corrupt_file_is_set_aside_reported_and_nothing_is_known(
    store: FileStateStore, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    saved(store, memory())
    only_file(store).write_bytes(content)
    assert found(store) is None
    assert "is set aside, so nothing is known of its table's earlier runs" in caplog.text
    assert files(store.folder) == ["corrupt", "pruned"] or files(store.folder) == [".", "corrupt"]
    # the next one begins anew
    assert found(store) == {}
    with store.hold([KEY]) as held:
        assert held.known
    assert saved(store, memory())


def test_a_file_cut_short_at_any_byte_is_never_taken_for_whole(store: FileStateStore) -> None:
    data = encode({KEY: memory(failing=("a", "b")), OTHER: memory(OTHER)})
    for length in range(len(data) - 1):
        with pytest.raises(ValueError, match=r"."):
            decode(data[:length])
    assert set(decode(data)) == {KEY, OTHER}


def test_a_run_that_finds_a_corrupt_file_may_remember_anew_in_the_same_breath(store: FileStateStore) -> None:
    saved(store, memory())
    only_file(store).write_bytes(b"{")
    with store.hold([KEY]) as held:
        assert not held.known
        assert held.save([memory(bad_runs=1)])
    assert found(store) == {KEY: memory(bad_runs=1)}


def test_what_another_version_wrote_is_left_alone(store: FileStateStore, caplog: pytest.LogCaptureFixture) -> None:
    import hashlib

    saved(store, memory())
    file = only_file(store)
    state = {"version": 99, "incidents": {}}
    digest = hashlib.sha256(json.dumps(state, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    file.write_text(json.dumps({"sha256": digest, "state": state}))
    before = file.read_bytes()
    assert found(store) is None
    assert not saved(store, memory(bad_runs=2))
    assert file.read_bytes() == before
    (record,) = caplog.records
    assert "another version of spark_pd wrote the state" in record.getMessage()


def test_where_the_folder_cannot_be_made_nothing_is_kept_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "outbox").write_text("a file in the way")
    store = FileStateStore(tmp_path / "outbox" / "state")
    for _ in range(3):
        with store.hold([KEY]) as held:
            assert dict(held.memories) == {}
            assert not held.save([memory()])
    (record,) = caplog.records
    assert "the state cannot be kept" in record.getMessage()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_where_the_disk_is_full_nothing_is_kept_and_the_old_file_stays(
    store: FileStateStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store.folder.mkdir(parents=True)
    (store.folder / "pruned").touch()  # /dev/full is old: pruning would take the link for a leftover
    saved(store, memory())
    file = only_file(store)
    # whoever writes aside, writes to a full disk
    (file.parent / f".{file.name}.part").symlink_to("/dev/full")
    assert not saved(store, memory(bad_runs=2))
    assert "No space left on device" in caplog.text
    assert found(store) == {KEY: memory()}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_where_the_folder_is_read_only_what_is_there_is_read(store: FileStateStore, caplog: pytest.LogCaptureFixture) -> None:
    saved(store, memory())
    folder = store.folder / "incidents"
    folder.chmod(0o500)
    try:
        assert found(store) == {KEY: memory()}
        assert not saved(store, memory(bad_runs=2))
        assert not saved(store, memory(bad_runs=2))
    finally:
        folder.chmod(0o700)
    assert len(caplog.records) == 1


# ---- what is written -------------------------------------------------------------------------------------------------------------

TIMES = st.none() | st.datetimes(timezones=st.just(timezone.utc))
NAMES = st.lists(st.text(), max_size=3).map(tuple)


@given(
    st.lists(
        st.builds(
            IncidentState,
            dedup_key=st.text(min_size=1),
            outcome=st.sampled_from(["firing", "good", "none", "unknown"]),
            run_started_at=TIMES,
            bad_runs=st.integers(0, 10**9),
            unknown_runs=st.integers(0, 10**9),
            failing=NAMES,
            rules_source=st.none() | st.text(),
            absent=NAMES,
            open_since=TIMES,
            paged_at=TIMES,
            severity=st.sampled_from([None, "critical", "error", "warning", "info"]),
            told=NAMES,
            own=NAMES,
            resolved_at=TIMES,
        ),
        max_size=4,
        unique_by=lambda each: each.dedup_key,
    )
)
def test_what_is_written_is_read_as_it_was(memories: list[IncidentState]) -> None:
    by_key = {each.dedup_key: each for each in memories}
    assert decode(encode(by_key)) == by_key


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("outcome", "bad"), ("bad_runs", -1), ("bad_runs", True), ("failing", "a"), ("failing", [1]), ("severity", "high"),
        ("run_started_at", "soon"), ("run_started_at", "2026-11-20T12:00:00"), ("rules_source", 5), ("paged_at", 5),
    ],
)  # fmt: skip
def test_a_whole_file_with_a_wrong_field_is_corrupt(field: str, value: object) -> None:
    import hashlib

    outer = json.loads(encode({KEY: memory()}))
    outer["state"]["incidents"][KEY][field] = value
    body = json.dumps(outer["state"], sort_keys=True, separators=(",", ":"))
    outer["sha256"] = hashlib.sha256(body.encode()).hexdigest()
    with pytest.raises(ValueError, match="a field is missing or of another kind"):
        decode(json.dumps(outer).encode())


def test_keys_at_the_limit_have_files_of_their_own(store: FileStateStore) -> None:
    long = [f"spark_pd/-/-/{'t' * 300}/{trigger}"[:222] + f"~{n:032x}" for n, trigger in enumerate(("failure", "start"))]
    assert {len(key) for key in long} == {255}
    saved(store, *map(memory, long))
    assert found(store, *long) == {key: memory(key) for key in long}


# ---- what is removed -------------------------------------------------------------------------------------------------------------


def aged(store: FileStateStore, key: str, days: float) -> None:
    """Make what is remembered of a key's subject so old, once the pruning that the first save began has ended: it would take the file."""
    for thread in threading.enumerate():
        if thread.name == "spark_pd-prune":
            thread.join()
    file = store._file("", key)
    at = time.time() - days * 86_400
    os.utime(file, (at, at))


GOOD = {"outcome": "good", "open_since": None, "bad_runs": 0}


def test_what_has_been_good_for_90_days_is_forgotten_and_nothing_else(store: FileStateStore) -> None:
    keys = [f"spark_pd/-/-/t{n}/failure" for n in range(4)]
    for key, fields, days in zip(keys, (GOOD, GOOD, {}, {**GOOD, "failing": ("a",)}), (91, 89, 400, 400), strict=True):
        saved(store, memory(key, **fields))
        aged(store, key, days)
    half = store.folder / "incidents" / ".x.json.part"
    half.write_text("")
    os.utime(half, (0, 0))
    prune(store.folder, store.lock_of)
    remembered = found(store, *keys)
    assert remembered is not None
    assert set(remembered) == set(keys[1:])
    assert not half.exists()


def test_of_more_files_than_the_cap_the_oldest_go_the_good_ones_first(store: FileStateStore, caplog: pytest.LogCaptureFixture) -> None:
    keys = [f"spark_pd/-/-/t{n}/failure" for n in range(6)]
    for n, key in enumerate(keys):
        saved(store, memory(key, **({} if n % 2 == 0 else GOOD)))
        aged(store, key, 10 - n)
    prune(store.folder, store.lock_of, most=4)
    assert sorted(found(store, *keys) or ()) == [keys[n] for n in (0, 2, 4, 5)]
    assert not caplog.records
    prune(store.folder, store.lock_of, most=2)
    assert sorted(found(store, *keys) or ()) == [keys[n] for n in (2, 4)]
    assert "the oldest was removed, though it was not good" in caplog.text


def test_what_somebody_holds_is_not_removed(store: FileStateStore) -> None:
    saved(store, memory(**GOOD))
    aged(store, KEY, 100)
    with store.hold([KEY]):
        prune(store.folder, store.lock_of)
    assert found(store) == {KEY: memory(**GOOD)}
    prune(store.folder, store.lock_of)
    assert found(store) == {}


def test_pruning_happens_by_itself_once_a_day(store: FileStateStore) -> None:
    saved(store, memory(**GOOD))
    aged(store, KEY, 100)
    marker = store.folder / "pruned"
    assert marker.exists()
    saved(store, memory(ELSEWHERE))
    assert found(store) == {KEY: memory(**GOOD)}  # not again today
    at = time.time() - 2 * 86_400
    os.utime(marker, (at, at))
    saved(store, memory("spark_pd/-/-/new/failure"))
    until = time.monotonic() + 10
    while store._file("", KEY).exists() and time.monotonic() < until:  # without holding it: what is held is not removed
        time.sleep(0.01)
    assert found(store) == {}
    assert datetime.now(timezone.utc) - datetime.fromtimestamp(marker.stat().st_mtime, timezone.utc) < timedelta(hours=1)
