"""Who is measured: each reads the table, keeps the rows that no `drop` rule drops, and writes them; some count what failed.

The hand-written ones are what a user would write without spark_pd, as well as we can write it.
"""

from __future__ import annotations

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
    """A folder for Parquet; None: Spark's noop sink."""

    def read(self) -> Any:
        """The input."""
        return self.spark.read.parquet(str(self.parquet))

    def write(self, df: Any) -> None:
        """Write what is left of it."""
        if self.out is None:
            df.write.format("noop").mode("overwrite").save()
        else:
            df.write.mode("overwrite").parquet(str(self.out))

    def clear(self) -> None:
        """Remove what the last one wrote."""
        if self.out is not None:
            shutil.rmtree(self.out, ignore_errors=True)
        shutil.rmtree(self.errors, ignore_errors=True)

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
    observed = masked.observe(observation, *[count.alias(f"m{n}") for n, count in enumerate(counts)])
    kept = " AND ".join(f"({name} & {drop}L) = 0L" for name, drop in zip(names, drops, strict=True))
    job.write(observed.where(kept).drop(*names))
    found = observation.get
    total, any_rule, dropped, *each = (int(found[f"m{n}"]) for n in range(len(counts)))
    return total, any_rule, dropped, tuple(each)


def two_writes(job: Job) -> None:
    """By hand, with the rows that fail: a WHERE for those that stay, another for those that fail with the names of their rules."""
    from pyspark.sql import functions as sf

    filter_all(job)
    failed = " OR ".join(f"({mask}) <> 0L" for mask in job.masks())
    names = ", ".join(f"if({rule.expectation}, NULL, '{rule.name}')" for rule in job.rules)
    rows = job.read().where(failed).withColumn("failed_rules", sf.expr(f"array_compact(array({names}))"))
    rows.write.mode("overwrite").parquet(str(job.errors))


def ours(counting: str, **config: Any) -> Callable[[Job], Counts]:
    """spark_pd, by its public API, with the counting named. PagerDuty is not enabled: all is decided and nothing is sent.

    `config`: settings, with __ for a dot. An error table has to have just the rows that failed, and none by a second read.
    """
    named = {name.replace("__", "."): value for name, value in config.items()}

    def run(job: Job) -> Counts:
        import spark_pd

        monitor = spark_pd.install(job.spark, {"spark.pd.counting": counting, "spark.pd.error.table": f"{job.errors}/{{table}}", **named})
        with monitor.run("benchmark", rules=[rule.as_user_gives_it() for rule in job.rules]) as run:
            job.write(run.check(job.read()))
        stats = run.stats
        if stats is None or not stats.exact or stats.counting != counting:
            raise AssertionError(f"{counting}: no exact counts: {stats}")
        kept = run.error_table
        if kept is not None and (not kept.exact or kept.read_again or kept.rows != stats.error_count):
            raise AssertionError(f"{counting}: another error table than was meant: {kept}")
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
    "two_writes": two_writes,
    "observation": ours("observation"),
    "two_pass": ours("two_pass"),
    "observe": observe,
}
