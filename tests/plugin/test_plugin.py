"""The pytest plugin as a user's project meets it: pytest in a process of its own, with the plugin and nothing else of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import spark_pd.testing

pytest_plugins = ["pytester"]

ROOT = Path(spark_pd.testing.__file__).parents[1]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Runs a test file with the plugin."""
    # Plugins by hand only: an installed spark_pd would load the plugin a second time, under its entry point's name.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv(spark_pd.testing.LOOPBACK_ONLY, raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def start(source: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(source)
        return pytester.runpytest_subprocess("-p", "spark_pd.testing", "-p", "no:cacheprovider", "--strict-markers", *arguments)

    return start


def test_the_fixture_is_a_sandbox_fresh_for_each_test(run):
    run("""
        import pytest, requests

        @pytest.mark.parametrize("n", [1, 2])
        def test_it(pagerduty, n):
            assert pagerduty.incidents() == []
            payload = {"summary": "s", "source": "s", "severity": "error"}
            event = {"routing_key": pagerduty.key, "event_action": "trigger", "payload": payload}
            assert requests.post(pagerduty.url + "/v2/enqueue", json=event, timeout=60).status_code == 202
            assert pagerduty.open_incidents()[0].severity == "error"
            assert len(pagerduty.config) == 3
    """).assert_outcomes(passed=2)


def test_tests_are_kept_to_loopback_unless_marked(run):
    run("""
        import os, subprocess, sys, unittest
        import pytest

        AT_COLLECTION = os.environ["SPARK_PD_LOOPBACK_ONLY"]

        @pytest.fixture(scope="session", autouse=True)
        def wide():
            assert os.environ["SPARK_PD_LOOPBACK_ONLY"] == "1"

        def test_guarded():
            assert AT_COLLECTION == os.environ["SPARK_PD_LOOPBACK_ONLY"] == "1"
            code = "import os; print(os.environ['SPARK_PD_LOOPBACK_ONLY'])"
            assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "1"

        @pytest.mark.spark_pd_network
        def test_free():
            assert "SPARK_PD_LOOPBACK_ONLY" not in os.environ

        def test_guarded_again():
            assert os.environ["SPARK_PD_LOOPBACK_ONLY"] == "1"

        @pytest.mark.spark_pd_network
        class TestFree:
            def test_free(self):
                assert "SPARK_PD_LOOPBACK_ONLY" not in os.environ

        class TestOld(unittest.TestCase):
            def test_guarded(self):
                assert os.environ["SPARK_PD_LOOPBACK_ONLY"] == "1"
    """).assert_outcomes(passed=5)


def test_an_alert_reaches_the_sandbox_and_nothing_beyond_loopback(run):
    run("""
        import time
        from datetime import datetime, timezone
        from spark_pd.model import Alert, Secret
        from spark_pd.pagerduty import PagerDutyChannel

        ALERT = Alert(
            trigger="failure", state="firing", severity="critical", summary="s", dedup_key="k", source="nightly", component="orders",
            at=datetime.now(timezone.utc),
        )

        def deliver(endpoint, key):
            return PagerDutyChannel("c", endpoint=endpoint, key=lambda: Secret(key)).deliver(ALERT, deadline=time.monotonic() + 60)

        def test_loopback(pagerduty):
            assert deliver(pagerduty.url + "/v2/enqueue", pagerduty.key).status == "sent"
            assert [incident.dedup_key for incident in pagerduty.open_incidents()] == ["k"]

        def test_beyond(pagerduty):
            delivery = deliver("https://events.pagerduty.invalid/v2/enqueue", pagerduty.key)
            assert (delivery.status, delivery.attempts) == ("failed", 0)
            assert "spark_pd_network" in delivery.reason
    """).assert_outcomes(passed=2)


def test_the_environment_is_as_it_was_after_the_session(pytester, run, monkeypatch):
    source = pytester.makepyfile(
        inside="""
        import os, sys
        import pytest

        for before in (None, "0"):
            os.environ.pop("SPARK_PD_LOOPBACK_ONLY", None)
            if before:
                os.environ["SPARK_PD_LOOPBACK_ONLY"] = before
            assert pytest.main(["-q", "-p", "spark_pd.testing", "-p", "no:cacheprovider", "empty.py"]) == 0
            assert os.environ.get("SPARK_PD_LOOPBACK_ONLY") == before
        """,
        empty="import os\ndef test_it(): assert os.environ['SPARK_PD_LOOPBACK_ONLY'] == '1'",
    ).with_name("inside.py")
    result = subprocess.run(
        [sys.executable, str(source)], cwd=pytester.path, capture_output=True, text=True, timeout=60, env={**os.environ}
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_it_brings_no_spark_fixture_and_loads_nothing_heavy(run):
    result = run("""
        import sys

        def test_light():
            heavy = {"flask", "werkzeug", "requests", "pyspark", "py4j", "spark_pd.sandbox"}
            assert not heavy & set(sys.modules)

        def test_spark(spark):
            pass
    """)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*fixture 'spark' not found*"])


def test_the_marker_and_the_fixture_are_documented(run):
    run("", "--markers").stdout.fnmatch_lines(["@pytest.mark.spark_pd_network: the test may send alerts anywhere*"])
    run("", "--fixtures").stdout.fnmatch_lines(["pagerduty -- *", "*strict PagerDuty on loopback*"])


def test_tests_leave_nothing_in_the_users_own_outbox_and_each_has_an_empty_one(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    run("""
        import os
        import pytest
        from datetime import datetime, timezone
        from spark_pd.delivery.dispatch import Dispatcher
        from spark_pd.model import Alert, Secret
        from spark_pd.delivery.outbox import open_outbox
        from spark_pd.pagerduty import PagerDutyChannel

        def test_nothing_is_made():
            assert os.listdir(os.environ["TMPDIR"]) == []

        @pytest.mark.parametrize("n", [1, 2])
        def test_it(pagerduty, n):
            pagerduty.fault("403")
            alert = Alert(
                trigger="failure", state="firing", severity="critical", summary="s", dedup_key="k", source="nightly", component="orders",
                at=datetime.now(timezone.utc),
            )
            channel = PagerDutyChannel("c", endpoint=pagerduty.url + "/v2/enqueue", key=lambda: Secret(pagerduty.key))
            outbox = open_outbox(None)
            assert outbox.dead() == []
            assert Dispatcher([channel], outbox=outbox).submit([alert], seconds=60).wait()[0].status == "dead"
            assert len(outbox.dead()) == 1
    """).assert_outcomes(passed=3)
    assert [path.name for path in tmp_path.iterdir() if path.name in ("home", "state")] == []
    assert list((tmp_path / "tmp").iterdir()) == []
