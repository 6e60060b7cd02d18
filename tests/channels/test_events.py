"""Every step as a CloudEvent: to a file, a URL and a function; and CloudEvents from elsewhere as alerts."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml
from click.testing import CliRunner
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

import spark_pd
from spark_pd import SettingsError
from spark_pd.cli import main
from spark_pd.runs.events import Events, Poster
from spark_pd.settings import load_settings

RULES = [{"rule": "small", "expectation": "id < 5"}]


def lines(file: Path) -> list[CloudEvent]:
    return [JSONFormat().read(CloudEvent, line) for line in file.read_bytes().splitlines()]


@pytest.fixture
def ran(spark, pagerduty, tmp_path):
    """Runs `sales.orders` with these settings; gives what the function was called with."""
    seen: list[CloudEvent] = []

    def run(config=None, fails: bool = False) -> list[CloudEvent]:
        seen.clear()
        settings = {**pagerduty.config, "spark.pd.on.ignored_rules": True, **(config or {})}
        monitor = spark_pd.install(spark, settings, on_event=seen.append)
        try:
            with monitor.run("sales.orders", rules=RULES, product_id="sales") as one:
                if fails:
                    raise ZeroDivisionError("x")
                one.check(spark.range(10)).write.format("noop").mode("overwrite").save()
        except ZeroDivisionError:
            assert fails
        finally:
            monitor.uninstall()
        return seen

    return run


def test_every_step_of_a_run_is_an_event(ran, tmp_path):
    file = tmp_path / "events" / "all.jsonl"
    seen = ran({"spark.pd.events": str(file)})
    kinds = [event.get_type().removeprefix("spark_pd.") for event in seen]
    assert kinds[0] == "run.started"
    assert kinds[-1] == "run.finished"
    assert {"decision", "alert.firing", "alert.resolved", "delivery"} < set(kinds)
    assert {event.get_subject() for event in seen} == {"sales.orders"}
    assert {event.get_source() for event in seen} == {"spark_pd tests"}
    assert len({event.get_id() for event in seen}) == len(seen)
    finished = seen[-1].get_data()
    assert (finished["status"], finished["input_count"], finished["rules"][0]["failed_count"]) == ("passed", 10, 5)
    firing = next(event.get_data() for event in seen if event.get_type() == "spark_pd.alert.firing")
    assert (firing["trigger"], firing["severity"]) == ("ignored_rules", "warning")
    assert [event.get_id() for event in lines(file)] == [event.get_id() for event in seen]
    for line in file.read_text().splitlines():
        assert json.loads(line)["specversion"] == "1.0"


def test_types_and_tables_subscribe(ran, tmp_path):
    assert {e.get_type() for e in ran({"spark.pd.events.types": "alert.*, spark_pd.run.finished"})} == {
        "spark_pd.alert.firing",
        "spark_pd.alert.resolved",
        "spark_pd.run.finished",
    }
    assert ran({"spark.pd.events.tables": "other.*"}) == []
    assert ran({"spark.pd.events.tables": "sales.*"})


def test_a_run_that_fails_has_its_events_too(ran):
    seen = ran(fails=True)
    assert seen[-1].get_data()["status"] == "errored"
    assert "ZeroDivisionError" in str([e.get_data() for e in seen if e.get_type() == "spark_pd.alert.firing"])


def test_a_target_that_fails_changes_nothing_and_is_one_warning(spark, pagerduty, caplog):
    monitor = spark_pd.install(spark, {**pagerduty.config, "spark.pd.events": "/proc/no/such/file"}, on_event=lambda event: 1 / 0)
    with monitor.run("t", rules=RULES) as run:
        run.check(spark.range(3)).write.format("noop").mode("overwrite").save()
    monitor.uninstall()
    assert run.stats.exact
    assert sum("an event could not be handed over" in record.getMessage() for record in caplog.records) == 1


def test_events_are_posted_in_the_background():
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        poster = Poster(f"http://127.0.0.1:{server.server_port}/in")
        events = Events([poster], source="nightly")
        for n in range(3):
            events.emit("decision", "t", {"n": n})
        poster.flush(60)
        assert [json.loads(body)["data"]["n"] for _, body in got] == [0, 1, 2]
        assert {kind for kind, _ in got} == {"application/cloudevents+json"}
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("url", ["http://events.example/in", "https://user:pw@events.example/in", "ftp://x/y"])
def test_a_url_that_is_not_safe_is_a_mistake(url):
    with pytest.raises(SettingsError, match=r"spark\.pd\.events"):
        load_settings({"spark.pd.events": url}, environ={})


# ---- from elsewhere ----------------------------------------------------------------------------------------------------------------

EVALUATION = {
    "specversion": "1.0",
    "id": "c4d3a334-6cb9-4e8c-a372-7e0b45942f53",
    "type": "sh.keptn.event.evaluation.finished",
    "source": "keptn",
    "subject": "myapp",
    "time": "2026-11-20T12:00:00Z",
    "datacontenttype": "application/json",
    "data": {"result": "fail", "project": "myapp"},
}
KEPTN = {
    "channels": {
        "oncall": {
            "integration_key": "env:PD_ONCALL",
            "template": {
                "summary": "Keptn Evaluation: {{ event.data.result }}",
                "severity": "warning",
                "source": "http://X.Y.Z.X/bridge/project/myapp/",
                "component": "qa",
                "group": "prod-datapipe",
                "dedup_key": "srv01/qa",
                "client": "Keptn monitoring tool",
                "client_url": "http://X.Y.Z.X/bridge/project/myapp/",
            },
        }
    }
}


def test_the_seed_s_payload_lands_field_by_field(keys, tmp_path):
    file = tmp_path / "pd.yaml"
    send = {"spark.expectations.notifications.pagerduty.enabled": True, "spark.pd.outbox.path": str(tmp_path / "outbox")}
    send["spark.expectations.notifications.pagerduty.webhook.url"] = f"{keys.url}/v2/enqueue"
    file.write_text(yaml.safe_dump({**send, **KEPTN}))
    event = tmp_path / "event.json"
    event.write_text(json.dumps(EVALUATION))
    result = CliRunner().invoke(main, ["event", str(event), "--config-file", str(file)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (sent,) = keys.events
    assert sent["payload"]["summary"] == "Keptn Evaluation: fail"
    assert sent["payload"]["timestamp"].startswith("2026-11-20T12:00:00")
    wanted = KEPTN["channels"]["oncall"]["template"]
    assert {name: sent["payload"][name] for name in ("severity", "source", "component", "group")} == {
        name: wanted[name] for name in ("severity", "source", "component", "group")
    }
    assert {name: sent[name] for name in ("dedup_key", "client", "client_url")} == {
        name: wanted[name] for name in ("dedup_key", "client", "client_url")
    }
    good = json.dumps({**EVALUATION, "data": {"result": "pass"}})
    result = CliRunner().invoke(main, ["event", "-", "--config-file", str(file)], input=good, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert keys.open_incidents() == []


@pytest.mark.parametrize("content", ["", "no json", "{}", '{"specversion": "1.0"}', "[1]"])
def test_what_is_no_event_says_so(keys, tmp_path, content):
    file = tmp_path / "pd.yaml"
    file.write_text(yaml.safe_dump(KEPTN))
    result = CliRunner().invoke(main, ["event", "-", "--config-file", str(file)], input=content)
    assert result.exit_code == 2
    assert "no CloudEvent" in result.output
