from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spark_pd.model.errors import RuleFailed
from spark_pd.secrets.redaction import FULL_LIMIT, LIMIT, describe, scrub

SECRETS = st.text("abcdefghXYZ0123456789-_.+/%", min_size=6, max_size=30).map(lambda text: f"q7{text}7q")
AROUND = st.sampled_from(["", "Job aborted: ", "cannot read ", "at stage 3 (attempt 2), "])
POSITIONS = [
    "'{}'",
    '"{}"',
    "the value '{}' of the type STRING",
    "x IN ('{}', 'b')",
    "r'{}'",
    "DATE'{}'",
    "it's '{}'",
    'unterminated "{}',
    "unterminated '{}",
    "\u201c{}\u201d",
    "amount={}",
    "amount = {}, rows 5",
    "x == {}",
    "(user={})",
    "https://{}@db.example/x",
    "https://bob:{}@db.example/x",
    "https://bob:p@{}@db.example/x",
    'https://bob:p"{}@db.example/x',
    "jdbc:postgresql://bob:{}@db.example:5432/x",
    "jdbc:oracle:thin:scott/{}@//db.example:1521/x",
    "scott:{}@db.example",
    "s3://bucket/file?X-Amz-Signature={}",
    "https://example.com/?{}",
    "https://example.com/#{}",
    "password={}",
    "password={} and some more",
    "password=two words {}",
    "PASSWORD : {}",
    "passwd={}",
    "pwd:{}",
    "token={}",
    "access_token: {}",
    "sig={}",
    "key={}",
    "AccountKey={}",
    "fs.azure.account.key.store.dfs.core.windows.net={}",
    "fs.azure.account.key.store.dfs.core.windows.net: {}",
    "client_secret: {}",
    "Authorization: {}",
    "Authorization: Basic {}",
    "authorization: Token token={}",
    "Bearer {}",
    "bearer: {}",
    '{{"password": "{}"}}',
    '{{"password": {}}}',
    '{{\\"password\\": \\"{}\\"}}',
    "{{'api_key': {}}}",
    "conf['secret'] = {}",
    "password%3D{}",
    "--password {}",
    "Map(password -> {})",
    "(fs.s3a.secret.key,{})",
    "`{}{{`",
    "Caused by: x\n\tat a.B.c(D.scala:1)\nCaused by: java.lang.X: {}",
]


@pytest.mark.parametrize("position", POSITIONS)
@given(secret=SECRETS, before=AROUND)
@example(secret="q7//@://7q", before="")
def test_a_secret_survives_in_no_known_position(position: str, secret: str, before: str) -> None:
    for line in (before + position.format(secret), before + position.format(secret) + " rest"):
        assert secret not in scrub(line)


ANY_TEXT = st.text() | st.lists(
    st.sampled_from(
        [
            *"'\"`=@?#:/ \n\t\\.,;()*\u2019a1",
            "://",
            "password",
            "key=",
            "\n\tat a.B.c(",
            "it's",
            "***",
            "...",
            "\ud800",
            "\u2028",
            "x" * 200,
        ]
    )
).map("".join)


@given(ANY_TEXT)
def test_scrubbing_is_idempotent_never_longer_one_line_and_bounded(text: str) -> None:
    once = scrub(text)
    assert scrub(once) == once
    assert len(once) <= min(len(text), LIMIT)
    assert len(once.splitlines()) <= 1
    once.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("", ""),
        ("/ by zero", "/ by zero"),
        ("I can't open the table's file", "I can't open the table's file"),
        ("column `orders`.`order id` cannot be resolved", "column `orders`.`order id` cannot be resolved"),
        ("duplicate `123-45-6789` and `4111111111111111`", "duplicate `***` and `***`"),
        ("java.lang.Object@1a2b3c", "java.lang.Object@1a2b3c"),
        ("cast 'abc' to \"INT\" failed", "cast '***' to \"***\" failed"),
        ("retries = 17, then gave up", "retries = **, then gave up"),
        (
            "GET https://u:pw@host.example:8443/path/x?sig=abc#d failed",
            "GET https://host.example:8443/path/x",
        ),
        ("GET https://u:pw@host.example:8443/path/x?v#d failed", "GET https://host.example:8443/path/x failed"),
        ("login: password=hunter2 for bob", "login: password=***"),
        ("a\n  1. b\n  2. c", "a 1. b 2. c"),
        (
            "An error occurred while calling o123.save.\n: org.apache.spark.SparkException: Job aborted: / by zero\n"
            "\tat org.apache.spark.Foo.bar(Foo.scala:12)\n\t... 12 more\nCaused by: java.lang.ArithmeticException: / by zero\n",
            "org.apache.spark.SparkException: Job aborted: / by zero",
        ),
        (
            "An exception was thrown from the Python worker. Please see the stack trace below.\nTraceback (most recent call last):\n"
            '  File "<stdin>", line 1, in f\n    int(x)\nValueError: not a number\n',
            "ValueError: not a number",
        ),
        (
            "\n[PARSE_SYNTAX_ERROR] Syntax error at line 1.\n\n== SQL ==\nselect secret from x\n^^^",
            "[PARSE_SYNTAX_ERROR] Syntax error at line 1.",
        ),
    ],
)
def test_what_is_left_says_what_went_wrong(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed


def test_a_long_message_is_cut_at_a_border_of_words() -> None:
    # Cut in the middle of the user info, its password would stand there as part of a host's name.
    long = "'" + "v" * 4050 + "' https://bob:" + "hunter2" * 10 + "@db.example/x"
    assert "hunter2" not in scrub(long)
    assert scrub("word " * 1000).endswith("...")


@pytest.mark.parametrize(
    "piece", ["'", '"', "=", "=)", "://", "@", "a", "a:", "-", "key", "key ", "\\", "(a", "`", "a.b@", "//'", "\u2018", " "]
)
def test_no_text_takes_long(piece: str) -> None:
    started = time.perf_counter()
    scrub(piece * 100_000)
    assert time.perf_counter() - started < 20


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("hunter2")


class NotText(Exception):
    def __str__(self) -> str:
        return None  # type: ignore[return-value]


class AnalysisException(Exception):
    pass


AnalysisException.__module__ = "pyspark.errors.exceptions.captured"


@pytest.mark.parametrize("mode", ["class", "scrubbed", "full"])
@pytest.mark.parametrize("error", [Unprintable(), NotText(), ValueError("\ud800"), KeyError(), SystemExit(3), Exception(b"\xff", object())])
def test_describing_never_raises_and_begins_with_the_class(error: BaseException, mode: str) -> None:
    described = describe(error, mode)  # type: ignore[arg-type]
    described.encode("utf-8")
    assert type(error).__qualname__ in described.partition(":")[0]
    assert "hunter2" not in described


@pytest.mark.parametrize(
    ("error", "mode", "described"),
    [
        (ValueError("bad 'x'"), "class", "ValueError"),
        (ValueError("bad 'xyz'"), "scrubbed", "ValueError: bad '***'"),
        (ValueError("bad 'xyz'"), "full", "ValueError: bad 'xyz'"),
        (ValueError(), "scrubbed", "ValueError"),
        (RuleFailed("rule `positive` failed"), "scrubbed", "spark_pd.RuleFailed: rule `positive` failed"),
        (
            AnalysisException("[UNRESOLVED_COLUMN] `x` cannot be resolved; line 1 pos 0;\nProject [secret]\n+- Range"),
            "scrubbed",
            "pyspark.errors.exceptions.captured.AnalysisException: [UNRESOLVED_COLUMN] `x` cannot be resolved; line 1 pos 0;",
        ),
    ],
)
def test_each_mode_shows_what_it_says(error: Exception, mode: str, described: str) -> None:
    assert describe(error, mode) == described  # type: ignore[arg-type]


def test_a_full_message_is_bounded() -> None:
    described = describe(ValueError("v" * 100_000), "full")
    assert len(described) == len("ValueError: ") + FULL_LIMIT
    assert described.endswith("...")


def test_scrub_imports_nothing_of_the_package() -> None:
    import spark_pd.secrets.redaction

    assert not re.search(r"^\s*(from|import) spark_pd", Path(spark_pd.secrets.redaction.__file__).read_text(encoding="utf-8"), re.MULTILINE)
