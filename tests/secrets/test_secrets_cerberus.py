"""cerberus: against a stand-in that speaks Cerberus' published API over real HTTP."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from spark_pd.model import SecretContext, SecretReference
from spark_pd.model.errors import SecretError
from spark_pd.secrets import resolve

PATH = "app/on-call/pagerduty#integration-key"
NOWHERE = SecretContext()


def get(path: str = PATH, context: SecretContext = NOWHERE) -> str:
    return resolve(SecretReference("cerberus", path), context=context).reveal()


def refused(path: str = PATH, context: SecretContext = NOWHERE) -> str:
    with pytest.raises(SecretError) as caught:
        get(path, context)
    return str(caught.value)


@pytest.fixture(autouse=True)
def token(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("CERBERUS_TOKEN", " good-token\n")


@pytest.mark.parametrize("path", [PATH, f"/{PATH}", "app/on-call/a key/of ours#k"])
def test_a_key_of_a_secret_is_read_with_the_token(cerberus: Any, value: str, path: str) -> None:
    assert get(path) == value
    assert len(cerberus.requests) == 1
    assert cerberus.requests[0][2]["x-cerberus-token"] == "good-token"


def test_the_url_of_the_settings_wins_over_the_environment(cerberus: Any, bare: pytest.MonkeyPatch, value: str) -> None:
    bare.setenv("CERBERUS_URL", "http://127.0.0.1:1")
    assert get(context=SecretContext(cerberus_url=f"{cerberus.url}/")) == value


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("app/on-call/pagerduty#none", "no text under the key 'none'"),
        ("app/on-call/pagerduty#count", "no text under the key 'count'"),
        ("app/on-call/pagerduty#empty", "it is empty"),
        ("app/on-call/none#k", "has no secret there (HTTP 404)"),
        ("app/none/pagerduty#k", "has no secret there (HTTP 404, Cerberus error 99996)"),
        ("app/closed/pagerduty#k", "denies reading (HTTP 403, Cerberus error 99994)"),
        ("app#k", "did not give it (HTTP 400, Cerberus error 99999)"),
    ],
)
def test_what_cerberus_refuses_is_told(cerberus: Any, path: str, told: str) -> None:
    assert told in refused(path)


@pytest.mark.parametrize(
    "path", ["app/on-call/pagerduty", "app/on-call/pagerduty#", "#k", "app//x#k", "app/../../v2/auth/user#k", "app/./x#k"]
)
def test_a_path_that_is_not_path_and_key_is_told_before_anything_is_asked(cerberus: Any, path: str) -> None:
    assert "expected cerberus:category/safe-deposit-box/secret#key" in refused(path)
    assert cerberus.requests == []


def test_a_refused_token_is_told_without_it(cerberus: Any, bare: pytest.MonkeyPatch) -> None:
    bare.setenv("CERBERUS_TOKEN", "bad-token")
    message = refused()
    assert "refused the token (HTTP 401, Cerberus error 99105)" in message
    assert "bad-token" not in message
    assert len(cerberus.requests) == 1


def test_a_token_that_no_header_can_carry_is_told_without_it(cerberus: Any, bare: pytest.MonkeyPatch) -> None:
    bare.setenv("CERBERUS_TOKEN", "two\nlines")
    assert "CERBERUS_TOKEN has characters" in refused()


def test_no_token_and_no_wish_for_the_aws_login_is_told(cerberus: Any, bare: pytest.MonkeyPatch) -> None:
    bare.delenv("CERBERUS_TOKEN")
    assert "set CERBERUS_TOKEN, or CERBERUS_AUTH=aws" in refused()
    bare.setenv("CERBERUS_AUTH", "okta")
    assert "CERBERUS_AUTH has an unknown value" in refused()
    assert cerberus.requests == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "the URL of Cerberus is not known"),
        ("cerberus.example.com", "is not a URL"),
        ("https://[", "is not a URL"),
        ("https://host:port", "is not a URL"),
        ("ftp://cerberus.example.com", "is not a URL"),
        ("http://cerberus.example.com", "over https only"),
        ("http://127.0.0.1.example.com", "over https only"),
        ("https://me:hunter2@cerberus.example.com", "has a user or password in it"),
        ("https://cerberus.example.com/?a=b", "has a query or fragment"),
    ],
)
def test_a_url_that_may_not_have_the_token_is_refused(bare: pytest.MonkeyPatch, url: str, told: str) -> None:
    message = refused(context=SecretContext(cerberus_url=url))
    assert told in message
    assert "hunter2" not in message


def test_temporary_failures_are_tried_again(cerberus: Any, faults: Any, value: str) -> None:
    cerberus.faults += [faults.status(503), faults.status(500)]
    assert get() == value
    assert len(cerberus.requests) == 3


def test_lasting_failures_are_given_up_after_three_attempts(cerberus: Any, faults: Any) -> None:
    cerberus.faults += [faults.status(503)] * 9
    assert "gave no answer to use (HTTP 503)" in refused()
    assert len(cerberus.requests) == 3


def test_a_redirect_is_not_followed(cerberus: Any, faults: Any) -> None:
    cerberus.faults.append(faults.status(307, Location=f"{cerberus.url}/v1/secret/app/on-call/pagerduty"))
    assert "answered with a redirect" in refused()
    assert len(cerberus.requests) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"data": []}', b"\xff"])
def test_an_answer_that_is_not_cerberus_is_told(cerberus: Any, faults: Any, body: bytes) -> None:
    cerberus.faults.append(faults.status(200, body))
    assert "answered without secret data" in refused()


def test_an_endless_answer_ends(cerberus: Any, faults: Any, bare: pytest.MonkeyPatch) -> None:
    bare.setattr("spark_pd.secrets.cerberus.TOTAL_TIMEOUT", 0.5)
    cerberus.faults.append(faults.drip)
    began = time.monotonic()
    assert "too long or too slow" in refused()
    assert time.monotonic() - began < 30


def test_an_answer_that_is_too_long_is_refused(cerberus: Any, faults: Any) -> None:
    cerberus.faults.append(faults.status(200, b" " * (64 * 1024 + 1)))
    assert "too long or too slow" in refused()


def test_nobody_there_is_told_with_the_host(bare: pytest.MonkeyPatch) -> None:
    assert "Cerberus at 127.0.0.1:1 gave no answer to use (ConnectionError)" in refused(
        context=SecretContext(cerberus_url="http://127.0.0.1:1")
    )


def test_a_certificate_that_nobody_vouches_for_is_refused(cerberus: Any) -> None:
    # The stand-in speaks plain HTTP: the handshake fails, and nothing of ours is sent.
    assert "SSLError" in refused(context=SecretContext(cerberus_url=cerberus.url.replace("http:", "https:")))
    assert cerberus.requests == []


def test_no_proxy_and_no_netrc_come_between_us_and_this_machine(
    cerberus: Any, bare: pytest.MonkeyPatch, tmp_path: Path, value: str
) -> None:
    bare.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    (tmp_path / "home" / ".netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    assert get() == value
    assert "authorization" not in cerberus.requests[0][2]


class TestAwsLogin:
    @pytest.fixture(autouse=True)
    def credentials(self, token: None, aws: pytest.MonkeyPatch) -> None:
        aws.delenv("CERBERUS_TOKEN")

    @pytest.mark.parametrize(
        ("variable", "region"),
        [(None, "us-west-2"), ("AWS_REGION", "eu-central-1"), ("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_REGION", "cn-north-1")],
    )
    def test_a_signature_that_sts_accepts_gets_the_token(
        self, cerberus: Any, aws: pytest.MonkeyPatch, value: str, variable: str | None, region: str
    ) -> None:
        cerberus.region = region
        if variable:
            aws.setenv(variable, region)
        assert get() == value
        assert [(method, path) for method, path, _ in cerberus.requests] == [
            ("POST", "/v2/auth/sts-identity"),
            ("GET", "/v1/secret/app/on-call/pagerduty"),
        ]
        assert cerberus.requests[1][2]["x-cerberus-token"] == "token-of-the-login"

    def test_temporary_credentials_send_their_session_token(
        self, cerberus: Any, aws: pytest.MonkeyPatch, value: str, session_token: str
    ) -> None:
        aws.setenv("AWS_SESSION_TOKEN", session_token)
        cerberus.session_token = session_token
        assert get() == value

    def test_a_netrc_does_not_replace_the_signature(self, cerberus: Any, value: str, tmp_path: Path, aws: pytest.MonkeyPatch) -> None:
        aws.setattr("spark_pd.secrets.cerberus.is_loopback", lambda host: False)  # as for a Cerberus elsewhere: proxies and netrc count
        aws.setenv("NO_PROXY", "127.0.0.1")
        (tmp_path / "home" / ".netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
        assert get() == value

    @pytest.mark.parametrize(
        ("variable", "text", "told"),
        [
            ("AWS_SECRET_ACCESS_KEY", "wrong", "HTTP 400, Cerberus error 99237"),
            ("AWS_ACCESS_KEY_ID", "AKIASOMEBODYELSE0000", "HTTP 401, Cerberus error 99106"),
            ("AWS_SESSION_TOKEN", "expired", "HTTP 401, Cerberus error 99238"),
        ],
    )
    def test_a_refused_login_is_told(self, cerberus: Any, aws: pytest.MonkeyPatch, variable: str, text: str, told: str) -> None:
        aws.setenv(variable, text)
        assert f"refused the AWS login ({told})" in refused()

    def test_a_login_without_a_token_is_told(self, cerberus: Any, faults: Any) -> None:
        cerberus.faults.append(faults.status(200, b'{"client_token": null}'))
        assert "answered the AWS login without a token" in refused()

    def test_no_aws_credentials_are_told(self, cerberus: Any, aws: pytest.MonkeyPatch) -> None:
        aws.delenv("AWS_ACCESS_KEY_ID")
        assert "botocore finds no AWS credentials" in refused()

    def test_a_broken_aws_profile_is_told(self, cerberus: Any, aws: pytest.MonkeyPatch) -> None:
        aws.setenv("AWS_PROFILE", "nobody-has-this-profile")
        assert "reading the AWS credentials failed with ProfileNotFound" in refused()

    def test_without_botocore_the_extra_is_named(self, cerberus: Any, aws: pytest.MonkeyPatch) -> None:
        aws.setitem(sys.modules, "botocore.session", None)
        assert "pip install 'spark-pd[cerberus]'" in refused()

    def test_the_token_of_the_environment_wins(self, cerberus: Any, aws: pytest.MonkeyPatch, value: str) -> None:
        aws.setenv("CERBERUS_TOKEN", "good-token")
        assert get() == value
        assert len(cerberus.requests) == 1
