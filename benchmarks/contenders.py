"""Who is measured: each reads the table, keeps the rows that no `drop` rule drops, and writes them; some count what failed.

The hand-written ones are what a user would write without spark_pd, as well as we can write it.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tables import Rule

Counts = tuple[int, int, int, tuple[int, ...]]
"""Rows of the input, rows that fail any rule, dropped rows, failed rows of each rule."""

WORD = 62  # bits of a long that a mask uses


@dataclass(frozen=True)
class Job:
    """What a contender is given: a session, a table, its rules, and where its rows go."""

    spark: Any
    parquet: Path
    rules: tuple[Rule, ...]
    out: Path | None
    """A folder; None: Spark's noop sink."""
    sink: str = "parquet"
    """The format of what is written."""
    source: str = "parquet"
    """The format that is read: parquet, or json, made of the same rows."""
    join: bool = False
    """Whether a join stands upstream: with the number of rows of each row's group, which takes a shuffle."""
    values: tuple[str, ...] = ()
    """Aggregates, for those who judge some."""
    true_values: tuple[float, ...] = ()
    """What they are."""

    def read(self) -> Any:
        """The input."""
        rows = self.spark.read.parquet(str(self.parquet))
        if self.source == "json":
            rows = self.spark.read.schema(rows.schema).json(str(self.json))
        if self.join:
            key = next(name for name in ("carrier", "country") if name in rows.columns)
            rows = rows.join(rows.groupBy(key).count().withColumnRenamed("count", "of_its_group"), key)
        return rows

    @property
    def json(self) -> Path:
        """The input as JSON."""
        return self.parquet.parent / f"{self.parquet.name}-json"

    def prepare(self) -> None:
        """Make the input as JSON, where that is read and not there yet."""
        if self.source == "json" and not (self.json / "_SUCCESS").exists():
            self.spark.read.parquet(str(self.parquet)).write.mode("overwrite").json(str(self.json))

    def write(self, df: Any) -> None:
        """Write what is left of it."""
        if self.out is None:
            df.write.format("noop").mode("overwrite").save()
        else:
            df.write.format(self.sink).mode("overwrite").save(str(self.out))

    def clear(self) -> None:
        """Remove what the last one wrote."""
        if self.out is not None:
            shutil.rmtree(self.out, ignore_errors=True)
        shutil.rmtree(self.errors, ignore_errors=True)
        shutil.rmtree(self.stats, ignore_errors=True)

    @property
    def stats(self) -> Path:
        """Where the stats table is, for who keeps one."""
        return self.parquet.parent / "stats"

    @property
    def errors(self) -> Path:
        """Where the rows that fail go, for who keeps them."""
        return self.parquet.parent / "errors"

    def drop_masks(self) -> list[int]:
        """For each mask word, the bits of its rules that drop a row."""
        return [sum(1 << bit for bit, rule in enumerate(word) if rule.drop) for word in self.words()]

    def words(self) -> list[tuple[Rule, ...]]:
        """The rules by mask word."""
        return [self.rules[at : at + WORD] for at in range(0, len(self.rules), WORD)]

    def masks(self) -> list[str]:
        """For each word the SQL of a long whose bits are the failed rules. Every rule is evaluated: nothing in it short-circuits."""
        return [" | ".join(f"if({rule.expectation}, 0L, {1 << bit}L)" for bit, rule in enumerate(word)) for word in self.words()]


def bare(job: Job) -> None:
    """Read and write. No rules."""
    job.write(job.read())


def filter_drops(job: Job) -> None:
    """The drop rules alone, as a WHERE; Spark pushes what it can into the scan and stops a row at its first failure."""
    drops = [f"({rule.expectation})" for rule in job.rules if rule.drop]
    job.write(job.read().where(" AND ".join(drops)))


def filter_all(job: Job) -> None:
    """A WHERE that evaluates every rule for every row, and counts nothing."""
    dropped = " | ".join(f"(({mask}) & {drop}L)" for mask, drop in zip(job.masks(), job.drop_masks(), strict=True))
    job.write(job.read().where(f"({dropped}) = 0L"))


def observe(job: Job) -> Counts:
    """By hand: one Observation over mask columns."""
    return _observed(job, ())


def observe_values(job: Job) -> Counts:
    """By hand: the same Observation with the aggregates of the input in it."""
    return _observed(job, job.values)


def _observed(job: Job, values: tuple[str, ...]) -> Counts:
    from pyspark.sql import Observation
    from pyspark.sql import functions as sf

    names = [f"mask_{n}" for n in range(len(job.words()))]
    drops = job.drop_masks()
    masked = job.read().select("*", *[sf.expr(mask).alias(name) for name, mask in zip(names, job.masks(), strict=True)])

    def rows(condition: str) -> Any:
        return sf.expr(f"coalesce(sum(if({condition}, 1L, 0L)), 0L)")

    counts = [
        sf.count(sf.lit(1)),
        rows(" OR ".join(f"{name} <> 0L" for name in names)),
        rows(" OR ".join(f"({name} & {drop}L) <> 0L" for name, drop in zip(names, drops, strict=True))),
        *(rows(f"({name} & {1 << bit}L) <> 0L") for name, word in zip(names, job.words(), strict=True) for bit in range(len(word))),
    ]
    observation = Observation()
    aggregates = [sf.expr(value).alias(f"v{n}") for n, value in enumerate(values)]
    observed = masked.observe(observation, *[count.alias(f"m{n}") for n, count in enumerate(counts)], *aggregates)
    kept = " AND ".join(f"({name} & {drop}L) = 0L" for name, drop in zip(names, drops, strict=True))
    job.write(observed.where(kept).drop(*names))
    found = observation.get
    total, any_rule, dropped, *each = (int(found[f"m{n}"]) for n in range(len(counts)))
    if values:
        right(job, [found[f"v{n}"] for n in range(len(values))])
    return total, any_rule, dropped, tuple(each)


def two_pass_values(job: Job) -> Counts:
    """By hand: the counts and the aggregates by a pass of their own, then the write."""
    from pyspark.sql import functions as sf

    rows = job.read()
    fails = [f"if({rule.expectation}, 0L, 1L)" for rule in job.rules]
    drops = [text for text, rule in zip(fails, job.rules, strict=True) if rule.drop]
    sums = ["1L", f"greatest({', '.join(fails)}, 0L)", f"greatest({', '.join(drops)}, 0L)", *fails]
    counts = [sf.expr(f"sum({text})") for text in sums]
    found = rows.agg(*counts, *[sf.expr(value) for value in job.values]).collect()[0]
    right(job, list(found[len(sums) :]))
    filter_all(job)
    total, any_rule, dropped, *each = (int(n) for n in found[: len(sums)])
    return total, any_rule, dropped, tuple(each)


def right(job: Job, found: list[Any]) -> None:
    """Raise AssertionError unless the aggregates are what they are."""
    if not all(math.isclose(float(a), b, rel_tol=1e-9) for a, b in zip(found, job.true_values, strict=True)):
        raise AssertionError(f"{job.values} gave {found}; DuckDB has {job.true_values}")


def two_writes(job: Job) -> None:
    """By hand, with the rows that fail: a WHERE for those that stay, another for those that fail with the names of their rules."""
    from pyspark.sql import functions as sf

    filter_all(job)
    failed = " OR ".join(f"({mask}) <> 0L" for mask in job.masks())
    names = ", ".join(f"if({rule.expectation}, NULL, '{rule.name}')" for rule in job.rules)
    rows = job.read().where(failed).withColumn("failed_rules", sf.expr(f"array_compact(array({names}))"))
    rows.write.mode("overwrite").parquet(str(job.errors))


def one_write(job: Job) -> None:
    """By hand, with the names of the rules that fail: one write of all rows, partitioned by whether they stay."""
    from pyspark.sql import functions as sf

    target = job.out or job.errors
    words = job.words()
    masks = [f"mask_{n}" for n in range(len(words))]
    rows = job.read().select("*", *[sf.expr(mask).alias(name) for name, mask in zip(masks, job.masks(), strict=True)])
    dropped = " OR ".join(f"({name} & {drop}L) <> 0L" for name, drop in zip(masks, job.drop_masks(), strict=True))
    names = [
        f"if(({mask} & {1 << bit}L) <> 0L, '{rule.name}', NULL)"
        for mask, word in zip(masks, words, strict=True)
        for bit, rule in enumerate(word)
    ]
    failed = f"if({' OR '.join(f'{name} <> 0L' for name in masks)}, array_compact(array({', '.join(names)})), NULL)"
    flagged = rows.select("*", sf.expr(failed).alias("failed_rules"), sf.expr(dropped).alias("dropped")).drop(*masks)
    flagged.write.mode("overwrite").partitionBy("dropped").parquet(str(target))
    if job.out is not None:
        (job.out / "dropped=true").rename(job.errors)


def ours(counting: str, *, values: bool = False, stats_table: bool = False, **config: Any) -> Callable[[Job], Counts]:
    """spark_pd, by its public API, with the counting named. PagerDuty is not enabled: all is decided and nothing is sent.

    `values`: the job's aggregates of the input are rules too, with action ignore. `config`: settings, with __ for a dot. An error table
    has to have just the rows that failed, and none by a second read.
    """
    named = {name.replace("__", "."): value for name, value in config.items()}

    def run(job: Job) -> Counts:
        import spark_pd

        config = {"spark.pd.counting": counting, "spark.pd.error.table": f"{job.errors}/{{table}}", **named}
        if stats_table:
            config |= {"spark.pd.stats.table": str(job.stats), "spark.pd.stats.format": job.sink}
        monitor = spark_pd.install(job.spark, config)
        rules = [rule.as_user_gives_it() for rule in job.rules]
        if values:
            whole = {"rule_type": "agg_dq", "enable_for_target_dq_validation": False}
            rules += [{"rule": value, "expectation": f"{value} IS NOT NULL", **whole} for value in job.values]
        with monitor.run("benchmark", rules=rules) as run:
            job.write(run.check(job.read()))
        stats = run.stats
        if stats is None or not stats.exact or stats.counting != counting:
            raise AssertionError(f"{counting}: no exact counts: {stats}")
        kept = run.error_table
        if kept is not None and (not kept.exact or kept.read_again or kept.rows != stats.error_count):
            raise AssertionError(f"{counting}: another error table than was meant: {kept}")
        if values:
            right(job, [stats.rule(value).observed for value in job.values])
        if stats_table and job.spark.read.format(job.sink).load(str(job.stats)).count() != 1:
            raise AssertionError("the run has no row in the stats table")
        each = tuple(stats.rule(rule.name).failed_count for rule in job.rules)
        return stats.input_count, stats.error_count, stats.dropped_count, each  # type: ignore[return-value]

    return run


CONTENDERS: dict[str, Callable[[Job], Counts | None]] = {
    "bare": bare,
    "filter": filter_drops,
    "filter_all": filter_all,
    "operator": ours("operator"),
    "error_table": ours("operator", se__enable__error__table=True),
    "samples": ours("operator", spark__pd__samples=5, spark__pd__samples__columns="*"),
    "stats_table": ours("operator", stats_table=True),
    "riding": ours("operator", values=True),
    "observe_values": observe_values,
    "two_pass_values": two_pass_values,
    "two_writes": two_writes,
    "one_write": one_write,
    "observation": ours("observation"),
    "two_pass": ours("two_pass"),
    "observe": observe,
}
