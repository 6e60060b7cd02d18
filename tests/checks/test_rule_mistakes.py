"""What is said of rules before any data is read: the column that is not there and its nearest, and rules that say the same of every row."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import spark_pd
from spark_pd.checks import constant_rules
from spark_pd.checks.analysis import refused
from spark_pd.model import Rule

NEVER_READ = "assert_true(false) AS never_read"


def mistakes(spark: Any, df: Any, *rules: dict[str, Any]) -> tuple[str, ...]:
    """The mistakes in the rules; the rows of `df` cannot be read."""
    monitor = spark_pd.install(spark, {"spark.pd.counting": "operator"})
    try:
        with pytest.raises(spark_pd.RulesError) as raised, monitor.run("orders", rules=list(rules)) as run:
            run.check(df.selectExpr("*", NEVER_READ))
        return raised.value.mistakes
    finally:
        monitor.uninstall()


@pytest.mark.parametrize(
    ("expectation", "says"),
    [
        ("amuont > 0", "there is no column amuont; did you mean amount?"),
        ("AMUONT > 0", "there is no column AMUONT; did you mean amount?"),
        ("address.zpi = 'x'", "there is no column zpi; did you mean address.zip?"),
        ("`a.c` > 0", "there is no column a.c; did you mean a.b?"),
        ("zzz > 0", "there is no column zzz among amount, address, a.b, never_read"),
        ("amount >", "Syntax error"),
        ("amount + 1", ""),
    ],
)
def test_a_column_that_is_not_there_is_named_with_the_nearest_one(spark, expectation, says):
    df = spark.sql("SELECT 1 AS amount, named_struct('zip', 'x', 'city', 'y') AS address, 1 AS `a.b`")
    (mistake,) = mistakes(spark, df, {"rule": "good", "expectation": "amount > 0"}, {"rule": "bad", "expectation": expectation})
    assert mistake.startswith(
        f"rule 'bad': its expectation {expectation!r} is no SQL boolean over the columns amount, address, a.b, never_read"
    )
    assert says in mistake


def test_mistakes_of_all_types_come_together_in_their_order(spark):
    rules = [
        {"rule": f"rule_{n}", "expectation": f"idd > {n}" if n % 50 == 7 else f"id > {n}", "action_if_failed": "drop"} for n in range(200)
    ]
    rules += [{"rule": "mean", "rule_type": "agg_dq", "expectation": "avg(idd) > 1"}]
    found = mistakes(spark, spark.range(5), *rules)
    assert [mistake.split("'")[1] for mistake in found] == ["rule_7", "rule_57", "rule_107", "rule_157", "mean"]
    assert all(mistake.endswith("there is no column idd; did you mean id?") for mistake in found)


def test_one_bad_rule_among_a_thousand_takes_some_twenty_looks():
    rules = [Rule(name=f"rule_{n}", expectation="true") for n in range(1000)]
    looks = []

    def why(some):
        looks.append(len(some))
        return ValueError("bad") if rules[617] in some else None

    assert [rule.name for rule, _ in refused(rules, why)] == ["rule_617"]
    assert len(looks) <= 21


CASES = [
    ("1 = 1", "never"),
    ("id IS NOT NULL", "never"),
    ("maybe IS NOT NULL", None),
    ("id = id", "never"),
    ("maybe = maybe", None),  # NULL fails
    ("NULL", "always"),
    ("id IS NULL -- by mistake", "always"),
    ("id > 5 AND false", "always"),
    ("length('abc') = 3", "never"),
    ("id > 5", None),
    ("deep.a IS NOT NULL", None),
    ("CAST('x' AS INT) = 1 OR id > 0", None),  # raises under ANSI: Spark cannot say
]


@pytest.mark.parametrize("ansi", ["true", "false"])
def test_rules_that_say_the_same_of_every_row_are_told_by_what_spark_s_optimizer_leaves_of_them(spark, ansi):
    before = spark.conf.get("spark.sql.ansi.enabled")
    spark.conf.set("spark.sql.ansi.enabled", ansi)
    try:
        df = spark.sql(f"SELECT id, nullif(id, 3) AS maybe, named_struct('a', nullif(id, 3)) AS deep, {NEVER_READ} FROM range(5)")
        never, always = constant_rules.constants(df, [Rule(name=text, expectation=text) for text, _ in CASES])
    finally:
        spark.conf.set("spark.sql.ansi.enabled", before)
    found = {rule.name: "never" for rule in never} | {rule.name: "always" for rule in always}
    assert found == {text: kind for text, kind in CASES if kind}


def test_such_rules_are_a_warning_once_and_count_as_they_are(spark, caplog, tmp_path):
    monitor = spark_pd.install(spark, {"spark.pd.counting": "operator"})
    rules = [
        {"rule": "there", "expectation": "id IS NOT NULL", "action_if_failed": "drop"},
        {"rule": "nobody", "expectation": "id IS NULL"},
        {"rule": "off", "expectation": "1 = 1", "is_active": False},
    ]
    try:
        with caplog.at_level(logging.WARNING, "spark_pd.checks"):
            for _ in range(2):
                with monitor.run("orders", rules=rules) as run:
                    run.check(spark.range(7)).write.format("noop").mode("overwrite").save()
    finally:
        monitor.uninstall()
    assert [record.getMessage() for record in caplog.records] == [
        "no row can ever fail rule there (id IS NOT NULL); is another column or condition meant?",
        "every row fails rule nobody (id IS NULL); is another column or condition meant?",
    ]
    assert [rule.failed_count for rule in run.stats.rules] == [0, 7]
