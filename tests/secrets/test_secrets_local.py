"""env: and file:, against the real environment and real files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spark_pd.model import SecretContext, SecretReference
from spark_pd.model.errors import SecretError
from spark_pd.secrets import resolve

CONTEXT = SecretContext()


def read(path: object) -> str:
    return resolve(SecretReference("file", str(path)), context=CONTEXT).reveal()


def test_env_gives_the_variable_without_the_whitespace_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_PD_TEST_KEY", "  the key \n")
    assert resolve(SecretReference("env", "SPARK_PD_TEST_KEY"), context=CONTEXT).reveal() == "the key"


@pytest.mark.parametrize(("value", "told"), [(None, "is not set in the driver"), ("", "it is empty"), (" \t", "it is empty")])
def test_env_without_a_value_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch, value: str | None, told: str) -> None:
    monkeypatch.delenv("SPARK_PD_TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SPARK_PD_TEST_KEY", value)
    with pytest.raises(SecretError, match=f"'env:SPARK_PD_TEST_KEY' could not be had: .*{told}"):
        resolve(SecretReference("env", "SPARK_PD_TEST_KEY"), context=CONTEXT)


@pytest.mark.parametrize("content", [b"the key", b"the key\n", b"\xef\xbb\xbfthe key\r\n", b"\n\n the key \n\n"])
def test_file_gives_its_text_without_the_whitespace_around_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    assert read(tmp_path / "key") == "the key"


def test_file_follows_the_home_and_the_working_directory(tmp_path: Path, bare: pytest.MonkeyPatch) -> None:
    (tmp_path / "home" / "key").write_text("at home")
    (tmp_path / "key").write_text("at work")
    bare.chdir(tmp_path)
    assert (read("~/key"), read("key"), read("./home/../key")) == ("at home", "at work", "at work")


def test_file_follows_a_link_as_kubernetes_makes_them(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("the key")
    (tmp_path / "key").symlink_to(tmp_path / "real")
    assert read(tmp_path / "key") == "the key"


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "does not exist"), (b" \n", "it is empty"), (b"\xff\xfe\x00", "not UTF-8"), (b"x" * (64 * 1024 + 1), "more than 65536 bytes")],
)
def test_file_tells_what_is_wrong_with_it(tmp_path: Path, content: bytes | None, told: str) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(SecretError, match=told):
        read(tmp_path / "key")


def test_file_refuses_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # reading it would hang
    with pytest.raises(SecretError, match="is not a regular file"):
        read(tmp_path / "pipe")
    with pytest.raises(SecretError, match="is a directory"):
        read(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("the key")
    (tmp_path / "key").chmod(0)
    with pytest.raises(SecretError, match=r"cannot be read \(Permission denied\)"):
        read(tmp_path / "key")


def test_file_through_a_loop_of_links_says_so(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to(tmp_path / "key")
    with pytest.raises(SecretError, match=r"'file:.*key' could not be had"):
        read(tmp_path / "key")


def test_file_in_the_home_of_nobody_says_so() -> None:
    with pytest.raises(SecretError, match="home directory that does not exist"):
        read("~nobody-has-this-name/key")
