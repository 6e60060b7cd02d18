"""Which good run closes an incident: the one that found good what had failed."""

from __future__ import annotations

from typing import Any

import pytest

from spark_pd.alerting.policy import PagingPolicy, Ruling, judge
from spark_pd.model.incident_state import IncidentState
from tests.policy.shared import at, verdict

POLICY = PagingPolicy()


def after_bad(source: str, *failing: str, rules: tuple[str, ...] = ("a", "b")) -> IncidentState:
    """What is remembered of a run in which these failed."""
    memory = judge(verdict("firing", 0, failing=failing, rules=rules, rules_source=source), None, POLICY, now=at(1)).sent
    assert memory is not None
    return memory


def good(memory: IncidentState, minutes: float, source: str, evaluated: tuple[str, ...], given: tuple[str, ...] | None = None) -> Ruling:
    names: dict[str, Any] = {"evaluated": frozenset(evaluated), "rules": evaluated if given is None else given}
    return judge(verdict("good", minutes, rules_source=source, **names), memory, POLICY, now=at(minutes + 1))


@pytest.mark.parametrize(
    ("was", "now", "evaluated", "given", "closes", "said"),
    [
        ("code", "code", ("a", "b"), None, True, None),
        ("code", "code", ("a",), None, True, None),
        ("code", "file x.yaml", ("a", "z"), None, True, None),
        ("code", "code", ("b",), None, False, "it did not evaluate rule a, which had failed; a second run without it closes it"),
        ("code", "code", (), ("a", "b"), False, "it did not evaluate rule a, which had failed"),
        ("file x.yaml", "file x.yaml", ("b",), None, True, "rule a, which had failed, is in file x.yaml no more"),
        ("table r", "table r", (), (), True, "rule a, which had failed, is in table r no more"),
        ("table r", "table r", ("b",), ("a", "b"), False, "it did not evaluate rule a, which had failed"),
        (
            "table r",
            "table other",
            ("b",),
            None,
            False,
            "it did not evaluate rule a, which had failed: its rules are from table other, those were from table r",
        ),
        (
            "table r",
            "code",
            ("b",),
            None,
            False,
            "it did not evaluate rule a, which had failed: its rules are from code, those were from table r",
        ),
        (
            "code",
            "nowhere",
            (),
            (),
            False,
            "it did not evaluate rule a, which had failed: its rules are from nowhere, those were from code",
        ),
    ],
)
def test_what_a_good_run_closes(was, now, evaluated, given, closes, said):
    ruling = good(after_bad(was, "a"), 10, now, evaluated, given)
    assert ruling.send is closes
    assert (ruling.note if closes else ruling.withheld) == said
    assert ruling.kept is not None
    after = ruling.sent if closes else ruling.kept
    assert after is not None
    assert (after.open_since is None) is closes
    assert (after.failing == ()) is closes


def test_a_rule_that_is_gone_from_code_closes_with_the_second_run_in_a_row() -> None:
    memory = after_bad("code", "a")
    first = good(memory, 10, "code", ("b",)).kept
    assert first is not None
    second = good(first, 20, "code", ("b",))
    assert second.send
    assert second.note == "rule a, which had failed, is not among the rules for the second time"
    # a bad run in between begins anew
    bad = judge(verdict("firing", 15, failing=("b",), rules=("b",)), first, POLICY, now=at(16)).sent
    assert bad is not None
    assert bad.failing == ("a", "b")
    assert not good(bad, 20, "code", ("b",)).send


def test_a_run_that_closes_nothing_gives_no_verdict_either() -> None:
    memory = after_bad("table r", "a")
    kept = good(memory, 10, "table other", ("b",)).kept
    assert kept == memory


def test_what_failed_stays_remembered_through_bad_runs_that_do_not_evaluate_it_until_it_is_removed() -> None:
    memory = after_bad("table r", "a", "b")
    errored = judge(verdict("firing", 10, evaluated=frozenset(), rules=("a", "b"), rules_source="table r"), memory, POLICY, now=at(11)).sent
    assert errored is not None
    assert errored.failing == ("a", "b")
    assert not good(errored, 20, "table r", ("a",), ("a", "b")).send
    gone = judge(verdict("firing", 20, failing=("b",), rules=("b",), rules_source="table r"), errored, POLICY, now=at(21)).sent
    assert gone is not None
    assert gone.failing == ("b",)


def test_many_rules_are_not_all_named() -> None:
    rules = tuple(f"r{n}" for n in range(9))
    ruling = good(after_bad("table r", *rules, rules=rules), 10, "table r", ("x",))
    assert ruling.note == "rules r0, r1, r2 and 6 more, which had failed, are in table r no more"
