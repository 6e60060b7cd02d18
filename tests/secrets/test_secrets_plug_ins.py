"""Third parties: real distributions, as pip leaves them, on sys.path."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from spark_pd.model import SecretContext, SecretReference
from spark_pd.model.errors import SecretError
from spark_pd.secrets import parse_reference, resolve, schemes

CONTEXT = SecretContext(databricks_workspace_url="https://w.example.com")
GOOD = "def provide(path, *, context):\n    return f' {path} of {context.databricks_workspace_url} '\n"
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution: its name, its one module's text, its entry points."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(name: str, source: str, **entries: str) -> None:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = "".join(f"{scheme} = {target}\n" for scheme, target in entries.items())
        (info / "entry_points.txt").write_text(f"[spark_pd.secrets]\n{lines}")
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(str(tmp_path))  # again: it makes the import system look anew

    return installed


def told(scheme: str) -> str:
    with pytest.raises(SecretError) as caught:
        resolve(SecretReference(scheme, "x"), context=CONTEXT)
    return str(caught.value)


def test_an_entry_point_adds_a_scheme(install: Install) -> None:
    assert parse_reference("acmevault:a/b") is None
    install("acme_good", GOOD, acmevault="acme_good:provide")
    reference = parse_reference("AcmeVault:a/b")
    assert reference == SecretReference("acmevault", "a/b")
    assert schemes() == ("env", "file", "databricks", "cerberus", "acmevault")
    assert resolve(reference, context=CONTEXT).reveal() == "a/b of https://w.example.com"


def test_a_plug_in_is_loaded_when_it_is_needed_and_not_before(install: Install) -> None:
    install("acme_bomb", "raise ImportError('no acme_client', name='acme_client')", acmebomb="acme_bomb:provide")
    assert "acmebomb" in schemes()
    assert parse_reference("acmebomb:x") is not None
    message = told("acmebomb")
    assert "'acmebomb' of acme_bomb (acme_bomb:provide)" in message
    assert "module 'acme_client'" in message


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("1 / 0", "acme_broken:provide", "ZeroDivisionError"),
        ("", "acme_broken:provide", "AttributeError"),
        ("provide = 3", "acme_broken:provide", "a int is not callable"),
        ("", "acme_is_not_there:provide", "module 'acme_is_not_there'"),
        ("def provide(path, *, context): return 3", "acme_broken:provide", "its provider gave int, not str"),
        ("def provide(path, *, context): return b'x'", "acme_broken:provide", "its provider gave bytes, not str"),
        ("def provide(path, *, context): return None", "acme_broken:provide", "its provider gave NoneType, not str"),
        ("def provide(path, *, context): return ' '", "acme_broken:provide", "it is empty"),
        ("def provide(path): return 'x'", "acme_broken:provide", "its provider failed with TypeError"),
        ("def provide(path, *, context): raise KeyError(path)", "acme_broken:provide", "its provider failed with KeyError"),
    ],
)
def test_a_broken_plug_in_is_a_secret_error(
    install: Install, monkeypatch: pytest.MonkeyPatch, source: str, target: str, reason: str
) -> None:
    monkeypatch.delitem(__import__("sys").modules, "acme_broken", raising=False)
    install("acme_broken", source, acmebroken=target)
    message = told("acmebroken")
    assert "'acmebroken:x'" in message
    assert reason in message


def test_a_plug_ins_own_secret_error_reaches_the_user(install: Install) -> None:
    source = "from spark_pd import SecretError\ndef provide(path, *, context):\n    raise SecretError('log in to Acme first')\n"
    install("acme_login", source, acmelogin="acme_login:provide")
    assert told("acmelogin").endswith("'acmelogin:x' could not be had: log in to Acme first")


def test_a_built_in_scheme_cannot_be_replaced(install: Install, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("SPARK_PD_TEST_KEY", "the real one")
    install("acme_thief", "def provide(path, *, context): return 'stolen'", env="acme_thief:provide", ENV="acme_thief:provide")
    with caplog.at_level(logging.WARNING, "spark_pd.secrets"):
        assert schemes().count("env") == 1
    assert "of acme_thief (acme_thief:provide) is ignored: the scheme 'env' is built in" in caplog.text
    assert resolve(SecretReference("env", "SPARK_PD_TEST_KEY"), context=CONTEXT).reveal() == "the real one"


def test_two_packages_with_one_scheme_are_an_error_that_names_both(install: Install) -> None:
    install("acme_one", GOOD, acmetwice="acme_one:provide")
    install("acme_two", GOOD, acmetwice="acme_two:provide")
    assert schemes().count("acmetwice") == 1
    message = told("acmetwice")
    assert "of acme_one" in message
    assert "of acme_two" in message


def test_an_entry_point_whose_name_is_no_scheme_is_ignored_with_a_warning(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    install("acme_name", GOOD, **{"c": "acme_name:provide", "has space": "acme_name:provide"})
    with caplog.at_level(logging.WARNING, "spark_pd.secrets"):
        assert schemes() == ("env", "file", "databricks", "cerberus")
    assert caplog.text.count("is ignored") == 2


def test_broken_metadata_of_a_stranger_leaves_the_built_in_schemes(
    install: Install, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    info = tmp_path / "acme_garbled-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme_garbled\nVersion: 1.0\n")
    (info / "entry_points.txt").write_bytes(b"[spark_pd.secrets]\nacme = \xff\xfe\n")
    with caplog.at_level(logging.WARNING, "spark_pd.secrets"):
        assert schemes() == ("env", "file", "databricks", "cerberus")
    assert "only the built-in secret providers are known" in caplog.text
