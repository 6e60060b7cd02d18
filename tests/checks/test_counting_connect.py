"""Counting over Spark Connect: a real server, and a client that knows no JVM. There the counts come from a pass of their own."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.jobs import Answers
from tests.streaming.shared import COUNTS_ONCE

START_SECONDS = 120
"""A first start on PySpark 3.5 downloads the server's jar."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Server:
    """A Spark Connect server on loopback, with its children; gone when the block ends."""

    def __init__(self, home: Path, folder: Path, package: str | None) -> None:
        self.port = free_port()
        self._log = folder / "server.log"
        settings = {
            "spark.connect.grpc.binding.port": self.port,
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": 4,
            "spark.sql.warehouse.dir": folder / "warehouse",
            "spark.local.dir": folder / "local",
        }
        command = [
            home / "bin" / "spark-submit",
            "--master",
            "local[2]",
            "--class",
            "org.apache.spark.sql.connect.service.SparkConnectServer",
        ]
        command += [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
        command += ["--packages", package] if package else []
        environment = {**os.environ, "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_NO_DAEMONIZE": "1"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*map(str, command), "spark-internal"], env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True
            )

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def fails(self) -> str | None:
        """Why it does not start; None as soon as it answers."""
        until = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            with socket.socket() as client:
                client.settimeout(1)
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    return None
            time.sleep(0.2)
        lines = self._log.read_text(errors="replace").splitlines()
        return next((line for line in lines if "Exception" in line), "\n".join(lines[-5:]))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's URL. PySpark 4 brings the server's jar; for 3.5 spark-submit gets it, where it can."""
    import pyspark

    for package in ("grpc", "grpc_status", "pandas", "pyarrow"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"Spark Connect's client needs the package {package}")
    home, version = Path(pyspark.__file__).parent, pyspark.__version__
    bundled = any((home / "jars").glob("spark-connect_*.jar"))
    # Once more where another process took the port. A repository may lack the newest; a server takes the clients of all of its line.
    packages = [None, None] if bundled else [f"org.apache.spark:spark-connect_2.12:{release}" for release in (version, "3.5.7")]
    for package in packages:
        with Server(home, tmp_path_factory.mktemp("connect"), package) as running:
            why = running.fails()
            if why is None:
                yield f"sc://127.0.0.1:{running.port}"
                return
    message = f"the Spark Connect server of PySpark {version} did not start: {why}"
    if bundled:
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="module")
def found(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    """What the client found, by scenario."""
    folder = tmp_path_factory.mktemp("client")
    with Answers("-m", "tests.checks.connect_job", server, str(folder / "written"), folder=folder) as answers:
        yield answers


ALL = {"exact": True, "status": "passed", "counting": "two_pass", "counts": [1000, 400, 100, 900], "rules": [100, 334], "rows": 900}
EMPTY = {**ALL, "counts": [0, 0, 0, 0], "rules": [0, 0], "rows": 0}
UNKNOWN = {"exact": False, "status": "unknown", "counting": "two_pass", "counts": [None] * 4, "rules": [None, None], "rows": None}


WRITES = {
    # scenario: whether it is exhaustive
    **dict.fromkeys(("plain", "joined", "cached", "by_write_to", "written_twice"), False),
    **dict.fromkeys(("sorted", "filtered", "looked_at_first", "by_table", "run_write"), True),
}


@pytest.mark.parametrize("scenario", [pytest.param(name, marks=[pytest.mark.exhaustive] * seldom) for name, seldom in WRITES.items()])
def test_what_was_written_is_counted(found, scenario):
    assert found[scenario] == ALL


def test_edges_are_counted(found):
    assert found["empty"] == EMPTY
    assert found["all_bad"] == {**ALL, "counts": [1000, 1000, 1000, 0], "rules": [1000], "rows": 0}
    assert found["no_rules"] == {**ALL, "counts": [1000, 0, 0, 1000], "rules": [], "rows": 1000}


@pytest.mark.parametrize("scenario", ["never_written", "only_looked_at", "failed_write"])
def test_what_was_never_written_is_unknown(found, scenario):
    assert found[scenario] == UNKNOWN


def test_another_frame_that_was_written_says_nothing_of_the_check(found):
    assert found["other_written"] == {**UNKNOWN, "rows": 1000}


def test_a_write_that_the_client_cannot_see_is_unknown_or_right(found):
    assert found["by_sql"] in (ALL, {**UNKNOWN, "rows": 900})


@pytest.mark.parametrize("scenario", ["random_input", "random_rule"])
def test_what_is_random_is_unknown(found, scenario):
    assert not found[scenario]["exact"], f"{found[scenario]} was WRONG"
    assert found[scenario]["counts"] == [None] * 4


def test_rules_over_the_whole_data_are_judged(found):
    assert found["whole_rules"] == {
        "tenth": ["failed", None, None],
        "third": ["failed", None, None],
        "rows": ["failed", 900, "target"],
        "lost": ["failed", 100, None],
    }


def test_a_source_that_grows_before_the_write_is_unknown_or_right(found):
    """Spark's server may keep the listing of a folder's files for all of the frame's queries, or list it anew for each."""
    rows = found["source_grows"]["rows"]
    assert found["source_grows"] == {900: ALL, 990: {**UNKNOWN, "rows": 990}}[rows]


def test_the_session_is_counted_in_two_passes(found):
    assert found["install"] == {"counting": "two_pass"}


def test_a_client_has_no_listener_and_is_told_so_once(found):
    assert found["listener"] == {"said": ["INFO"], "lifecycle": None, "error": True}


@pytest.mark.versions
def test_a_fail_rule_stops_the_run_before_the_write(found):
    assert found["fail_rule"] == {
        **ALL,
        "status": "failed",
        "exact": True,
        "counts": [1000, 406, None, None],
        "rules": [100, 334, 10],
        "rows": None,
        "failed": [["below", 10]],
        "target": False,
    }


def test_failing_rows_are_kept_and_shown(found):
    told = found["error_table"]
    assert isinstance(told, dict), told
    assert told["found"] == [[True, 401, True, 401, 435], [True, 400, True, 400, 434]]
    assert told["lost"] == ["passed", False, False]
    for rule, divisor in (("tenth", 10), ("third", 3)):
        assert [(n % divisor, other) for n, other in told["samples"][rule]] == [(0, "***")] * 2


def test_bad_rules_are_named_together(found):
    assert found["bad_rules"] == {"mistakes": 3, "named": [True, True, True]}


def test_threads_never_mix(found):
    expected = {d: {**ALL, "counts": [1000, n, n, 1000 - n], "rules": [n], "rows": 1000 - n} for d, n in (("2", 500), ("5", 200))}
    assert found["two_threads"] == expected


def test_the_client_is_as_it_was_afterwards(found):
    assert found["left_as_it_was"] is True


@pytest.mark.versions
def test_an_incident_opens_and_closes(found):
    incident = found["incident"]
    assert isinstance(incident, dict), incident
    assert [severity for severity, _ in incident["opened"]] == ["error"]
    assert incident["opened"][0][1].endswith("numbers/error_drop_threshold")
    assert (incident["open"], incident["statuses"]) == (0, ["resolved"])
    assert set(incident["deliveries"]) == {"sent"}


@pytest.mark.versions
def test_a_stream_is_judged_by_its_batches_and_told_of_when_it_fails(found):
    subject = "spark_pd/-/-/numbers/job=stream"
    assert found["stream"] == {
        "found": [
            [True, [100], [10], [f"{subject}/error_drop_threshold"]],
            [True, [100, 9], [10, 0], [f"{subject}/error_drop_threshold"]],
            [True, [100, 9], [10, 0], [f"{subject}/error_drop_threshold", f"{subject}/query_failure"]],
        ],
        "written": 99,
        # Before, it cannot be told over Connect whether a batch's rows were computed once.
        "exact": [COUNTS_ONCE] * 3,
    }


def test_each_run_has_its_row_in_the_stats_table_and_a_second_good_run_sends_nothing(found):
    assert found["stats_table"] == {
        "told": [
            [["error_drop_threshold", "firing", "sent"], ["failure", "resolved", "sent"]],
            [["failure", "resolved", "suppressed"], ["error_drop_threshold", "resolved", "sent"]],
            [["failure", "resolved", "suppressed"], ["error_drop_threshold", "resolved", "suppressed"]],
        ],
        "rows": [[1000, 100, True, 100], [900, 0, True, 0], [900, 0, True, 0]],
    }


def test_an_expectation_that_raises_an_error_is_a_failed_row(found):
    exact, rows, results = found["not_evaluable"]
    assert (exact, rows) == (True, 9)
    assert [result[:3] for result in results] == [["failed", 1, None], ["failed", 1, None], ["failed", 10, None], ["unknown", None, None]]
    assert results[3][3].startswith("it could not be evaluated: ")
