"""databricks: through a stand-in dbutils in each place where Databricks puts one, and through the real databricks-sdk over HTTP."""

from __future__ import annotations

import builtins
import sys
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from spark_pd.model import SecretContext, SecretReference
from spark_pd.model.errors import SecretError
from spark_pd.secrets import resolve

NOWHERE = SecretContext()


def get(path: str = "pagerduty/integration-key", context: SecretContext = NOWHERE) -> str:
    return resolve(SecretReference("databricks", path), context=context).reveal()


def refused(path: str = "pagerduty/integration-key", context: SecretContext = NOWHERE) -> str:
    with pytest.raises(SecretError) as caught:
        get(path, context)
    return str(caught.value)


class DBUtils:
    """Databricks' dbutils, as far as secrets go."""

    def __init__(self, spark: object = None, answer: object = None) -> None:
        self.secrets = self
        self.answer = answer or {("pagerduty", "integration-key"): f"by dbutils of {spark}\n"}

    def get(self, scope: str, key: str) -> Any:
        return self.answer[scope, key] if isinstance(self.answer, dict) else self.answer


def in_pyspark(patch: pytest.MonkeyPatch, make: Callable[[object], object]) -> None:
    module = ModuleType("pyspark.dbutils")
    module.DBUtils = make  # type: ignore[attr-defined]
    patch.setitem(sys.modules, "pyspark.dbutils", module)


def in_ipython(patch: pytest.MonkeyPatch, dbutils: object) -> None:
    import IPython

    patch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(user_ns={"dbutils": dbutils}))


def in_main(patch: pytest.MonkeyPatch, dbutils: object) -> None:
    patch.setattr(sys.modules["__main__"], "dbutils", dbutils, raising=False)


def in_builtins(patch: pytest.MonkeyPatch, dbutils: object) -> None:
    patch.setattr(builtins, "dbutils", dbutils, raising=False)


def test_dbutils_of_the_session_comes_first(bare: pytest.MonkeyPatch) -> None:
    in_pyspark(bare, DBUtils)
    in_ipython(bare, DBUtils("a notebook"))
    assert get(context=SecretContext(spark="the session")) == "by dbutils of the session"


@pytest.mark.parametrize("place", [in_ipython, in_main, in_builtins])
@pytest.mark.parametrize("spark", [None, "a session that is not Databricks'"])
def test_dbutils_is_found_where_a_notebook_or_a_script_has_it(
    bare: pytest.MonkeyPatch, place: Callable[[pytest.MonkeyPatch, object], None], spark: object
) -> None:
    place(bare, DBUtils("here"))
    assert get(context=SecretContext(spark=spark)) == "by dbutils of here"


def test_dbutils_that_cannot_be_made_gives_way_to_the_notebooks(bare: pytest.MonkeyPatch) -> None:
    in_pyspark(bare, lambda spark: 1 / 0)
    in_ipython(bare, DBUtils("a notebook"))
    assert get(context=SecretContext(spark="x")) == "by dbutils of a notebook"


def test_somebodys_own_dbutils_is_not_taken_for_databricks(bare: pytest.MonkeyPatch, workspace: Any, value: str) -> None:
    in_ipython(bare, SimpleNamespace(connect=print))
    in_main(bare, "a string")
    assert get() == value


@pytest.mark.parametrize(("answer", "failure"), [(3, "a int instead of text"), ({("a", "b"): "c"}, "KeyError")])
def test_dbutils_without_the_secret_is_an_error_that_names_scope_and_key(bare: pytest.MonkeyPatch, answer: object, failure: str) -> None:
    in_ipython(bare, DBUtils("x", answer))
    message = refused()
    assert failure in message
    assert "the scope 'pagerduty' has the key 'integration-key'" in message


@pytest.mark.parametrize("path", ["pagerduty", "pagerduty/", "/key", "a/b/c"])
def test_a_path_that_is_not_scope_and_key_is_told_before_anything_is_asked(workspace: Any, path: str) -> None:
    assert "expected databricks:scope/key" in refused(path)
    assert workspace.requests == []


def test_the_sdk_reads_it_where_there_is_no_dbutils(workspace: Any, value: str) -> None:
    assert get() == value
    method, path, headers = workspace.requests[-1]
    assert (method, path.partition("?")[0]) == ("GET", "/api/2.0/secrets/get")
    assert "spark-pd/" in headers["user-agent"]


@pytest.mark.parametrize("suffix", ["", "/", "/?o=1234567890", "/browse/folders/1#x"])
def test_the_workspace_url_of_the_settings_wins_over_the_environment(
    workspace: Any, bare: pytest.MonkeyPatch, value: str, suffix: str
) -> None:
    bare.setenv("DATABRICKS_HOST", "http://127.0.0.1:1")
    assert get(context=SecretContext(databricks_workspace_url=workspace.url + suffix)) == value


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("pagerduty/none", "has no scope 'pagerduty' with a key 'none'"),
        ("none/integration-key", "has no scope 'none'"),
        ("closed/integration-key", "denies READ on the scope 'closed'"),
        ("pagerduty/binary", "no text in base64"),
    ],
)
def test_what_the_workspace_refuses_is_told(workspace: Any, path: str, told: str) -> None:
    assert told in refused(path)


def test_a_refused_token_is_told(workspace: Any, bare: pytest.MonkeyPatch) -> None:
    bare.setenv("DATABRICKS_TOKEN", "bad-token")
    message = refused()
    assert "refused the SDK's credentials" in message
    assert "bad-token" not in message


def test_an_answer_that_is_not_base64_is_told(workspace: Any, bare: pytest.MonkeyPatch, value: str) -> None:
    bare.setattr(workspace, "answer", lambda *_: (200, {"key": "integration-key", "value": f"{value}!"}))
    assert "no text in base64" in refused()


def test_no_workspace_and_no_credentials_are_told(bare: pytest.MonkeyPatch) -> None:
    assert "set the Databricks workspace URL or DATABRICKS_HOST" in refused()


@pytest.mark.parametrize("url", ["http://adb-1.azuredatabricks.net", "http://10.0.0.1:8080"])
def test_a_workspace_without_tls_gets_no_token(bare: pytest.MonkeyPatch, url: str) -> None:
    bare.setenv("DATABRICKS_TOKEN", "good-token")
    assert "over https only" in refused(context=SecretContext(databricks_workspace_url=url))


def test_a_workspace_that_cannot_be_reached_is_given_up_soon(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("DATABRICKS_TOKEN", "good-token")
    began = time.monotonic()
    assert "check the workspace URL" in refused(context=SecretContext(databricks_workspace_url="http://127.0.0.1:1"))
    assert time.monotonic() - began < 60  # the SDK by itself: 10 minutes


def test_without_the_sdk_the_extra_is_named(bare: pytest.MonkeyPatch) -> None:
    bare.setitem(sys.modules, "databricks.sdk", None)
    assert "pip install 'spark-pd[databricks]'" in refused()
