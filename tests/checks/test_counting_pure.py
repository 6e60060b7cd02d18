"""The parts of counting that are decided without Spark: which evaluation is the write's, what observed metrics say, percentages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_pd.checks.checked import rule_results
from spark_pd.checks.counts import NEVER_WRITTEN, NOT_ALL_READ, STILL_RUNNING, UNSTABLE, Counts, Unknown
from spark_pd.checks.observation import COUNTED_TWICE, PARTITIONS, observed
from spark_pd.checks.row_plan import WORD, RowPlan, kept
from spark_pd.checks.write_evaluation import Evaluation, parse, within, writes_of, written
from spark_pd.model import Rule, RunStats, percentage
from spark_pd.spark.executions import Execution, Ledger

TEN = Counts(10, 3, 2, (1, 2))
NINE = Counts(9, 3, 2, (1, 2))


def execution(id_: int, *, root: int | None = None, end: int | None = None, **given: object) -> Execution:
    facts = {"succeeded": True, "write": True, "carried": False, "observed": None, **given}
    return Execution(id=id_, root=id_ if root is None else root, end=id_ if end is None else end, **facts)  # type: ignore[arg-type]


def ledger(*executions: Execution, complete: bool = True, others: dict[int, int] | None = None) -> Ledger:
    return Ledger(executions, {**{e.id: e.end for e in executions}, **(others or {})}, complete)


def evaluation(
    id_: int | None, *, root: int | None = None, complete: bool = True, varies: bool = False, counts: Counts = TEN
) -> Evaluation:
    where = None if id_ is None else (id_, id_ if root is None else root)
    return Evaluation(where, complete, varies, counts)


WRITTEN = [
    ("nothing happened", ledger(), [], Unknown(NEVER_WRITTEN)),
    ("nothing was reported yet", ledger(complete=False), [], Unknown(STILL_RUNNING)),
    ("a query that is no write", ledger(execution(1, write=False)), [evaluation(1)], Unknown(NEVER_WRITTEN)),
    ("a write that failed", ledger(execution(1, succeeded=False)), [evaluation(1)], Unknown(NEVER_WRITTEN)),
    ("a write", ledger(execution(1)), [evaluation(1)], TEN),
    ("a write that did not read all", ledger(execution(1)), [evaluation(1, complete=False)], Unknown(NOT_ALL_READ)),
    ("a write and no evaluation", ledger(execution(1)), [], Unknown(NOT_ALL_READ)),
    ("a look before the write", ledger(execution(1, write=False), execution(2)), [evaluation(1, counts=NINE), evaluation(2)], TEN),
    ("a look, and a write that did not read all", ledger(execution(1, write=False), execution(2)), [evaluation(1)], Unknown(NOT_ALL_READ)),
    ("an evaluation outside of any execution", ledger(execution(1)), [evaluation(None)], Unknown(NOT_ALL_READ)),
    ("a failed write's evaluation", ledger(execution(1, succeeded=False), execution(2)), [evaluation(1, counts=NINE), evaluation(2)], TEN),
    ("two writes that agree", ledger(execution(1), execution(2)), [evaluation(1), evaluation(2)], TEN),
    ("two writes that do not", ledger(execution(1), execution(2)), [evaluation(1), evaluation(2, counts=NINE)], Unknown(UNSTABLE)),
    (
        "two evaluations of one write that do not agree",
        ledger(execution(1)),
        [evaluation(1), evaluation(1, counts=NINE)],
        Unknown(UNSTABLE),
    ),
    ("a partition that gave two results", ledger(execution(1)), [evaluation(1, varies=True)], Unknown(UNSTABLE)),
    (
        "an incomplete evaluation beside the complete one",
        ledger(execution(1)),
        [evaluation(1, complete=False, counts=NINE), evaluation(1)],
        TEN,
    ),
    ("a cache that a look filled", ledger(execution(1, write=False), execution(2, carried=True)), [evaluation(1)], TEN),
    ("a cache that nothing filled wholly", ledger(execution(2, carried=True)), [evaluation(1, complete=False)], Unknown(NOT_ALL_READ)),
    ("a cache, and the write's own evaluation", ledger(execution(2, carried=True)), [evaluation(1, counts=NINE), evaluation(2)], TEN),
    ("an execution nested in the write", ledger(execution(5, end=9), others={6: 7}), [evaluation(6, root=5)], TEN),
    ("a sibling under the same root", ledger(execution(5, root=1, end=6), others={7: 8}), [evaluation(7, root=1)], Unknown(NOT_ALL_READ)),
    (
        "one under the root that came before",
        ledger(execution(5, root=1, end=6), others={4: 5}),
        [evaluation(4, root=1)],
        Unknown(NOT_ALL_READ),
    ),
    ("one that has not ended", ledger(execution(5, end=9)), [evaluation(6, root=5)], Unknown(NOT_ALL_READ)),
    ("nested in a write that is nested itself", ledger(execution(5, root=1, end=9), others={6: 8}), [evaluation(6, root=1)], TEN),
]


@pytest.mark.parametrize(("facts", "evaluations", "reading"), [row[1:] for row in WRITTEN], ids=[row[0] for row in WRITTEN])
def test_the_counts_are_those_of_the_write(facts: Ledger, evaluations: Sequence[Evaluation], reading: object) -> None:
    assert written(facts, evaluations) == reading


numbers = st.integers(0, 2**62)
tallies = st.lists(numbers, min_size=3, max_size=8)


@given(st.lists(st.tuples(st.none() | st.tuples(numbers, numbers), st.booleans(), st.booleans(), tallies), max_size=5))
def test_the_operators_lines_are_read_as_they_were_written(rows):
    lines = [
        f"{node}|{'' if at is None else f'{at[0]},{at[1]}'}|{str(complete).lower()}|{str(varies).lower()}|"
        f"{','.join(map(str, tally))}|{','.join(map(str, tally[3:]))}"
        for node, (at, complete, varies, tally) in enumerate(rows)
    ]
    found = parse(lines)
    assert [each.counts.errors for each in found] == [tuple(tally[3:]) or None for *_, tally in rows]
    assert found == tuple(Evaluation(at, complete, varies, Counts.of(tally)) for at, complete, varies, tally in rows)


executions_of_one = st.builds(
    lambda id_, root, end, succeeded, write, carried: execution(id_, root=root, end=end, succeeded=succeeded, write=write, carried=carried),
    *[st.integers(0, 4)] * 3,
    *[st.booleans()] * 3,
)
evaluations_of_one = st.builds(
    lambda at, complete, varies, counts: Evaluation(at, complete, varies, counts),
    st.none() | st.tuples(st.integers(0, 4), st.integers(0, 4)),
    st.booleans(),
    st.booleans(),
    st.sampled_from([TEN, NINE]),
)


@given(st.lists(executions_of_one, max_size=4), st.lists(evaluations_of_one, max_size=4), st.booleans())
def test_counts_are_never_told_without_a_write_that_succeeded_and_a_complete_evaluation(executions, evaluations, complete):
    reading = written(ledger(*executions, complete=complete), evaluations)
    if isinstance(reading, Counts):
        assert any(e.write and e.succeeded for e in executions)
        assert any(e.complete and not e.varies and e.counts == reading for e in evaluations)
    assert reading == written(ledger(*executions, complete=complete), [*evaluations, evaluation(99, complete=False, counts=NINE)])


def test_an_execution_is_within_itself_and_within_its_own_write_alone():
    write = execution(5, root=5, end=10)
    assert within((5, 5), write, {})
    assert within((6, 5), write, {6: 9})
    assert not within((6, 5), write, {6: 11})
    assert not within((6, 6), write, {6: 9})
    assert not within(None, write, {})
    assert writes_of(ledger(write, execution(6, write=False), execution(7, succeeded=False))) == (write,)


def metrics(counts: Counts, starts: int = 4, partitions: int = 4, last: int = 3) -> tuple[int, ...]:
    return (counts.rows, counts.failed, counts.dropped, *counts.rules, starts, partitions, last)


OBSERVED = [
    ("nothing happened", ledger(), Unknown(NEVER_WRITTEN)),
    ("nothing was reported yet", ledger(complete=False), Unknown(STILL_RUNNING)),
    ("a write", ledger(execution(1, observed=metrics(TEN))), TEN),
    ("an empty input", ledger(execution(1, observed=metrics(Counts.none(2), 0, 0, 0))), Counts.none(2)),
    ("only a look", ledger(execution(1, write=False, observed=metrics(TEN))), Unknown(NEVER_WRITTEN)),
    ("a write that observed nothing", ledger(execution(1)), Unknown(NOT_ALL_READ)),
    ("a look with metrics, a write without", ledger(execution(1, write=False, observed=metrics(TEN)), execution(2)), Unknown(NOT_ALL_READ)),
    ("partitions seen twice", ledger(execution(1, observed=metrics(TEN, starts=8))), Unknown(COUNTED_TWICE)),
    ("one partition seen twice", ledger(execution(1, observed=metrics(TEN, starts=5))), Unknown(COUNTED_TWICE)),
    ("more partitions than the bitmap has", ledger(execution(1, observed=metrics(TEN, last=PARTITIONS))), Unknown(COUNTED_TWICE)),
    ("two writes that agree", ledger(execution(1, observed=metrics(TEN)), execution(2, observed=metrics(TEN))), TEN),
    ("two writes that do not", ledger(execution(1, observed=metrics(TEN)), execution(2, observed=metrics(NINE))), Unknown(UNSTABLE)),
    (
        "two writes, one of them seen twice",
        ledger(execution(1, observed=metrics(TEN)), execution(2, observed=metrics(TEN, starts=8))),
        Unknown(COUNTED_TWICE),
    ),
    ("nested in the write", ledger(execution(5, end=9), execution(6, root=5, end=7, write=False, observed=metrics(TEN))), TEN),
    ("a failed write", ledger(execution(1, succeeded=False, observed=metrics(TEN))), Unknown(NEVER_WRITTEN)),
]


@pytest.mark.parametrize(("facts", "reading"), [row[1:] for row in OBSERVED], ids=[row[0] for row in OBSERVED])
def test_observed_metrics_are_believed_only_when_they_are_of_the_write_and_counted_once(facts: Ledger, reading: object) -> None:
    assert observed(facts) == reading


rules = st.lists(st.sampled_from(["ignore", "drop", "fail"]), max_size=3 * WORD + 1).map(
    lambda actions: tuple(Rule(name=f"r{n}", expectation="x", action_if_failed=action) for n, action in enumerate(actions))
)


@given(rules)
def test_a_plan_keeps_every_rule_in_a_word_of_its_own_bits(given_rules):
    plan = RowPlan(given_rules)
    assert sum(plan.words, ()) == given_rules
    assert plan.words
    assert all(len(word) <= WORD for word in plan.words)
    assert len(plan.drops()) == len(plan.words)
    for word, drop in zip(plan.words, plan.drops(), strict=True):
        assert 0 <= drop < 1 << WORD
        assert [bool(drop >> bit & 1) for bit in range(len(word))] == [rule.action_if_failed == "drop" for rule in word]
    for action in ("ignore", "drop", "fail"):
        assert plan.of_action(action).rules == tuple(rule for rule in given_rules if rule.action_if_failed == action)


@given(rules, st.data())
def test_the_condition_keeps_exactly_the_rows_without_a_failed_drop_rule(given_rules, data):
    plan = RowPlan(given_rules)
    failed = [data.draw(st.booleans()) for _ in given_rules]
    masks = [sum(failed[word * WORD + bit] << bit for bit in range(len(rules_of))) for word, rules_of in enumerate(plan.words)]
    condition = kept(plan, [f"m{n}" for n in range(len(masks))])
    python = condition.replace("`", "").replace("L)", ")").replace("0L", "0").replace(" = ", " == ").replace(" AND ", " and ")
    dropped = any(f and rule.action_if_failed == "drop" for f, rule in zip(failed, given_rules, strict=True))
    assert eval(python, {f"m{n}": mask for n, mask in enumerate(masks)}) is not dropped


@given(tallies)
def test_counts_are_read_in_the_order_rows_failed_dropped_rules(tally):
    counts = Counts.of(tally)
    assert [counts.rows, counts.failed, counts.dropped, *counts.rules] == tally


@given(st.lists(st.tuples(st.sampled_from(["ignore", "drop"]), st.integers(0, 1000)), max_size=20))
def test_each_rule_has_its_own_count(given_rules):
    plan = tuple(Rule(name=f"r{n}", expectation="x", action_if_failed=action) for n, (action, _) in enumerate(given_rules))
    results = rule_results(plan, Counts(1000, 0, 0, tuple(failed for _, failed in given_rules)))
    for (action, failed), result in zip(given_rules, results, strict=True):
        assert (result.action_if_failed, result.failed_count, result.failed_percentage) == (action, failed, round(failed / 10, 2))
        assert result.status == ("failed" if failed else "passed")
    for result in rule_results(plan, Unknown("so")):
        assert (result.status, result.failed_count, result.failed_percentage) == ("unknown", None, None)


def stats(**counts: int | None) -> RunStats:
    known = {"input_count": None, "error_count": None, "dropped_count": None, "output_count": None, **counts}
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return RunStats(
        product_id=None,
        table_name="t",
        run_id="r",
        started_at=at,
        ended_at=at,
        status="passed",
        exact=True,
        counting="operator",
        rules=(),
        **known,
    )


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12))
def test_percentages_are_of_the_input_rounded_to_two_places(rows, failed, dropped):
    failed, dropped = min(failed, rows), min(dropped, failed, rows)
    found = stats(input_count=rows, error_count=failed, dropped_count=dropped, output_count=rows - dropped)
    if not rows:
        assert (found.error_percentage, found.error_drop_percentage, found.output_percentage, found.success_percentage) == (0.0,) * 4
        return
    assert found.error_percentage == round(100 * failed / rows, 2)
    assert found.error_drop_percentage == round(100 * dropped / rows, 2)
    assert found.output_percentage == round(100 * (rows - dropped) / rows, 2)
    assert found.success_percentage == round(100 * (rows - failed) / rows, 2)


def test_a_percentage_of_what_is_unknown_is_unknown():
    assert percentage(None, 10) is percentage(1, None) is percentage(None, None) is None
    unknown = stats(input_count=10, error_count=3)
    assert (unknown.error_percentage, unknown.success_percentage) == (30.0, 70.0)
    assert unknown.error_drop_percentage is unknown.output_percentage is None
    assert stats().success_percentage is None
