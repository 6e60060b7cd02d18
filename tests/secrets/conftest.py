"""Stand-ins for the secrets tests, over real HTTP on loopback: a Cerberus that is as strict as API.md says, and Databricks' secrets API."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

VALUE = "R0SECRETxVALUExTHATxMUSTxNOTxLEAK"[:32]
ANSWER = tuple[int, object]
ACCESS_KEY, SECRET_KEY, SESSION_TOKEN = "AKIASPARKPDSTANDIN00", "wJalrStandInSecretKeyOfSparkPd", "FQoGStandInSessionTokenOfSparkPd"


class Stand:
    """What the stand-ins share: the requests they saw, and faults that come before the next real answer."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.faults: list[Callable[[BaseHTTPRequestHandler], None]] = []

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> ANSWER:
        """The status and the body (bytes as they are, else JSON)."""
        raise AssertionError("a stand-in answers")


def reply(handler: BaseHTTPRequestHandler, status: int, body: object, **headers: str) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)


@contextmanager
def served(stand: Any) -> Iterator[Any]:
    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            stand.requests.append((self.command, self.path, headers))
            if stand.faults:
                stand.faults.pop(0)(self)
            else:
                reply(self, *stand.answer(self.command, self.path, headers, body))

        do_GET = do_POST = serve

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    stand.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stand
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)


def refuse(status: int, code: int, message: str) -> ANSWER:
    return status, {"error_id": "ccc1cc1c-e111-11e1-11ce-111e11a111f1", "errors": [{"code": code, "message": message}]}


class Cerberus(Stand):
    """Cerberus' `GET /v1/secret/{category}/{sdb}/{path}` and `POST /v2/auth/sts-identity`; the login does AWS STS' part too."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = {"good-token"}
        self.boxes: dict[str, dict[str, dict[str, object]]] = {
            "app/on-call": {"pagerduty": {"integration-key": VALUE, "empty": " ", "count": 3}, "a key/of ours": {"k": VALUE}}
        }
        self.denied = {"app/closed"}
        self.region = "us-west-2"
        self.session_token: str | None = None

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> ANSWER:
        if "x-cerberus-client" not in headers:
            return refuse(400, 99999, "Request will not be completed.")
        if method == "POST" and path == "/v2/auth/sts-identity":
            return self._login(headers, body)
        if method == "GET" and path.startswith("/v1/secret/"):
            return self._secret(unquote(urlsplit(path).path)[len("/v1/secret/") :], headers)
        return refuse(404, 99996, "Not found")

    def _secret(self, path: str, headers: dict[str, str]) -> ANSWER:
        if headers.get("x-cerberus-token") not in self.tokens:
            return refuse(401, 99105, "X-Vault-Token or X-Cerberus-Token header is malformed or invalid.")
        category, _, rest = path.partition("/")
        slug, _, name = rest.partition("/")
        box = f"{category}/{slug}"
        if not slug:
            return refuse(400, 99999, "Request path is invalid.")
        if box in self.denied:
            return refuse(403, 99994, "Access to the requested resource was denied.")
        if box not in self.boxes:
            return refuse(404, 99996, f"The SDB for the path: {box}/ was not found.")
        if name not in self.boxes[box]:
            return 404, {"errors": []}
        envelope = {
            "request_id": "aa11aaa1",
            "lease_id": "",
            "renewable": False,
            "lease_duration": 3600,
            "wrap_info": None,
            "warnings": None,
        }
        return 200, {**envelope, "auth": None, "metadata": {}, "data": self.boxes[box][name]}

    def _login(self, headers: dict[str, str], body: bytes) -> ANSWER:
        authorization, date = headers.get("authorization"), headers.get("x-amz-date")
        if not authorization or not date or body:
            return refuse(400, 99236, "One or more required headers are missing.")
        form = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)/sts/aws4_request, "
            r"SignedHeaders=(?P<signed>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})",
            authorization,
        )
        if form is None:
            return refuse(400, 99999, "Failed to determine region from header.")
        age = abs((datetime.now(timezone.utc) - datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)).total_seconds())
        if age > 900 or headers.get("x-amz-security-token") != self.session_token:
            return refuse(401, 99238, "The security token included in the request is expired.")
        if form["key"] != ACCESS_KEY:
            return refuse(401, 99106, "Invalid credentials")
        if form["region"] != self.region or not hmac.compare_digest(self._signature(form, date, headers), form["signature"]):
            return refuse(400, 99237, "Signature does not match. Make sure the request is signed with sts.{region}.amazonaws.com as host.")
        self.tokens.add("token-of-the-login")
        metadata = {"aws_iam_principal_arn": "arn:aws:iam::111111111111:role/job", "is_admin": "false"}
        granted = {"policies": ["lookup-self"], "metadata": metadata, "lease_duration": 3600, "renewable": True}
        return 200, {"client_token": "token-of-the-login", **granted}

    def _signature(self, form: re.Match[str], date: str, headers: dict[str, str]) -> str:
        """AWS Signature Version 4 of the request that Cerberus itself sends to STS."""
        domain = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        sent = {**headers, "host": f"sts.{self.region}.{domain}"}
        listed = "".join(f"{name}:{sent[name]}\n" for name in form["signed"].split(";"))
        payload = hashlib.sha256(b"Action=GetCallerIdentity&Version=2011-06-15").hexdigest()
        request = f"POST\n/\n\n{listed}\n{form['signed']}\n{payload}"
        scope = f"{form['day']}/{self.region}/sts/aws4_request"
        key = f"AWS4{SECRET_KEY}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Databricks(Stand):
    """Databricks' `GET /api/2.0/secrets/get`, and the host's metadata, which the SDK asks for first."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[tuple[str, str], bytes] = {("pagerduty", "integration-key"): VALUE.encode(), ("pagerduty", "binary"): b"\xff\xfe"}

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> ANSWER:
        parts = urlsplit(path)
        if parts.path == "/.well-known/databricks-config":
            return 200, {"oidc_endpoint": f"{self.url}/oidc", "workspace_id": "1234567890"}
        if (method, parts.path) != ("GET", "/api/2.0/secrets/get"):
            return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": "No API found"}
        if headers.get("authorization") != "Bearer good-token":
            return 401, {"error_code": "UNAUTHENTICATED", "message": "Invalid access token."}
        asked = parse_qs(parts.query)
        scope, key = asked["scope"][0], asked["key"][0]
        if scope == "closed":
            return 403, {"error_code": "PERMISSION_DENIED", "message": f"User does not have READ permission on scope {scope}"}
        if (scope, key) not in self.values:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"Failed to get secret {key} for scope {scope}."}
        return 200, {"key": key, "value": base64.b64encode(self.values[scope, key]).decode()}


def status(code: int, body: object = b"{}", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """A fault: this answer instead."""
    return lambda handler: reply(handler, code, body, **headers)


def drip(handler: BaseHTTPRequestHandler) -> None:
    """A fault: an answer that never ends, a byte at a time."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" ")
            time.sleep(0.05)
    except OSError:
        return


@pytest.fixture
def value() -> str:
    return VALUE


@pytest.fixture
def faults() -> Any:
    """The faults to put into a stand-in's `faults`: status(code, body, **headers), drip."""

    class Faults:
        pass

    Faults.status, Faults.drip = staticmethod(status), staticmethod(drip)
    return Faults


@pytest.fixture
def cerberus(bare: pytest.MonkeyPatch) -> Iterator[Cerberus]:
    """A Cerberus whose URL the environment tells."""
    with served(Cerberus()) as stand:
        bare.setenv("CERBERUS_URL", stand.url)
        yield stand


@pytest.fixture
def workspace(bare: pytest.MonkeyPatch) -> Iterator[Databricks]:
    """A Databricks workspace that the environment tells, with a token."""
    with served(Databricks()) as stand:
        bare.setenv("DATABRICKS_HOST", stand.url)
        bare.setenv("DATABRICKS_TOKEN", "good-token")
        yield stand


@pytest.fixture
def aws(bare: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """AWS credentials in the environment, and the wish to log in to Cerberus with them."""
    bare.setenv("CERBERUS_AUTH", "aws")
    bare.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    bare.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    return bare


@pytest.fixture
def session_token() -> str:
    return SESSION_TOKEN


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A process without any Databricks, AWS or Cerberus setting, in the environment or in the home directory."""
    import os

    for name in os.environ:
        if name.startswith(("DATABRICKS_", "AWS_", "CERBERUS_", "ARM_")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch
