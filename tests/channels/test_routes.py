"""Which channels an alert goes to, and why."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.alerting.policy.routes import Routed, Router
from spark_pd.model import SEVERITIES, Subject
from spark_pd.model.routing import ChannelSettings, Directions, Owner, Route, TableNotes

CHANNELS = {name: ChannelSettings(name=name, environment="prod" if name == "prod_only" else None) for name in ("a", "b", "c", "prod_only")}
ROUTES = (
    Route(match={"table": ("sales.*",), "trigger": ("failure", "error_*")}, channels=("a", "b")),
    Route(match={"owner": ("orders",)}, channels=("c",), goes_on=True),
    Route(match={"tag": ("pii",)}, channels=("b",)),
    Route(match={"severity": ("warning", "info")}, channels=("prod_only",)),
)
DIRECTIONS = Directions(
    channels=CHANNELS,
    routes=ROUTES,
    owners={"orders": Owner(name="orders", channels=("c",), runbook="https://r/o")},
    tables=(TableNotes(pattern="stage.orders*", owner="orders"), TableNotes(pattern="stage.orders_eu", runbook="https://r/eu")),
)


def routed(table: str, trigger: str = "ignored_rules", environment: str | None = None, **fields: object) -> Routed:
    return Routed(subject=Subject(environment=environment, product_id=None, table=table), trigger=trigger, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "channels"),
    [
        (routed("sales.orders", "failure"), ("a", "b")),
        (routed("SALES.Orders", "failure"), ("a", "b")),
        (routed("sales.orders", "error_drop_threshold"), ("a", "b")),
        (routed("sales.orders"), ("a", "b", "c")),  # no route matches: every channel of this environment
        (routed("stage.orders_eu"), ("c",)),
        (routed("stage.orders", tags=frozenset({"pii"})), ("c", "b")),
        (routed("x", severity="warning"), ("a", "b", "c")),  # the one channel takes another environment only
        (routed("x", severity="warning", environment="prod"), ("prod_only",)),
    ],
)
def test_routes_are_looked_at_in_order_and_the_first_match_ends_it(what, channels):
    router = Router(DIRECTIONS, default=tuple(name for name in CHANNELS), environment=what.subject.environment)
    assert router.channels(what) == channels
    assert router.explain(what).channels == channels
    assert router.explain(what).reasons


def test_with_a_main_key_the_default_is_its_channel():
    assert Router(DIRECTIONS, default=("pagerduty",), environment=None).channels(routed("nobody.s")) == ("pagerduty",)


def test_owner_and_runbook_of_a_table():
    router = Router(DIRECTIONS, default=(), environment=None)
    assert router.runbook_of("stage.orders_eu") == "https://r/eu"
    assert router.runbook_of("stage.orders") == "https://r/o"
    assert router.owner_of("stage.orders_eu") == DIRECTIONS.owners["orders"]
    assert (router.owner_of("other"), router.runbook_of("other")) == (None, None)


@given(
    st.sampled_from(["sales.x", "stage.orders", "other"]),
    st.sampled_from(["failure", "ignored_rules"]),
    st.sampled_from(SEVERITIES),
    st.sets(st.sampled_from(["pii", "x"])),
    st.sampled_from([None, "prod"]),
)
def test_a_resolve_reaches_every_channel_that_a_firing_may_have_reached(table, trigger, severity, tags, environment):
    router = Router(DIRECTIONS, default=("a", "b", "c", "prod_only"), environment=environment)
    fired = routed(table, trigger, environment, severity=severity, tags=frozenset(tags))
    resolve = routed(table, trigger, environment, severity="info")
    assert set(router.channels(fired)) <= set(router.possible(resolve))


def test_a_table_for_200_teams_and_2000_tables_is_decided_in_less_than_a_millisecond():
    """A bound with a wide margin: some 0.1 ms here. The figures are in benchmarks/README.md."""
    teams = [f"team{n}" for n in range(200)]
    directions = Directions(
        channels={team: ChannelSettings(name=team) for team in teams},
        owners={team: Owner(name=team, channels=(team,)) for team in teams},
        tables=tuple(TableNotes(pattern=f"lake.table{n}", owner=teams[n % 200]) for n in range(2000)),
        routes=tuple(Route(match={"owner": (team,)}, channels=(team,)) for team in teams),
    )
    router = Router(directions, default=("team0",), environment=None)
    assert router.channels(routed("lake.table1999")) == ("team199",)
    began = time.process_time()
    for n in range(100):
        router.channels(routed(f"lake.table{n}"))
    assert (time.process_time() - began) / 100 < 0.01
