"""What is a reference, what resolve does with each kind of source, and how light the import is."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.model import Secret, SecretContext, SecretReference
from spark_pd.model.errors import SecretError
from spark_pd.secrets import parse_reference, resolve, schemes

CONTEXT = SecretContext()
BUILT_IN = ("env", "file", "databricks", "cerberus")


@pytest.mark.parametrize(
    ("text", "scheme", "path"),
    [
        ("env:PAGERDUTY_KEY", "env", "PAGERDUTY_KEY"),
        ("file:/run/secrets/key", "file", "/run/secrets/key"),
        ("file:C:\\keys\\pd", "file", "C:\\keys\\pd"),
        ("databricks:pagerduty/integration-key", "databricks", "pagerduty/integration-key"),
        ("cerberus:app/on-call/pagerduty#integration-key", "cerberus", "app/on-call/pagerduty#integration-key"),
        ("  ENV: NAME \n", "env", "NAME"),
        ("env:", "env", ""),
    ],
)
def test_a_registered_scheme_makes_a_reference(text: str, scheme: str, path: str) -> None:
    assert parse_reference(text) == SecretReference(scheme, path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "env",
        "0123456789abcdef0123456789abcdef",
        "https://events.pagerduty.com",
        "C:\\keys",
        "nobody:has/this",
        "env:A\nB",
        "my env:A",
    ],
)
def test_anything_else_is_no_reference(text: str) -> None:
    assert parse_reference(text) is None


@given(st.text())
def test_any_text_parses_without_an_error_and_only_a_known_scheme_makes_a_reference(text: str) -> None:
    reference = parse_reference(text)
    assert reference is None or (reference.scheme in schemes() and text.strip().lower().startswith(f"{reference.scheme}:"))


@given(st.sampled_from(BUILT_IN), st.text().filter(lambda path: not {"\r", "\n"} & set(path)))
def test_a_reference_written_down_reads_back_as_itself(scheme: str, path: str) -> None:
    reference = SecretReference(scheme, path.strip())
    assert parse_reference(str(reference)) == reference


@given(st.text(alphabet=st.characters(categories=("L", "N")), min_size=20, max_size=40))
def test_a_plain_key_is_never_a_reference(key: str) -> None:
    assert parse_reference(key) is None


def test_the_built_in_schemes_come_first() -> None:
    assert schemes()[:4] == BUILT_IN


def test_a_secret_passes_through() -> None:
    secret = Secret("x")
    assert resolve(secret, context=CONTEXT) is secret


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (SecretReference("env", ""), "nothing follows 'env'"),
        (SecretReference("nobody", "x"), "no secret provider for the scheme 'nobody'"),
        ("env:NAME", "not as str"),
        (None, "not as NoneType"),
    ],
)
def test_what_cannot_be_resolved_is_a_secret_error(source: object, told: str) -> None:
    with pytest.raises(SecretError, match=told):
        resolve(source, context=CONTEXT)  # type: ignore[arg-type]


def test_importing_it_imports_no_heavy_library() -> None:
    heavy = "{'pyspark', 'requests', 'databricks', 'botocore', 'boto3', 'IPython'}"
    code = f"import sys, spark_pd.secrets as s; s.parse_reference('env:X'); print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
