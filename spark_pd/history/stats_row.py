"""What is known of a run once it has its verdict, to its row of the stats table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spark_pd.alerting.facts import RunFacts
from spark_pd.model import Decision, Delivery, Rule, RuleResult, RuleStatus, RunStats, RunStatus
from spark_pd.secrets.redaction import scrub

_STATUS: Mapping[RunStatus, str] = {
    "passed": "Passed",
    "failed": "Failed",
    "errored": "Failed",
    "cancelled": "Cancelled",
    "unknown": "Unknown",
}
_RULES: Mapping[RuleStatus, str] = {"passed": "pass", "failed": "fail", "unknown": "unknown"}
COUNTS = ("input_count", "error_count", "dropped_count", "output_count")
PERCENTAGES = ("error_percentage", "output_percentage", "success_percentage", "error_drop_percentage")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run that has its verdict, and whose alerts were reported."""

    facts: RunFacts
    table_name: str
    """As the run was given it."""
    decisions: tuple[Decision, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    failure_class: str | None = None


def row_of(ended: Ended) -> dict[str, Any]:
    """Its row: a value for each of `COLUMNS`. Unknown is None."""
    facts, stats = ended.facts, ended.facts.stats
    given = {rule.name: rule for rule in facts.rules}
    results = stats.rules if stats is not None else ()
    row: dict[str, Any] = {name: getattr(stats, name) if stats is not None else None for name in (*COUNTS, *PERCENTAGES)}
    row |= _spark_expectations(ended, results, given)
    return row | {
        "status": facts.status,
        "exact": stats.exact if stats is not None else None,
        "counting": stats.counting if stats is not None else None,
        "unknown_because": facts.unknown,
        "started_at": facts.started_at,
        "ended_at": facts.ended_at,
        "subject": facts.subject.prefix,
        "scope": facts.subject.scope,
        "job": facts.subject.job,
        "application": facts.application,
        "application_id": facts.application_id,
        "rules_source": facts.rules_source,
        "failure": None if facts.failure is None else scrub(facts.failure),
        "failure_class": ended.failure_class,
        "rules": [_result(each, given.get(each.name)) for each in results],
        "decisions": [_decision(each, facts.failure) for each in ended.decisions],
        "deliveries": [_delivery(each) for each in ended.deliveries],
    }


def _spark_expectations(ended: Ended, results: Sequence[RuleResult], given: Mapping[str, Rule]) -> dict[str, Any]:
    """Its columns, but for the counts."""
    facts = ended.facts

    def of(kind: str, *sides: str | None) -> list[RuleResult]:
        return [each for each in results if each.rule_type == kind and (not sides or each.judged_on in sides)]

    rows, source, target = of("row_dq"), of("agg_dq", "source"), of("agg_dq", "target")
    queries = of("query_dq")
    kinds = {"row_dq": rows, "source_agg_dq": source, "final_agg_dq": target, "source_query_dq": queries}
    return {
        "product_id": facts.subject.product_id,
        "table_name": ended.table_name,
        "source_agg_dq_results": _maps(source, given),
        "final_agg_dq_results": _maps(target, given),
        "source_query_dq_results": _maps(queries, given),
        "final_query_dq_results": None,
        "row_dq_res_summary": _summary(rows, given),
        "row_dq_error_threshold": _thresholds(rows, given, facts.stats),
        "dq_status": {"run_status": _STATUS[facts.status]} | {kind: _worst(found) for kind, found in kinds.items() if found},
        "dq_run_time": {"run_time": round((facts.ended_at - facts.started_at).total_seconds(), 3)},
        "dq_rules": _numbers(facts.rules),
        "meta_dq_run_id": facts.run_id,
        "meta_dq_run_date": facts.started_at.date(),
        "meta_dq_run_datetime": facts.started_at,
        "dq_env": facts.subject.environment,
        "se_job_metadata": facts.job_metadata,
    }


def _worst(results: Iterable[RuleResult]) -> str:
    found = {each.status for each in results}
    return "Failed" if "failed" in found else "Unknown" if "unknown" in found else "Passed"


def _named(result: RuleResult, rule: Rule | None) -> dict[str, str | None]:
    """What spark-expectations says of a rule wherever it names one."""
    return {
        "rule": result.name,
        "rule_type": result.rule_type,
        "action_if_failed": result.action_if_failed,
        "column_name": result.column_name,
        "tag": rule.tag if rule else None,
        "description": rule.description if rule else None,
        "priority": rule.priority if rule else None,
    }


def _maps(results: Sequence[RuleResult], given: Mapping[str, Rule]) -> list[dict[str, str | None]] | None:
    return [_named(each, given.get(each.name)) | {"status": _RULES[each.status]} for each in results] or None


def _summary(results: Sequence[RuleResult], given: Mapping[str, Rule]) -> list[dict[str, str | None]] | None:
    return [_named(each, given.get(each.name)) | {"failed_row_count": _text(each.failed_count)} for each in results] or None


def _thresholds(results: Sequence[RuleResult], given: Mapping[str, Rule], stats: RunStats | None) -> list[dict[str, str | None]] | None:
    reached = []
    for each in results:
        rule, rows = given.get(each.name), stats.input_count if stats is not None else None
        if rule is None or not rule.enable_error_drop_alert or rule.error_drop_threshold is None or not rows or not each.failed_count:
            continue
        if 100 * each.failed_count >= rule.error_drop_threshold * rows:
            entry = _named(each, rule)
            entry["rule_name"] = entry.pop("rule")
            entry["error_drop_threshold"] = f"{rule.error_drop_threshold:g}"
            entry["error_drop_percentage"] = _text(each.failed_percentage)
            reached.append(entry)
    return reached or None


def _numbers(rules: Sequence[Rule]) -> dict[str, dict[str, int]]:
    active = [rule for rule in rules if rule.is_active]

    def whole(kind: str) -> dict[str, int]:
        """How many rules of that kind, which are about the whole data, and on which side they are judged."""
        found = [rule for rule in active if rule.rule_type == kind]
        return {
            f"num_{kind}_rules": len(found),
            f"num_source_{kind}_rules": sum(rule.enable_for_source_dq_validation for rule in found),
            f"num_final_{kind}_rules": sum(rule.enable_for_target_dq_validation for rule in found),
        }

    rows = sum(rule.rule_type == "row_dq" for rule in active)
    return {
        "rules": {"num_row_dq_rules": rows, "num_dq_rules": len(active)},
        "agg_dq_rules": whole("agg_dq"),
        "query_dq_rules": whole("query_dq"),
    }


def _result(result: RuleResult, rule: Rule | None) -> dict[str, Any]:
    return {
        "name": result.name,
        "rule_type": result.rule_type,
        "column_name": result.column_name,
        "action_if_failed": result.action_if_failed,
        "status": result.status,
        "failed_count": result.failed_count,
        "failed_percentage": result.failed_percentage,
        "observed": _text(result.observed),
        "judged_on": result.judged_on,
        "tag": rule.tag if rule else None,
        "description": rule.description if rule else None,
        "priority": rule.priority if rule else None,
    }


def _decision(decision: Decision, failure: str | None) -> dict[str, str]:
    # Where whole messages may go to PagerDuty (spark.pd.details.exceptions=full), the table still gets the scrubbed one.
    reason = decision.reason.replace(failure, scrub(failure)) if failure else decision.reason
    return {"trigger": decision.trigger, "outcome": decision.outcome, "reason": reason}


def _delivery(delivery: Delivery) -> dict[str, Any]:
    alert = delivery.alert
    return {
        "trigger": alert.trigger,
        "state": alert.state,
        "severity": alert.severity,
        "dedup_key": alert.dedup_key,
        "channel": delivery.channel,
        "status": delivery.status,
        "reason": delivery.reason,
        "status_code": delivery.status_code,
        "attempts": delivery.attempts,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
