"""Templates of event fields: what they give, what they cannot do, and that none of them loses a page or shows a secret."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_pd import SettingsError
from spark_pd.delivery.event_templates import EventTemplates
from spark_pd.model.event_template import TemplateError, check_template, render
from spark_pd.settings import load_settings
from tests.policy.shared import verdict

BAD = [
    ("{{ alert.summary", "line 1"),
    ("{{ nobody.x }}", "there is no 'nobody'"),
    ("{% set x = 1 %}", "Assign is not allowed"),
    ("{% macro m() %}{% endmacro %}", "Macro is not allowed"),
    ("{% include 'x' %}", "Include is not allowed"),
    ("{{ alert.summary.upper() }}", "only secret"),
    ("{{ secret(alert.summary) }}", "only secret"),
    ("{{ alert.summary | pprint }}", "no filter 'pprint'"),
    ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "only secret"),
    ("{{ 'x' % 1 }}", "Mod is not allowed"),
    ("{% for a in rules %}{% for b in rules %}{% for c in rules %}{% endfor %}{% endfor %}{% endfor %}", "2 deep"),
    ("x" * 20_001, "characters"),
]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_a_template_that_cannot_be_used_says_why(text, said):
    with pytest.raises(TemplateError, match=said):
        check_template(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ alert.__class__ }}",
        "{{ alert['__class__'] }}",
        "{{ alert.keys }}",
        "{{ rules[999] }}",
        "{{ alert.nothing }}",
        "{{ 'a' * 1000000000 }}",
        "{{ alert + 1 }}",
        "{{ 1 / 0 }}",
        "{% for a in rules %}{% for b in rules %}" + "{{ alert.summary }}" * 40 + "{% endfor %}{% endfor %}",
    ],
)
def test_what_fails_while_it_is_rendered_is_an_error_and_takes_no_time(text):
    check_template(text)
    began = time.process_time()
    with pytest.raises(TemplateError):
        render(text, {"alert": {"summary": "s" * 100}, "rules": [{"n": n} for n in range(200)]})
    assert time.process_time() - began < 5  # 0.1 s at most, and a margin


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text("{}%| ._'\"()[]alertsumyifornd0123456789+-*/~", max_size=60))
def test_no_template_does_anything_but_give_a_text_or_an_error(text):
    try:
        check_template(text)
        assert isinstance(render(text, {"alert": {"summary": "s"}, "rules": []}), str)
    except TemplateError:
        pass


KEPTN = {
    "summary": "Keptn Evaluation: {{ alert.trigger }}",
    "severity": "warning",
    "source": "http://X.Y.Z.X/bridge/project/myapp/",
    "component": "qa",
    "group": "prod-datapipe",
    "class": "evaluation",
    "dedup_key": "srv01/qa/{{ alert.trigger }}",
    "client": "Keptn monitoring tool",
    "client_url": "http://X.Y.Z.X/bridge/project/myapp/",
    "links": [{"href": "https://x.example/{{ table.name }}", "text": "{{ table.name }}"}],
    "custom_details": {"time": "{{ event.time }}", "token": "{{ secret('env:LINK_TOKEN') }}", "owner": "{{ owner.name }}"},
}


def sections(template):
    return {
        "channels": {"oncall": {"integration_key": "env:PD_ONCALL", "template": template}, "low": {"integration_key": "env:PD_LOW"}},
        "owners": {"orders": {"channels": ["oncall"]}},
        "tables": {"sales.*": {"owner": "orders"}},
    }


def test_every_field_is_the_template_s_and_only_on_its_channel(delivering, keys, monkeypatch):
    monkeypatch.setenv("LINK_TOKEN", "t0psecret-t0ken")
    parts = delivering(sections(KEPTN))
    notification = parts.notifier.submit([verdict("firing", severity="critical")], seconds=30)
    deliveries = notification.wait()
    assert sorted((d.channel, d.status) for d in deliveries) == [("low", "sent"), ("oncall", "sent")]
    event = next(e for e in keys.events if e["routing_key"] == keys.keys["oncall"])
    payload = event["payload"]
    assert payload["summary"] == "Keptn Evaluation: failure"
    assert (payload["severity"], payload["component"], payload["group"], payload["class"]) == (
        "warning",
        "qa",
        "prod-datapipe",
        "evaluation",
    )
    assert (event["dedup_key"], event["client"], event["client_url"]) == ("srv01/qa/failure", KEPTN["client"], KEPTN["client_url"])
    assert event["links"] == [{"href": "https://x.example/sales.orders", "text": "sales.orders"}]
    assert payload["custom_details"]["token"] == "t0psecret-t0ken"
    assert payload["custom_details"]["owner"] == "orders"
    assert "t0psecret" not in repr(deliveries) + repr(parts)
    parts.notifier.submit([verdict("good", 5)], seconds=30).wait()
    assert keys.open_incidents() == []


def test_a_secret_waits_in_no_outbox(delivering, keys, monkeypatch, tmp_path):
    monkeypatch.setenv("LINK_TOKEN", "t0psecret-t0ken")
    keys.fault(503)
    parts = delivering(sections(KEPTN))
    assert "queued" in {d.status for d in parts.notifier.submit([verdict("firing")], seconds=1).wait()}
    files = list((tmp_path / "outbox").rglob("*.json"))
    assert any(b"srv01/qa" in path.read_bytes() for path in files)
    assert not any(b"t0psecret" in path.read_bytes() for path in files)
    keys.clear_faults()
    again = delivering(sections(KEPTN))
    again.notifier.submit([verdict("firing", 5)], seconds=30).wait()
    assert any(e["payload"]["custom_details"].get("token") == "t0psecret-t0ken" for e in keys.events)


@pytest.mark.parametrize(
    ("field", "template"),
    [("summary", "{{ alert.nothing }}"), ("severity", "loud"), ("links", "no json"), ("custom_details", "[1]"), ("source", "{{ '' }}")],
)
def test_a_template_that_fails_gives_the_default_and_one_warning(delivering, keys, caplog, field, template):
    parts = delivering(sections({field: template}))
    for minutes in (0, 5):
        assert [d.status for d in parts.notifier.submit([verdict("firing", minutes)], seconds=30).wait()] == ["sent", "sent"]
    assert sum(f"the template {field} of the channel oncall gives the default" in record.getMessage() for record in caplog.records) == 1
    events = [e for e in keys.events if e["routing_key"] == keys.keys["oncall"]]
    assert events[0]["payload"]["summary"] == "sales.orders firing"


def test_one_template_for_all_also_without_channels(keys, tmp_path):
    from spark_pd.runs.wiring import delivering_of

    config = {**keys.config, "spark.pd.template.summary": "[{{ alert.severity }}] {{ table.name }}", "spark.pd.outbox.path": str(tmp_path)}
    parts = delivering_of(load_settings(config, environ={}))
    parts.notifier.submit([verdict("firing")], seconds=30).wait()
    assert [i.summary for i in keys.open_incidents()] == ["[error] sales.orders"]


def test_mistakes_are_settings_errors_at_install(tmp_path: Path):
    file = tmp_path / "s.yaml"
    file.write_text("channels: {a: {integration_key: env:A, template: {sumary: x, severity: [1], summary: '{{ nobody }}'}}}")
    with pytest.raises(SettingsError) as refused:
        load_settings({"spark.pd.template.clas": "x"}, environ={}, config_file=file)
    for part in ("did you mean summary?", "severity", "there is no 'nobody'", "did you mean class?"):
        assert part in str(refused.value)


def test_without_templates_an_alert_is_as_it_was():
    alert = verdict("firing").alert
    assert EventTemplates({}, {}, lambda table: {}).applied(alert, "x") is alert
