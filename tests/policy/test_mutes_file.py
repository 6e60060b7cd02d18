"""The mutes file: what a platform team writes, and what becomes of its mistakes."""

from __future__ import annotations

import logging
import os
import re
import threading
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.alerting.policy.mute import why_muted
from spark_pd.alerting.policy.mutes_file import MutesFile, parse_mutes
from spark_pd.model import Subject
from spark_pd.model.recurring_window import parse_windows

NOW = datetime(2026, 11, 20, 23, 0, tzinfo=timezone.utc)
ORDERS = Subject(environment="prod", product_id="sales", table="sales.orders")


def why(text: str, subject: Subject = ORDERS, trigger: str = "failure", now: datetime = NOW) -> str | None:
    mutes, mistakes = parse_mutes(text.encode())
    assert mistakes == []
    return why_muted((), mutes, subject, trigger, now)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("table: sales.*", True),
        ("table: '`Sales`.ORDERS'", True),
        ("table: sales", False),
        ("product_id: sales", True),
        ("product_id: finance", False),
        ("environment: prod", True),
        ("environment: dev", False),
        ("triggers: [failure, start]", True),
        ("triggers: [start]", False),
        ("triggers: []", True),
        ("table: sales.*\n  environment: dev", False),
        ("since: 2026-11-20T22:59:59Z", True),
        ("since: 2026-11-20T23:00:01Z", False),
        ("window: 0 22 * * 5 for 8h", True),
        ("window: 0 22 * * 4 for 8h", False),
        ("window: 0 22 * * 4 for 1h; 0 22 * * 5 for 8h", True),
    ],
)
def test_what_a_mute_is_for(text: str, expected: bool) -> None:
    assert (why(f"- reason: warehouse upgrade\n  until: 2027-01-01T00:00:00Z\n  {text}") is not None) is expected


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("2026-11-20T23:00:01Z", True),
        ("2026-11-20T23:00:00Z", False),
        ("2026-11-21T00:30:00+01:00", True),
        ("'2026-11-21 00:00:00+01:00'", False),
    ],
)
def test_a_mute_ends(until: str, expected: bool) -> None:
    assert (why(f"mutes:\n- reason: upgrade\n  until: {until}") is not None) is expected


def test_the_reason_says_why_who_and_until_when() -> None:
    assert (
        why("- {reason: warehouse upgrade, who: platform team, until: 2026-11-22T06:00:00+01:00}")
        == "muted: warehouse upgrade (platform team), until 2026-11-22 05:00 UTC (spark.pd.mutes.file)"
    )


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("- reason: x", "mute 1: until has neither until nor window, so it would never end"),
        ("- until: 2027-01-01T00:00:00Z", "mute 1: reason Missing data for required field."),
        ("- {reason: x, until: 2027-01-01}", "mute 1: until is no time such as"),
        ("- {reason: x, until: 2027-01-01T00:00:00}", "mute 1: until has no time zone"),
        ("- {reason: x, until: soon}", "mute 1: until is no time such as"),
        ("- {reason: x, window: fridays}", "mute 1: window 'fridays' has another form"),
        ("- {reason: x, window: ''}", "mute 1: window must not be empty"),
        ("- {reason: x, window: 0 22 * * 5 for 8h, tabel: x}", "mute 1: tabel Unknown field."),
        ("- {reason: x, window: 0 22 * * 5 for 8h, triggers: failure}", "mute 1: triggers Not a valid list."),
        ("- {reason: x, window: 0 22 * * 5 for 8h, triggers: [5]}", "mute 1: triggers Not a valid string."),
        ("- just text", "mute 1: _schema Invalid input type."),
        ("just text", "it holds no list of mutes"),
        ("mute: []", "it holds no list of mutes"),
        ("- [", "it is not valid YAML (line 1)"),
        ("- !!python/object/apply:os.system [true]", "it is not valid YAML (line 1)"),
        ("- !!timestamp x", "it is not valid YAML"),
    ],
)
def test_what_has_a_mistake_mutes_nothing_and_the_rest_does(text: str, mistake: str) -> None:
    mutes, mistakes = parse_mutes(text.encode())
    assert mutes == ()
    assert mistakes[0].startswith(mistake)
    if text.startswith("- {"):
        mutes, mistakes = parse_mutes(f"{text}\n- {{reason: good, until: 2027-01-01T00:00:00Z}}".encode())
        assert [mute.reason for mute in mutes] == ["good"]
        assert len(mistakes) == 1


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_content_raises(content: bytes) -> None:
    parse_mutes(content)


def test_the_file_is_read_each_time_and_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = MutesFile(tmp_path / "mutes.yaml")
    assert file.read() == ()
    assert file.read() == ()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "it cannot be read (No such file or directory)" in record.getMessage()
    caplog.clear()
    file.path.write_text("- {reason: upgrade, until: 2027-01-01T00:00:00Z}")
    assert [mute.reason for mute in file.read()] == ["upgrade"]
    assert not caplog.records
    file.path.write_text("- {reason: upgrade}")
    assert file.read() == ()
    assert "never end" in caplog.text
    file.path.write_text("")
    caplog.clear()
    assert file.read() == ()
    assert not caplog.records


def test_a_file_that_is_too_large_or_a_folder_mutes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "large").write_bytes(b"#" * 1_000_001)
    assert MutesFile(tmp_path / "large").read() == ()
    assert MutesFile(tmp_path).read() == ()
    assert MutesFile(Path("a\0b")).read() == ()
    assert len(caplog.records) == 3


def test_a_file_that_hangs_is_not_waited_for_long_and_not_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    file = MutesFile(pipe, patience=0.05)
    before = threading.active_count()
    try:
        assert file.read() == ()
        assert file.read() == ()
        assert threading.active_count() == before + 1
        assert "could not be read within 0.05 s" in caplog.text
    finally:
        with pipe.open("wb") as writer:
            writer.write(b"- {reason: x, until: 2027-01-01T00:00:00Z}")


def test_the_page_s_examples_hold() -> None:
    page = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
    mutes, mistakes = parse_mutes(re.findall(r"^```yaml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)[0].encode())
    assert (len(mutes), mistakes) == (2, [])
    windows = re.search(r"^    spark\.pd\.mute +(.+)$", page, flags=re.MULTILINE)
    assert windows is not None
    assert len(parse_windows(windows.group(1))) == 2
