"""The policy is pure: a verdict and what is remembered in, what goes out and what is remembered then out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.alerting.policy import PagingPolicy, Ruling, Verdict, judge
from spark_pd.model.incident_state import IncidentState
from tests.policy.shared import T0, at, verdict

ALWAYS = PagingPolicy()
CHANGE = PagingPolicy(notify={"failure": "change"})
NEVER = PagingPolicy(notify={"failure": "never"})


def play(
    policy: PagingPolicy, verdicts: Sequence[Verdict | tuple[Verdict, str]], **flags: Any
) -> tuple[list[Ruling], IncidentState | None]:
    """Rule on verdicts one after the other, a minute or more after their start; with a text, it is muted for that reason."""
    memory: IncidentState | None = None
    rulings = []
    now = at(-1e6)
    for each in verdicts:
        one, muted = each if isinstance(each, tuple) else (each, None)
        now = max(now, one.started_at + timedelta(minutes=1))
        ruling = judge(one, memory, policy, now=now, muted=muted, **flags)
        memory = (ruling.sent if ruling.send else ruling.kept) or memory
        rulings.append(ruling)
    return rulings, memory


def told(rulings: Sequence[Ruling]) -> str:
    """What went out: F and R for firing and resolved, f and r where it was withheld, - where there was nothing to tell."""
    letters = {"firing": "F", "resolved": "R"}
    return "".join("-" if r.alert is None else letters[r.alert.state] if r.send else letters[r.alert.state].lower() for r in rulings)


def runs(letters: str, every: float = 60, **fields: Any) -> list[Verdict]:
    """One verdict for each letter: b(ad), g(ood), u(nknown), U(nknown and pages), n(one)."""
    outcomes = {"b": "firing", "g": "good", "u": "unknown", "U": "unknown", "n": "none"}
    return [verdict(outcomes[letter], n * every, **{"pages": letter in "bgU", **fields}) for n, letter in enumerate(letters)]


@pytest.mark.parametrize(
    ("policy", "seen", "expected"),
    [
        (ALWAYS, "bbgbg", "FFRFR"),
        (ALWAYS, "gg", "RR"),
        (ALWAYS, "bubnb", "F-F-F"),
        (CHANGE, "bbbgbbg", "FffRFfR"),
        (CHANGE, "gb", "RF"),
        (CHANGE, "bub", "F-f"),
        (NEVER, "bbg", "ffR"),
        (PagingPolicy(after={"failure": 3}), "bbbbg", "ffFFR"),
        (PagingPolicy(after={"failure": 3}), "bbgbbb", "ffRffF"),
        # a run that could not tell neither counts nor begins anew
        (PagingPolicy(after={"failure": 3}), "bubunb", "f-f--F"),
        (PagingPolicy(after={"failure": 2}, notify={"failure": "change"}), "bbbgb", "fFfRf"),
        (PagingPolicy(after_unknown=2), "UUU", "fFF"),
        (PagingPolicy(after_unknown=2), "UgUU", "fRfF"),
        (PagingPolicy(after_unknown=2), "ubuU", "-F-F"),
        (PagingPolicy(after_unknown=2), "UbU", "fFF"),
        (PagingPolicy(after_unknown=2, after={"failure": 2}), "bUb", "ffF"),
        (ALWAYS, "UU", "FF"),
        (PagingPolicy(min_severity="critical"), "bbg", "ffR"),
        (PagingPolicy(min_severity="error"), "bbg", "FFR"),
        (PagingPolicy(cooldown=3601), "bgbgb", "FRfRF"),
        (PagingPolicy(cooldown=3600), "gb", "RF"),
        (PagingPolicy(cooldown=7100), "bgbbg", "FRfFR"),
        (PagingPolicy(cooldown=3600), "bgb", "FRF"),
    ],
)
def test_what_is_told_run_by_run(policy: PagingPolicy, seen: str, expected: str) -> None:
    rulings, _ = play(policy, runs(seen))
    assert told(rulings) == expected
    assert all((r.withheld is not None) == (r.alert is not None and not r.send) for r in rulings)


@pytest.mark.parametrize(
    ("policy", "seen", "reason"),
    [
        (CHANGE, "bb", "the incident is open since 2026-11-20T12:01:00+00:00, and it is no worse (spark.pd.notify.failure is change)"),
        (NEVER, "b", "spark.pd.notify.failure is never"),
        (PagingPolicy(after={"failure": 3}), "bb", "bad run 2 of the 3 in a row that it takes (spark.pd.after.failure)"),
        (PagingPolicy(after_unknown=3), "UU", "unknown run 2 of the 3 in a row that it takes (spark.pd.after.unknown)"),
        (PagingPolicy(min_severity="critical"), "b", "its severity is error, below spark.pd.min_severity=critical"),
        (
            PagingPolicy(cooldown=7200),
            "bgb",
            "its incident was resolved at 2026-11-20T13:01:00+00:00, less than 7200 s ago (spark.pd.cooldown)",
        ),
    ],
)
def test_a_withheld_alert_has_its_reason(policy: PagingPolicy, seen: str, reason: str) -> None:
    assert play(policy, runs(seen))[0][-1].withheld == reason


@pytest.mark.parametrize("policy", [CHANGE, PagingPolicy(cooldown=86_400)])
def test_what_got_worse_is_told(policy: PagingPolicy) -> None:
    def bad(minutes: float, *failing: str, severity: str = "warning") -> Verdict:
        return verdict("firing", minutes, "ignored_rules", severity, failing=failing, rules=("a", "b", "c"))

    policy = replace(policy, notify={"ignored_rules": policy.notify.get("failure", "always")})
    between = [verdict("good", 5, "ignored_rules", rules=("a", "b", "c"))] if policy.cooldown else []
    seen = [bad(0, "a"), *between, bad(10, "a"), bad(20, "a", "b"), bad(30, "a")]
    rulings, memory = play(policy, seen)
    # within the cool-down the incident is opened by what is worse, and is then told as ever
    assert told(rulings) == ("FRfFF" if policy.cooldown else "FfFf")
    assert memory is not None
    assert (memory.told, memory.failing) == (("a", "b"), ("a",))
    rulings, _ = play(policy, [*seen[:-1], bad(30, "b"), bad(40, "b", severity="error")])
    assert rulings[-1].send


def test_a_mute_withholds_the_page_and_not_the_memory_and_never_the_resolve() -> None:
    bad, good = [verdict("firing", n) for n in range(6)], verdict("good", 10)
    rulings, memory = play(CHANGE, [(bad[0], "muted: upgrade"), (bad[1], "muted: upgrade"), bad[2], bad[3], (good, "muted: upgrade")])
    assert told(rulings) == "ffFfR"
    assert rulings[0].withheld == "muted: upgrade"
    assert memory is not None
    assert memory.open_since is None
    # what got worse under the mute is told after it
    worse = verdict("firing", 4, failing=("a",))
    rulings, _ = play(CHANGE, [bad[0], (worse, "muted"), replace(worse, started_at=at(5))])
    assert told(rulings) == "FfF"


@pytest.mark.parametrize("outcome", ["firing", "good"])
def test_a_run_that_started_earlier_changes_nothing(outcome: str) -> None:
    _, memory = play(ALWAYS, [verdict("firing" if outcome == "good" else "good", 30)])
    earlier = judge(verdict(outcome, 0), memory, ALWAYS, now=at(60))
    assert not earlier.send
    assert earlier.withheld == "a run that started later, at 2026-11-20T12:30:00+00:00, has given its verdict already"
    assert earlier.kept is None
    assert judge(verdict("unknown", 0), memory, ALWAYS, now=at(60)) == Ruling(verdict=verdict("unknown", 0))
    assert judge(verdict(outcome, 30), memory, ALWAYS, now=at(60)).send


def test_a_later_run_that_could_not_tell_does_not_stand_in_an_earlier_one_s_way() -> None:
    _, memory = play(ALWAYS, [verdict("firing", 0), verdict("unknown", 30)])
    assert judge(verdict("good", 20), memory, ALWAYS, now=at(60)).send


def test_a_clock_that_was_ahead_silences_nobody() -> None:
    _, memory = play(PagingPolicy(cooldown=600), [verdict("firing", 24 * 60), verdict("good", 24 * 60)])
    assert judge(verdict("firing", 0), memory, PagingPolicy(cooldown=600), now=at(1)).send


def test_a_trigger_that_was_switched_off_closes_what_is_open_and_is_silent_else() -> None:
    off = verdict("none", 10, pages=True, switched_off=True)
    rulings, memory = play(ALWAYS, [verdict("firing", 0), off, replace(off, started_at=at(20))])
    assert told(rulings) == "FR-"
    assert rulings[1].note == "its incident, open since 2026-11-20T12:01:00+00:00, is closed, since the trigger is switched off"
    assert memory is not None
    assert (memory.open_since, memory.bad_runs) == (None, 0)
    assert told(play(ALWAYS, [off])[0]) == "-"
    assert told(play(ALWAYS, [verdict("firing", 30), off])[0]) == "F-"


def test_what_is_not_known_withholds_nothing() -> None:
    strict = PagingPolicy(notify={"failure": "change"}, after={"failure": 9}, after_unknown=9, cooldown=9e5)
    _, memory = play(PagingPolicy(), [verdict("firing", 30, failing=("a",), rules=("a",))])
    for one in (verdict("firing", 0), verdict("good", 0), verdict("unknown", 0, pages=True)):
        assert judge(one, memory, strict, now=at(40), known=False).send
        assert judge(one, memory, strict, now=at(40), known=False, durable=True).send
    assert not judge(verdict("firing", 0), memory, NEVER, now=at(40), known=False).send
    assert not judge(verdict("firing", 0), memory, ALWAYS, now=at(40), known=False, muted="muted").send


def test_only_a_durable_store_withholds_a_resolve_of_nothing() -> None:
    assert told(play(ALWAYS, runs("gbggug"), durable=True)[0]) == "rFRr-r"
    assert play(ALWAYS, runs("g"), durable=True)[0][0].withheld == "no incident is open"
    assert told(play(ALWAYS, runs("gbggug"))[0]) == "RFRR-R"


@pytest.mark.parametrize("trigger", ["start", "completion"])
def test_what_every_run_opens_and_closes_knows_no_cool_down(trigger: str) -> None:
    policy = PagingPolicy(cooldown=86_400, notify={trigger: "change"})
    seen = [verdict(outcome, n, trigger, "info") for n, outcome in enumerate(["firing", "good"] * 3)]
    assert told(play(policy, seen)[0]) == "FRFRFR"
    assert told(play(replace(policy, min_severity="warning"), seen)[0]) == "fRfRfR"
    # of two runs at once, the one that started later is the one that is under way
    both = [verdict("firing", 0, trigger), verdict("firing", 5, trigger), verdict("good", 0, trigger), verdict("good", 5, trigger)]
    assert told(play(ALWAYS, both)[0]) == "FFrR"


def test_the_former_name_of_a_table_is_closed_without_any_rule_and_leaves_no_memory_of_its_own() -> None:
    renamed = verdict("good", 10, renamed=True)
    _, memory = play(ALWAYS, [verdict("firing", 0, failing=("a",), rules=("a",))])
    ruling = judge(renamed, memory, ALWAYS, now=at(20))
    assert ruling.send
    assert ruling.sent is not None
    assert ruling.sent.open_since is None
    assert judge(renamed, None, ALWAYS, now=at(20)) == Ruling(verdict=renamed, send=True)


# ---- whatever happens ------------------------------------------------------------------------------------------------------------

RULES = ("a", "b", "c")
STEPS = st.tuples(
    st.sampled_from(["firing", "firing", "good", "good", "unknown", "page_unknown", "off"]),
    st.sets(st.sampled_from(RULES)),  # failing
    st.sets(st.sampled_from(RULES)),  # evaluated
    st.sets(st.sampled_from(RULES)),  # given
    st.sampled_from(["code", "file a.yaml", "table r"]),
    st.sampled_from(["warning", "error", "critical"]),
    st.integers(-30, 120),  # minutes from the run before
    st.booleans(),  # muted
    st.booleans(),  # the outbox takes it
)
POLICIES = st.builds(
    PagingPolicy,
    notify=st.fixed_dictionaries({"failure": st.sampled_from(["always", "change", "never"])}),
    after=st.fixed_dictionaries({"failure": st.integers(1, 4)}),
    after_unknown=st.integers(1, 4),
    cooldown=st.sampled_from([0.0, 600.0, 86_400.0]),
    min_severity=st.sampled_from(["info", "warning", "error", "critical"]),
)


@given(policy=POLICIES, steps=st.lists(STEPS, max_size=25), durable=st.booleans())
def test_whatever_runs_find_what_is_believed_holds(policy, steps, durable):
    memory: IncidentState | None = None
    open_in_pagerduty = False  # as PagerDuty has it, told by these alerts alone
    bad_since_resolve = False
    now = T0
    for outcome, failing, evaluated, given_rules, source, severity, minutes, muted, delivered in steps:
        started = now + timedelta(minutes=minutes)
        now = max(now, started) + timedelta(minutes=1)
        names, fields = RULES, {"rules_source": source}
        if outcome == "firing":
            one = verdict("firing", 0, severity=severity, failing=tuple(sorted(failing)), evaluated=frozenset(names), rules=names, **fields)
        elif outcome == "good":
            one = verdict("good", 0, evaluated=frozenset(evaluated), rules=given_rules | evaluated, **fields)
        else:
            one = verdict(outcome.replace("page_", "").replace("off", "none"), 0, severity=severity, pages=outcome != "unknown", **fields)
        one = replace(one, started_at=started, switched_off=outcome == "off")
        before = memory
        ruling = judge(one, memory, policy, now=now, muted="muted" if muted else None, durable=durable)
        sent = ruling.send and delivered
        memory = (ruling.sent if sent else ruling.kept) or memory

        older = before is not None and before.run_started_at is not None and started < before.run_started_at <= now
        if older:
            assert not ruling.send
            assert memory == before
        if outcome in ("firing", "page_unknown") and not older:
            bad_since_resolve = True
        if ruling.send and one.alert is not None and one.alert.state == "firing":
            assert outcome in ("firing", "page_unknown")
            assert not muted
            if delivered:
                # never a second open without a bad verdict in between
                assert open_in_pagerduty or bad_since_resolve
                open_in_pagerduty = True
        if ruling.send and one.alert is not None and one.alert.state == "resolved" and delivered:
            open_in_pagerduty = bad_since_resolve = False
        exact = outcome == "good" and set(before.failing if before else ()) <= evaluated
        if exact and not older:
            # a good exact verdict is told wherever something may be open, muted or not, and ends with nothing believed open
            assert ruling.send or (durable and not open_in_pagerduty)
            if sent or not ruling.send:
                assert memory is not None
                assert memory.open_since is None
                assert not open_in_pagerduty
        if ruling.withheld and outcome == "good" and not older:
            assert not exact or durable
        # what is believed open is open
        assert (memory is not None and memory.open_since is not None) is open_in_pagerduty
        assert memory is None or memory.bad_runs >= 0
        assert ruling.withheld is None or ruling.withheld
