"""A storm's members on the disk, and the small objects that processes share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spark_pd.delivery.outbox.shared_json import Shared
from spark_pd.delivery.outbox.storm_members import FiledMembers, Members, OwnMembers, member_of
from tests.outbox.conftest import make_alert


@pytest.fixture(params=["files", "memory"])
def members(request, tmp_path: Path) -> Members:
    return OwnMembers() if request.param == "memory" else FiledMembers(tmp_path / "storms" / "one", local=True)


def test_members_join_once_leave_once_and_change_the_listing(members: Members) -> None:
    empty = members.listing()
    assert (empty.lines, members.read(), dict(members.told())) == (frozenset(), [], {})
    a, b = member_of("a1", make_alert("b key", severity="error")), member_of("b1", make_alert("a key", severity="info"))
    assert members.join(a)
    assert not members.join(a)
    first = members.listing()
    assert members.join(b)
    assert members.has("a1")
    assert members.read() == [b, a]
    assert members.listing().lines == {"a1", "b1"}
    assert len({empty.digest, first.digest, members.listing().digest}) == 3
    before = members.listing()
    assert members.join(member_of("b1", make_alert("a key", severity="error", summary="worse")))
    assert members.listing().digest != before.digest
    assert [member.severity for member in members.read()] == ["error", "error"]
    assert members.leave("b1")
    assert not members.leave("b1")
    assert not members.has("b1")
    members.tell({"state": "open"})
    assert dict(members.told()) == {"state": "open"}


def test_two_processes_see_each_others_members(tmp_path: Path) -> None:
    one, other = FiledMembers(tmp_path / "s", local=True), FiledMembers(tmp_path / "s", local=True)
    one.join(member_of("a1", make_alert("a")))
    other.join(member_of("b1", make_alert("b")))
    assert one.listing() == other.listing()
    assert one.read() == other.read()
    assert len(one.read()) == 2


def test_a_member_whose_file_is_broken_is_still_a_member(tmp_path: Path) -> None:
    members = FiledMembers(tmp_path, local=True)
    members.join(member_of("a1", make_alert("a")))
    for broken in (b"", b"{", b"[]", b'{"line": "a1"}'):
        (tmp_path / "members" / "a1.json").write_bytes(broken)
        (known,) = members.read()
        assert (known.line, known.summary) == ("a1", "its file cannot be read")
    assert members.leave("a1")


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b"\xff"])
def test_a_broken_word_on_what_was_told_is_no_word_that_nothing_was(tmp_path: Path, broken: bytes) -> None:
    members = FiledMembers(tmp_path, local=True)
    (tmp_path / "told.json").write_bytes(broken)
    assert members.told()


def test_what_cannot_be_written_is_an_oserror(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    members = FiledMembers(tmp_path / "file" / "storm", local=True)
    with pytest.raises(OSError, match="Not a directory"):
        members.join(member_of("a1", make_alert("a")))


def test_a_shared_object_loses_no_change_of_many_processes(tmp_path: Path, child) -> None:
    path = tmp_path / "limits" / "n.json"

    def add() -> None:
        shared = Shared(path)
        for _ in range(50):
            with shared.changing() as fields:
                fields["n"] = fields.get("n", 0) + 1

    children = [child(add) for _ in range(6)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 6
    with Shared(path).changing() as fields:
        assert fields == {"n": 300}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\x00"])
def test_what_is_no_object_counts_as_empty(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "n.json"
    path.write_bytes(content)
    with Shared(path).changing() as fields:
        assert fields == {}
        fields["n"] = 1
    with Shared(path).changing() as fields:
        assert fields == {"n": 1}


def test_where_there_is_no_file_to_be_had_the_process_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for shared in (Shared(None), Shared(tmp_path / "file" / "n.json"), Shared(Path("/proc/none/n.json"))):
        for n in range(3):
            with shared.changing() as fields:
                assert fields.get("n", 0) == n
                fields["n"] = n + 1


def test_where_a_file_can_be_read_and_not_written_what_it_says_is_old(tmp_path: Path) -> None:
    path = tmp_path / "n.json"
    path.write_text('{"n": 5}')
    (tmp_path / ".n.json.part").mkdir()
    shared = Shared(path)
    for n in range(5, 9):
        with shared.changing() as fields:
            assert fields["n"] == n
            fields["n"] = n + 1
