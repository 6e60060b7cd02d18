"""`cerberus:path#key`: a key of a secret in Nike's Cerberus, over its REST API (github.com/Nike-Inc/cerberus, API.md)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from spark_pd.model import SecretContext
from spark_pd.model.errors import SecretError
from spark_pd.secrets.cerberus_aws import signed_headers
from spark_pd.secrets.urls import checked_url, is_loopback

CONNECT_TIMEOUT, READ_TIMEOUT, TOTAL_TIMEOUT = 2.0, 4.0, 8.0  # seconds; the total is for one secret, login and retries included
PAUSES = (0.1, 0.2, 0.4)  # seconds after each failed attempt, as in cerberus-python-client
LIMIT = 64 * 1024  # bytes of an answer; far above any secret's keys

_EXPECTED = "expected cerberus:category/safe-deposit-box/secret#key"


def provide(path: str, *, context: SecretContext) -> str:
    """The value of one key of a secret; `path` is `category/safe-deposit-box/secret#key`.

    The server is `context.cerberus_url`, else CERBERUS_URL. The token is CERBERUS_TOKEN, else, with CERBERUS_AUTH=aws, that of a login with
    the AWS credentials that botocore finds (extra `spark-pd[cerberus]`). Takes 8 seconds at most, beside what botocore takes for
    credentials. Raises SecretError.
    """
    secret, _, key = path.partition("#")
    segments = secret.strip("/").split("/")
    if not key or not all(segments):
        raise SecretError(f"{path!r} is not a path and a key; {_EXPECTED}")
    if {".", ".."} & set(segments):
        raise SecretError(f"{path!r} has a dot segment in its path; {_EXPECTED}")
    server = _Server(context.cerberus_url or os.environ.get("CERBERUS_URL") or "")
    with server:
        answer = server.call("GET", f"/v1/secret/{quote('/'.join(segments), safe='/')}", {"X-Cerberus-Token": _token(server)})
    if answer.status != 200:
        raise SecretError(_refusal(answer, server.name))
    data = (answer.fields or {}).get("data")
    if not isinstance(data, dict):
        raise SecretError(f"{server.name} answered without secret data; check that the URL is that of Cerberus")
    value = data.get(key)
    if not isinstance(value, str):
        raise SecretError(f"the secret there has no text under the key {key!r}; check the key's name after '#'")
    return value


def _token(server: _Server) -> str:
    token = os.environ.get("CERBERUS_TOKEN", "").strip()
    if token:
        # Told here without its text: the HTTP library's error would quote it.
        if not (token.isascii() and token.isprintable()):
            raise SecretError("CERBERUS_TOKEN has characters that no HTTP header can carry; set it to the token alone")
        return token
    way = os.environ.get("CERBERUS_AUTH", "").strip().lower()
    if way == "aws":
        return _aws_login(server)
    if way:
        raise SecretError("CERBERUS_AUTH has an unknown value; expected aws, or unset it and set CERBERUS_TOKEN")
    raise SecretError("there is no Cerberus token; set CERBERUS_TOKEN, or CERBERUS_AUTH=aws to log in with the machine's AWS role")


def _aws_login(server: _Server) -> str:
    answer = server.call("POST", "/v2/auth/sts-identity", {**signed_headers(), "Content-Type": "application/json"})
    if answer.status != 200:
        raise SecretError(
            f"{server.name} refused the AWS login ({answer.told}); check the AWS role and region, and that the role belongs to the "
            "safe deposit box"
        )
    token = (answer.fields or {}).get("client_token")
    if not isinstance(token, str) or not token:
        raise SecretError(f"{server.name} answered the AWS login without a token; check that the URL is that of Cerberus")
    return token


class _Answer(NamedTuple):
    status: int
    fields: dict[str, Any] | None
    """The JSON object of the body; None where it is none."""

    @property
    def told(self) -> str:
        """The status and Cerberus' error codes, which are numbers; its messages stay out, they may quote what was sent."""
        errors = (self.fields or {}).get("errors")
        listed = [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
        codes = [str(each["code"]) for each in listed if isinstance(each.get("code"), int)]
        return f"HTTP {self.status}, Cerberus error {', '.join(codes)}" if codes else f"HTTP {self.status}"


def _refusal(answer: _Answer, name: str) -> str:
    if answer.status == 401:
        return f"{name} refused the token ({answer.told}); it may have expired: get a new one into CERBERUS_TOKEN, or use CERBERUS_AUTH=aws"
    if answer.status == 403:
        return f"{name} denies reading ({answer.told}); have the read permission on the safe deposit box granted"
    if answer.status == 404:
        return f"{name} has no secret there ({answer.told}); {_EXPECTED}"
    if 300 <= answer.status < 400:
        return f"{name} answered with a redirect ({answer.told}), which is not followed with a token; give the URL that it leads to"
    return f"{name} did not give it ({answer.told}); check the path and Cerberus' health"


class _Server:
    """A Cerberus over HTTP: certificates are verified, redirects not followed, ~/.netrc not read; temporary failures are tried again."""

    def __init__(self, url: str) -> None:
        if not url.strip():
            raise SecretError("the URL of Cerberus is not known; set the setting for the Cerberus URL or CERBERUS_URL")
        parts = checked_url(url, what="the Cerberus URL")
        import requests

        from spark_pd.secrets.log_suppression import mute

        self.name = f"Cerberus at {parts.netloc}"
        self._base = parts.geturl().rstrip("/")
        self._deadline = time.monotonic() + TOTAL_TIMEOUT
        self._session = requests.Session()
        mute(self._session)
        self._session.auth = lambda request: request  # else requests takes one from ~/.netrc, over the header that AWS signed
        self._session.trust_env = not is_loopback(parts.hostname)  # no proxy to this machine

    def __enter__(self) -> _Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def call(self, method: str, path: str, headers: Mapping[str, str]) -> _Answer:
        """One call, tried three times at most. Raises SecretError where no answer came in time."""
        failure = "no answer in time"
        for pause in PAUSES:
            answer = self._attempt(method, path, headers)
            if isinstance(answer, _Answer):
                if answer.status < 500:
                    return answer
                failure = answer.told
            else:
                failure = answer
            if time.monotonic() + pause >= self._deadline:
                break
            time.sleep(pause)
        raise SecretError(f"{self.name} gave no answer to use ({failure}); check the URL, the network and Cerberus' health")

    def _attempt(self, method: str, path: str, headers: Mapping[str, str]) -> _Answer | str:
        import requests

        left = max(0.1, self._deadline - time.monotonic())
        try:
            with self._session.request(
                method,
                self._base + path,
                headers={"X-Cerberus-Client": "spark_pd", "Accept": "application/json", **headers},
                timeout=(min(CONNECT_TIMEOUT, left), min(READ_TIMEOUT, left)),
                allow_redirects=False,
                stream=True,
            ) as response:
                return _Answer(response.status_code, _fields(self._body(response)))
        except requests.exceptions.RequestException as error:
            return type(error).__name__

    def _body(self, response: Any) -> bytes:
        body = bytearray()
        # Byte by byte (from a buffer): the read timeout is for each packet, and a larger piece would wait for a dripping server to fill it.
        for byte in response.iter_content(1):
            body += byte
            if len(body) > LIMIT or time.monotonic() > self._deadline:
                raise SecretError(f"{self.name} gave no answer to use (too long or too slow); check the URL and Cerberus' health")
        return bytes(body)


def _fields(body: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(body)
    except ValueError:  # it holds the body, so it ends here
        return None
    return fields if isinstance(fields, dict) else None
