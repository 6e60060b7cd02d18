"""What is done by hand is told to the state: else the next bad run would take the incident for open."""

from __future__ import annotations

import pytest

from spark_pd.delivery.outbox import open_outbox
from spark_pd.delivery.state import state_of
from tests.cli.test_cli_outbox import queue
from tests.outbox.conftest import channel_to, make_alert
from tests.state.shared import found, memory, saved


@pytest.fixture
def store(pagerduty):
    """The state that a run with the sandbox's key would have."""
    return state_of(open_outbox(None), channel_to(pagerduty.url, pagerduty.key).address)


def is_open(store, key):
    return found(store, key)[key].open_since is not None


def test_an_incident_that_was_resolved_by_hand_is_open_no_more(cli, conf, pagerduty, store):
    saved(store, memory("a/b"))
    pagerduty.fault("403", times=1)
    assert cli("resolve", "a/b", *conf(pagerduty.config)).exit_code == 1
    assert is_open(store, "a/b")
    assert cli("resolve", "a/b", *conf(pagerduty.config)).exit_code == 0
    assert not is_open(store, "a/b")


def test_an_alert_that_was_dropped_by_hand_told_nobody(cli, pagerduty, store):
    box = open_outbox(None)
    queue(box, pagerduty, make_alert("a/b"), make_alert("c/d", "resolved"))
    saved(store, memory("a/b"), memory("c/d"))
    assert cli("outbox", "drop", *(entry.id for entry in box.waiting())).exit_code == 0
    assert not is_open(store, "a/b")
    assert is_open(store, "c/d")


def test_the_mutes_file_is_checked_with_the_settings(cli, conf, tmp_path):
    mutes = tmp_path / "mutes.yaml"
    settings = conf({"spark.pd.mutes.file": mutes})
    assert "it cannot be read (No such file or directory)" in cli("validate", *settings).output
    mutes.write_text("- {reason: upgrade, until: 2027-01-01T00:00:00Z}\n- {reason: for ever}")
    result = cli("validate", *settings)
    assert result.exit_code == 2
    assert "mute 2: until has neither until nor window" in result.output
    assert f"{mutes}: 1 mutes" in result.output
    mutes.write_text("- {reason: upgrade, until: 2027-01-01T00:00:00Z}")
    assert cli("validate", *settings).exit_code == 0
