"""The lifecycle triggers are pure: what Spark did during a run in, a decision with its reason out."""

from __future__ import annotations

from dataclasses import asdict, replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.alerting.alerts import alert_while_running, alerts_at_end
from spark_pd.alerting.attempts import Attempt
from spark_pd.alerting.facts import QueryFacts, TriggerSettings
from spark_pd.alerting.policy import verdicts_at_end
from spark_pd.alerting.triggers import TRIGGERS, decide
from spark_pd.alerting.wording import duration
from spark_pd.model.lifecycle import unseen
from tests.lifecycle.facts_of import BOOM, NOW, POLICY, SETTINGS, decided, event, facts, lifecycle, stats

COUNTED = {"job_failure": "job_failed", "stage_retry": "stage_retried", "executor_lost": "executor_lost"}


def alerts(some, policy=POLICY):
    return {a.trigger: a for a in alerts_at_end(some, policy, decide(some, policy))}


def test_the_limits_are_those_of_the_settings():
    nothing_set = TriggerSettings(on={}, severity={}, error_drop_threshold=1.0)
    assert {name: TRIGGERS[name].limit_in(nothing_set) for name in SETTINGS.limit} == SETTINGS.limit
    assert {name for name, trigger in TRIGGERS.items() if trigger.limit is not None} <= set(SETTINGS.limit)


@given(
    trigger=st.sampled_from(sorted(COUNTED)),
    own=st.integers(0, 5),
    others=st.integers(0, 5),
    limit=st.integers(1, 6),
    incomplete=st.booleans(),
)
def test_events_fire_exactly_when_enough_are_known_to_be_the_runs_own_and_are_good_only_when_too_few_can_be(
    trigger, own, others, limit, incomplete
):
    kind = COUNTED[trigger]
    seen = lifecycle(
        *[event(kind, run_id="r")] * own, others=(event(kind),) * others, incomplete="the queue ran over" if incomplete else None, tasks=1
    )
    outcome, reason = decided(facts(seen), trigger, **{trigger: limit})
    if own >= limit:
        assert outcome == "firing"
    elif incomplete or own + others >= limit:
        assert outcome == "unknown"
    else:
        assert outcome == "good"
    assert not others or f"{others} more in the application could not be attributed to a run" in reason


@given(failed=st.integers(0, 10**6), tasks=st.integers(0, 10**6), limit=st.decimals(0, 100, places=2))
def test_task_failures_fire_exactly_when_some_failed_and_their_share_reaches_the_limit(failed, tasks, limit):
    failed = min(failed, tasks)
    outcome, _ = decided(facts(lifecycle(tasks=tasks, failed_tasks=failed)), "task_failures", task_failures=float(limit))
    fires = failed > 0 and Fraction(100 * failed, tasks) >= Fraction(str(limit))
    assert outcome == ("none" if not tasks else "firing" if fires else "good")


@pytest.mark.parametrize("trigger", [*COUNTED, "task_failures"])
def test_without_a_listener_nothing_is_decided_and_its_reason_is_given(trigger):
    assert decided(facts(None, no_lifecycle="this is Spark Connect"), trigger) == ("none", "this is Spark Connect")


@pytest.mark.parametrize("trigger", [*COUNTED, "task_failures"])
def test_what_was_not_seen_whole_is_unknown_where_the_run_is_given_its_verdict_from_outside(trigger):
    some = facts(unseen("terminated by SIGTERM"), status="errored", failure="terminated by SIGTERM")
    outcome, reason = decided(some, trigger)
    assert outcome == "unknown"
    assert "terminated by SIGTERM" in reason


def test_job_failure_reports_a_failed_job_of_a_run_that_went_on_and_failure_that_of_a_run_that_did_not():
    seen = lifecycle(event("job_failed", job_id=12, call_site="save at orders.py:31", cause=BOOM))
    assert decided(facts(seen), "job_failure") == (
        "firing",
        "1 failed Spark job: job 12 (save at orders.py:31): java.io.IOException: no space for '***'",
    )
    assert decided(facts(seen, status="failed"), "job_failure")[0] == "firing"
    assert decided(facts(seen, status="errored"), "job_failure") == (
        "none",
        "the run ended with an error, which the trigger failure reports",
    )
    assert decided(facts(seen, status="cancelled"), "job_failure")[0] == "none"
    silent = replace(POLICY, on={**POLICY.on, "failure": False})
    assert alerts(facts(seen, status="errored"), silent)["job_failure"].state == "firing"


@pytest.mark.parametrize(
    ("mode", "told", "kept"),
    [
        ("class", "java.io.IOException", "java.io.IOException"),
        ("scrubbed", "java.io.IOException: no space for '***'", None),
        ("full", "alice", "***"),
    ],
)
def test_a_cause_leaves_the_cluster_as_the_setting_for_exceptions_says(mode, told, kept):
    alert = alerts(facts(lifecycle(event("job_failed", job_id=1, cause=BOOM))), replace(POLICY, exceptions=mode))["job_failure"]
    assert told in alert.details["events"][0]["cause"]
    assert (kept or told) in alert.details["reason"]
    assert "alice" not in alert.summary + alert.details["reason"]
    assert ("alice" in alert.details["events"][0]["cause"]) is (mode == "full")


def test_an_incident_has_all_that_is_known_of_what_it_is_about():
    seen = lifecycle(
        event("stage_retried", stage_id=4, attempt=1, job_id=2, execution_id=7, executor="3", job_group="nightly load", call_site="save"),
        event("job_failed", job_id=9),
        others=(event("stage_retried", stage_id=8, attempt=2),),
        tasks=200, failed_tasks=25, jobs=3, records_read=10, bytes_read=1_000, records_written=5, bytes_written=500,
    )  # fmt: skip
    alert = alerts(facts(seen))["stage_retry"]
    assert alert.summary == (
        "[prod] sales.orders had 1 stage retry: stage 4, attempt 1 (save); 1 more in the application could not be attributed to a run"
    )
    assert alert.details["events"] == [
        {
            "event": "stage_retried", "at": NOW, "job_id": 2, "stage_id": 4, "attempt": 1, "sql_execution_id": 7, "executor": "3",
            "job_group": "nightly load", "call_site": "save",
        }
    ]  # fmt: skip
    assert alert.details["unattributed_events"] == [{"event": "stage_retried", "at": NOW, "stage_id": 8, "attempt": 2}]
    assert alert.details["spark"] == asdict(seen.activity)
    assert (alert.details["spark"]["bytes_read"], alert.details["spark"]["records_written"]) == (1_000, 5)
    assert alerts(facts(seen))["task_failures"].summary == "[prod] sales.orders had 12.5 % failed tasks (25 of 200), limit 10 %"


def test_only_the_first_events_are_named_and_listed():
    seen = lifecycle(*(event("executor_lost", executor=str(n)) for n in range(1, 31)), tasks=1)
    alert = alerts(facts(seen))["executor_lost"]
    assert alert.summary == "[prod] sales.orders had 30 lost executors: executor 1; executor 2; executor 3; and 27 more"
    assert len(alert.details["events"]) == 21
    assert alert.details["events"][-1] == {"event": "and 10 more"}


def test_a_failure_says_which_jobs_failed_and_why():
    seen = lifecycle(event("job_failed", job_id=5, execution_id=3, cause=BOOM), tasks=4, failed_tasks=4)
    details = alerts(facts(seen, status="errored"))["failure"].details
    assert details["events"][0]["sql_execution_id"] == 3
    assert details["spark"]["failed_tasks"] == 4


@pytest.mark.parametrize(
    ("seconds", "limit", "outcome"), [(9.9, 10, "good"), (10, 10, "firing"), (723, 600, "firing"), (10**6, None, "none")]
)
def test_a_run_overruns_from_its_limit_on_and_never_without_one(seconds, limit, outcome):
    assert decided(facts(seconds=seconds), "overrun", overrun=limit)[0] == outcome


def test_an_overrun_that_was_reported_while_the_run_was_running_is_not_reported_again_and_closes_nothing():
    policy = replace(POLICY, limit={**POLICY.limit, "overrun": 600.0})
    some = facts(seconds=723, reported_overrun="after 10 min")
    decisions = decide(some, policy)
    (decision,) = (each.decision for each in decisions if each.trigger.name == "overrun")
    assert (decision.outcome, decision.reason) == ("firing", "took 12 min 3 s, limit 10 min; reported while it was running, after 10 min")
    found = alerts_at_end(some, policy, decisions)
    assert "overrun" not in {a.trigger for a in found}
    assert "overrun" not in {v.trigger for v in verdicts_at_end(some, policy, decisions, found, NOW)}
    # a clock that was set back meanwhile does not make it good
    assert decided(replace(some, ended_at=NOW), "overrun", overrun=600.0)[0] == "firing"
    unreported = replace(some, reported_overrun=None)
    untold = alerts_at_end(unreported, policy, decide(unreported, policy))
    assert next(a.summary for a in untold if a.trigger == "overrun").startswith("[prod] sales.orders took 12 min 3 s, limit 10 min")


def test_what_is_told_while_a_run_runs_says_so_and_knows_no_end():
    policy = replace(POLICY, limit={**POLICY.limit, "overrun": 600.0})
    alert = alert_while_running(facts(status="unknown", seconds=600.2), policy)
    assert alert.summary == "[prod] sales.orders still runs after 10 min, limit 10 min"
    assert (alert.state, alert.severity, alert.details["status"]) == ("firing", "error", "running")
    assert "ended_at" not in alert.details
    assert alert.dedup_key == alerts(facts(seconds=700), policy)["overrun"].dedup_key


@pytest.mark.parametrize(
    ("some", "outcome", "reason"),
    [
        (facts(stats=stats(1000, 0)), "firing", "wrote nothing: none of the 1,000 checked rows was kept"),
        (facts(stats=stats(1000, 1)), "good", "wrote 1 row"),
        (facts(stats=stats(0, 0)), "none", "the input was empty"),
        (facts(stats=stats(None, None, "unknown"), status="unknown", unknown="limit above"), "unknown", "limit above"),
        (facts(stats=stats(1000, None)), "unknown", "the counts are not known"),
        (facts(stats=stats(1000, 0), status="errored"), "unknown", None),
        (facts(stats=stats(1000, None), status="failed"), "unknown", None),
        (facts(status="cancelled"), "unknown", None),
        (facts(no_lifecycle="no listener"), "none", "the run checked nothing, and no listener"),
        (facts(lifecycle(records_read=7)), "firing", "wrote nothing: it read 7 rows and checked none"),
        (facts(lifecycle(records_read=7, records_written=2)), "good", "wrote 2 rows"),
        (facts(lifecycle()), "none", "the run read no rows, so it had none to write"),
        (facts(lifecycle(records_read=7, incomplete="gone")), "unknown", "wrote nothing as far as is known: gone"),
        (facts(lifecycle(records_written=7, incomplete="gone")), "good", "wrote 7 rows"),
        (facts(lifecycle(records_written=0, records_read=9), stats=stats(9, 9)), "good", "wrote 9 rows"),
    ],
)
def test_a_run_that_passed_and_wrote_nothing_is_told(some, outcome, reason):
    found = decided(some, "no_output")
    assert found[0] == outcome
    assert reason is None or found[1] == reason
    if outcome == "firing":
        assert alerts(some)["no_output"].summary == f"[prod] sales.orders {found[1]}"


def test_a_stream_has_no_end_to_be_late_for_and_the_run_that_starts_it_writes_nothing_itself():
    assert decided(facts(seconds=4_000, query=QueryFacts(name="q", completed=3)), "overrun", overrun=600.0)[0] == "none"
    starts = facts(lifecycle(records_read=7), judged_elsewhere=True, unchecked="monitor.watch judges its batches")
    assert decided(starts, "no_output") == ("none", "monitor.watch judges its batches")


@given(seconds=st.floats(0, 10**8))
def test_a_duration_is_short_and_never_more_than_it_is(seconds):
    units = {"d": 86_400, "h": 3_600, "min": 60, "s": 1}
    words = duration(seconds).split()
    told = sum(float(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
    assert len(words) in (2, 4)
    assert told <= seconds + 1e-9
    assert seconds - told < (0.1 if seconds < 9 else 1 if seconds < 3_600 else 60 if seconds < 86_400 else 3_600) + 1e-6


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.45, "0.4 s"),
        (9.99, "9.9 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3_661, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (86_460, "1 d"),
    ],
)
def test_a_duration_in_words(seconds, words):
    assert duration(seconds) == words


@given(severity=st.sampled_from(["critical", "error", "warning", "info"]), number=st.integers(1, 5), most=st.none() | st.integers(1, 5))
def test_a_failure_is_no_more_than_a_warning_while_a_retry_follows_and_one_incident_for_all(severity, number, most):
    policy = replace(POLICY, severity={**POLICY.severity, "failure": severity})
    tried = alerts(facts(status="errored", attempt=Attempt(number, most)), policy)["failure"]
    usual = alerts(facts(status="errored"), policy)["failure"]
    follows = most is not None and number < most
    assert tried.severity == ("warning" if follows and severity in ("critical", "error") else severity)
    assert tried.dedup_key == usual.dedup_key
    assert f"failed (attempt {number}" in tried.summary
    assert ("a retry follows" in tried.summary) is follows
    assert tried.details["attempt"] == str(Attempt(number, most))
    assert "attempt" not in usual.details


def test_an_attempt_lowers_no_other_trigger():
    some = facts(lifecycle(tasks=1), seconds=700, attempt=Attempt(1, 3))
    assert alerts(some, replace(POLICY, limit={**POLICY.limit, "overrun": 600.0}))["overrun"].severity == "error"
