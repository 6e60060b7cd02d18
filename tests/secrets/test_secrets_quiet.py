"""Each provider on its own: the value, and the tokens on the way to it, are in no log at DEBUG, repr, error with its frames, or pickle.

Each way of leaking has a positive control: without our care, the libraries do write it down.
"""

from __future__ import annotations

import gc
import logging
import pickle
import shutil
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from spark_pd.model import Secret, SecretContext, SecretReference
from spark_pd.model.errors import SecretError
from spark_pd.secrets import parse_reference, resolve
from spark_pd.secrets.log_suppression import TELLTALES, quiet

CONTEXT = SecretContext()


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture, bare: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """All loggers at DEBUG, as a user does who hunts a fault."""
    bare.setenv("DATABRICKS_DEBUG_HEADERS", "true")
    bare.setenv("DATABRICKS_DEBUG_TRUNCATE_BYTES", "100000")
    for name in ("", "spark_pd", "urllib3", "requests", *TELLTALES):
        caplog.set_level(logging.DEBUG, name)
    return caplog


def logged(caplog: pytest.LogCaptureFixture) -> str:
    formatter = logging.Formatter("%(name)s %(message)s")
    return "\n".join(formatter.format(record) + repr(record.args) for record in caplog.records)


def reference(kind: str, tmp_path: Path, patch: pytest.MonkeyPatch, value: str) -> SecretReference:
    patch.setenv("SPARK_PD_TEST_KEY", value)
    patch.setenv("CERBERUS_TOKEN", "good-token")
    (tmp_path / "key").write_text(value)
    texts = {
        "env": "env:SPARK_PD_TEST_KEY",
        "file": f"file:{tmp_path / 'key'}",
        "databricks": "databricks:pagerduty/integration-key",
        "cerberus": "cerberus:app/on-call/pagerduty#integration-key",
    }
    found = parse_reference(texts[kind])
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["env", "file", "databricks", "cerberus"])
def test_a_resolved_secret_shows_itself_only_to_who_asks(
    kind: str,
    tmp_path: Path,
    bare: pytest.MonkeyPatch,
    value: str,
    cerberus: Any,
    workspace: Any,
    everything_logged: pytest.LogCaptureFixture,
) -> None:
    source = reference(kind, tmp_path, bare, value)
    secret = resolve(source, context=CONTEXT)
    assert secret.reveal() == value
    written = logged(everything_logged)
    assert f"resolved the secret {source}" in written
    assert value not in written
    assert "good-token" not in written
    assert value not in f"{secret} {secret!r} {[secret]} {source!r}" + "%s" % secret  # noqa: UP031
    assert value.encode() not in pickle.dumps([secret, source])
    with pytest.raises(ValueError, match="pickle"):
        pickle.loads(pickle.dumps(secret)).reveal()


class Deceitful:
    """A provider's failure of the worst kind: its error, its cause and its frame hold the value."""

    def __init__(self, value: str) -> None:
        self.value = value

    def get(self, scope: str, key: str) -> str:
        value = self.value
        try:
            raise ValueError(value)
        except ValueError as error:
            raise KeyError(value) from error

    secrets = property(lambda self: self)


def failing(kind: str, bare: pytest.MonkeyPatch, tmp_path: Path, value: str, cerberus: Any, workspace: Any) -> SecretReference:
    source = reference(kind if kind != "dbutils" else "databricks", tmp_path, bare, value)
    if kind == "dbutils":
        bare.setattr("builtins.dbutils", Deceitful(value), raising=False)
    if kind == "file":
        (tmp_path / "key").write_bytes(value.encode() + b"\xff")
    if kind == "env":
        bare.setattr("os.environ.get", lambda *_: Deceitful(value).get("", ""), raising=False)
    answer = (200, f'{{"value": "{value}", "data": {{"integration-key": "{value}"'.encode())  # cut off: json's error quotes all of it
    bare.setattr(workspace, "answer", lambda *_: answer)
    bare.setattr(cerberus, "answer", lambda *_: answer)
    return source


@pytest.mark.parametrize("kind", ["env", "file", "databricks", "dbutils", "cerberus"])
def test_a_failure_after_the_value_was_had_does_not_carry_it(
    kind: str,
    tmp_path: Path,
    bare: pytest.MonkeyPatch,
    value: str,
    cerberus: Any,
    workspace: Any,
    everything_logged: pytest.LogCaptureFixture,
) -> None:
    source = failing(kind, bare, tmp_path, value, cerberus, workspace)
    with pytest.raises(SecretError) as caught:
        resolve(source, context=CONTEXT)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert str(source) in str(error)
    everything = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "resolving.py" in everything
    frames = "".join(repr(frame.frame.f_locals) for frame in caught.traceback[1:])
    for place in (
        str(error),
        repr(error),
        everything.partition("resolving.py")[2],
        frames,
        logged(everything_logged),
        str(pickle.dumps(error)),
    ):
        assert value not in place
        assert "good-token" not in place


def test_a_value_of_the_wrong_type_stays_out_of_the_errors_frames(bare: pytest.MonkeyPatch, value: str) -> None:
    provider = {"env": lambda path, *, context: value.encode()}
    bare.setattr("spark_pd.secrets.registry.BUILT_IN", provider)
    with pytest.raises(SecretError, match="gave bytes, not str") as caught:
        resolve(SecretReference("env", "X"), context=CONTEXT)
    assert value not in "".join(repr(entry.frame.f_locals) for entry in caught.traceback[1:])


def test_a_connection_error_keeps_the_token_to_itself(bare: pytest.MonkeyPatch, everything_logged: pytest.LogCaptureFixture) -> None:
    bare.setenv("CERBERUS_TOKEN", "good-token")
    with pytest.raises(SecretError) as caught:
        resolve(SecretReference("cerberus", "app/on-call/x#k"), context=SecretContext(cerberus_url="http://127.0.0.1:1"))
    # requests' exception has the request, and that has the token: nothing may lead from our error to it.
    import requests

    reachable, queue = set(), [caught.value.args, caught.value.__dict__, caught.value.__context__, caught.value.__cause__]
    while queue:
        each = queue.pop()
        if id(each) not in reachable and not isinstance(each, type | ModuleType):
            reachable.add(id(each))
            assert not isinstance(each, requests.RequestException | requests.PreparedRequest)
            queue += gc.get_referents(each)
    assert "good-token" not in logged(everything_logged)


def test_the_aws_login_writes_down_no_credential(
    cerberus: Any, aws: pytest.MonkeyPatch, value: str, session_token: str, everything_logged: pytest.LogCaptureFixture
) -> None:
    aws.setenv("AWS_SESSION_TOKEN", session_token)
    cerberus.session_token = session_token
    from spark_pd.secrets.cerberus_aws import signed_headers

    headers = signed_headers()
    assert session_token in logged(everything_logged), "botocore no longer logs what it signs: is quiet() still needed?"
    everything_logged.clear()
    assert resolve(SecretReference("cerberus", "app/on-call/pagerduty#integration-key"), context=CONTEXT).reveal() == value
    written = logged(everything_logged)
    for part in (session_token, "token-of-the-login", headers["Authorization"][:40], value):
        assert part not in written


@pytest.fixture
def jvm(value: str) -> Iterator[Any]:
    """A real py4j gateway to a small JVM (no Spark), whose system property holds the value."""
    pyspark = pytest.importorskip("pyspark")
    if shutil.which("java") is None:
        pytest.skip("needs java on the PATH")
    from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

    jar = next((Path(pyspark.__file__).parent / "jars").glob("py4j-*.jar"))
    port = launch_gateway(jarpath=str(jar), javaopts=[f"-Dpagerduty/integration-key={value}", "-Xmx32m"], die_on_exit=True)
    gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auto_convert=True))
    yield gateway.jvm
    gateway.shutdown()


def test_dbutils_over_py4j_does_not_leave_the_value_in_py4js_log(
    jvm: Any, bare: pytest.MonkeyPatch, value: str, everything_logged: pytest.LogCaptureFixture
) -> None:
    class DBUtils:
        """As Databricks' own: the secret comes out of the JVM, through py4j."""

        def __init__(self, spark: object) -> None:
            self.secrets = self

        def get(self, scope: str, key: str) -> str:
            return str(jvm.java.lang.System.getProperty(f"{scope}/{key}"))

    module = ModuleType("pyspark.dbutils")
    module.DBUtils = DBUtils  # type: ignore[attr-defined]
    bare.setitem(sys.modules, "pyspark.dbutils", module)
    assert DBUtils(None).get("pagerduty", "integration-key") == value
    assert value in logged(everything_logged), "py4j no longer logs answers: is quiet() still needed?"
    everything_logged.clear()
    assert resolve(SecretReference("databricks", "pagerduty/integration-key"), context=SecretContext(spark="a session")).reveal() == value
    assert value not in logged(everything_logged)


@pytest.mark.parametrize("name", TELLTALES)
def test_quiet_is_for_one_thread_for_details_and_for_its_time(name: str, everything_logged: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger(name)
    with quiet():
        log.info("a detail within")
        log.warning("a warning within")
        with quiet():
            log.info("a detail within the inner one")
        log.info("a detail after the inner one")
        other = threading.Thread(target=log.debug, args=("a detail of another thread",))
        other.start()
        other.join()
    log.debug("a detail afterwards")
    assert [record.getMessage() for record in everything_logged.records] == [
        "a warning within",
        "a detail of another thread",
        "a detail afterwards",
    ]


def test_quiet_ends_with_an_error_too() -> None:
    before = [list(logging.getLogger(name).filters) for name in TELLTALES]
    with pytest.raises(ZeroDivisionError), quiet():
        raise ZeroDivisionError
    assert [list(logging.getLogger(name).filters) for name in TELLTALES] == before


def test_a_secret_compares_by_value_without_showing_it(value: str) -> None:
    assert Secret(value) == Secret(value)
    assert value not in f"{Secret(value) != Secret('x')}{Secret(value)!r:>50}"
