"""A trigger is one value: the one below, in this file alone, decides, alerts and closes like a built-in one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from spark_pd.alerting.alerts import alerts_at_end
from spark_pd.alerting.facts import RunFacts, TriggerSettings
from spark_pd.alerting.policy import verdicts_at_end
from spark_pd.alerting.trigger import Conclusion, Trigger
from spark_pd.alerting.triggers import TRIGGERS, decide, decision_lines
from spark_pd.model import Decision, Rule, RunStats, Subject

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)

# ---- a trigger: docs/architecture.md shows it -------------------------------------------------------------------------------------


def few_rows(facts: RunFacts, settings: TriggerSettings, trigger: Trigger) -> Conclusion:
    """Fires where a run has fewer rows than its limit."""
    assert facts.stats is not None
    rows, limit = facts.stats.input_count or 0, trigger.limit_in(settings) or 0
    reason = f"{rows:,} rows, at least {limit:g} expected"
    if rows >= limit:
        return Conclusion("good", reason)
    return Conclusion("firing", reason, headline=f"had only {reason}", details={"rows_missing": limit - rows})


FEW_ROWS = Trigger(name="few_rows", judge=few_rows, needs=("counts",), on=True, severity="warning", limit=100)

# ------------------------------------------------------------------------------------------------------------------------------------

SETTINGS = TriggerSettings(on=dict.fromkeys(TRIGGERS, False), severity={}, error_drop_threshold=10.0, custom_triggers=(FEW_ROWS,))


def facts(rows: int | None, status: str = "passed") -> RunFacts:
    stats = RunStats(
        product_id="p", table_name="t", run_id="r", started_at=NOW, ended_at=NOW, status=status, input_count=rows,  # type: ignore[arg-type]
        error_count=0, dropped_count=0, output_count=rows, exact=rows is not None, counting="operator", rules=(),
    )  # fmt: skip
    return RunFacts(
        subject=Subject(environment="prod", product_id="p", table="t"), run_id="r", status=status, stats=stats,  # type: ignore[arg-type]
        unknown=None if rows is not None else "nobody knows", failure=None, started_at=NOW, ended_at=NOW, application="app",
    )  # fmt: skip


def outcome(some: RunFacts, settings: TriggerSettings = SETTINGS) -> tuple[str, str]:
    return next((e.decision.outcome, e.decision.reason) for e in decide(some, settings) if e.trigger is FEW_ROWS)


def test_it_decides_behind_the_built_in_triggers_and_only_with_the_facts_that_it_needs() -> None:
    assert [e.trigger.name for e in decide(facts(99), SETTINGS)] == [*TRIGGERS, "few_rows"]
    assert outcome(facts(99)) == ("firing", "99 rows, at least 100 expected")
    assert outcome(facts(100))[0] == "good"
    assert outcome(facts(None)) == ("unknown", "nobody knows")
    assert outcome(facts(0)) == ("none", "the input was empty")
    assert outcome(facts(100, "errored"))[1].endswith("; this closes no incident, because the run ended with an error")


def test_it_opens_and_closes_an_incident_of_its_own() -> None:
    some = facts(99)
    evaluations = decide(some, SETTINGS)
    (alert,) = alerts_at_end(some, SETTINGS, evaluations)
    assert (alert.trigger, alert.state, alert.severity) == ("few_rows", "firing", "warning")
    assert alert.summary == "[prod] t had only 99 rows, at least 100 expected"
    assert (alert.dedup_key, alert.details["rows_missing"]) == ("spark_pd/prod/p/t/few_rows", 1)
    verdict = next(v for v in verdicts_at_end(some, SETTINGS, evaluations, (alert,), NOW) if v.trigger == "few_rows")
    assert (verdict.outcome, verdict.alert) == ("firing", alert)
    good = facts(100)
    (resolved,) = alerts_at_end(good, SETTINGS, decide(good, SETTINGS))
    assert (resolved.state, resolved.dedup_key) == ("resolved", alert.dedup_key)


def test_its_defaults_give_way_to_the_settings() -> None:
    assert outcome(facts(99), replace(SETTINGS, limit={"few_rows": 99}))[0] == "good"
    off = replace(SETTINGS, on={"few_rows": False})
    assert outcome(facts(99), off) == (
        "none",
        "switched off (spark.pd.on.few_rows); if it were on, the outcome would be firing: 99 rows, at least 100 expected",
    )
    critical = replace(SETTINGS, severity={"few_rows": "critical"})
    assert [a.severity for a in alerts_at_end(facts(9), critical, decide(facts(9), critical))] == ["critical"]


def test_decisions_for_people_name_the_switched_off_triggers_in_one_line() -> None:
    some = replace(facts(99), rules=(Rule(name="a", expectation="x > 0", incident="rule"),))
    on = {**SETTINGS.on, "failure": True, "ignored_rules": True}
    decisions = [e.decision for e in decide(some, replace(SETTINGS, on=on))]
    lines = decision_lines(decisions, on)
    assert lines[:-1] == [
        "failure                  good     the run ended without an exception",
        "ignored_rules            good     no rule with action ignore failed",
        "few_rows                 firing   99 rows, at least 100 expected",
        "ignored_rules of rule a  unknown  it is not known whether rule a failed",
    ]
    assert lines[-1].startswith("switched off (spark.pd.on.<trigger>): start, completion, error_drop_threshold, unusual_volume, ")
    assert lines[-1].endswith(", no_output and query_failure")
    assert decision_lines([Decision(trigger="failure", outcome="good", reason="fine")], {}) == ["failure  good     fine"]
    assert decision_lines([], {}) == []
