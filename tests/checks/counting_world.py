"""Where the counting is tried: Spark, some flights and a folder; and what must be true of a run's statistics whatever counted them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flights_data import FLIGHT_RULES, FlightRule, Oracle, Truth, parquet

from spark_pd import RunStats


@dataclass(frozen=True)
class World:
    """Spark, a few thousand flights in several files, and a folder to write to."""

    spark: Any
    source: Path
    folder: Path

    @property
    def out(self) -> Path:
        """Where a use writes, unless it says otherwise."""
        return self.folder / "out"

    @property
    def rows(self) -> str:
        """DuckDB's query of all flights."""
        return f"SELECT * FROM read_parquet('{self.source}/*.parquet')"

    def read(self) -> Any:
        """The flights."""
        return self.spark.read.parquet(str(self.source))

    def save(self, df: Any, name: str = "out") -> None:
        """Write as Parquet, over what is there."""
        df.write.mode("overwrite").parquet(str(self.folder / name))

    def written(self, name: str = "out") -> str:
        """DuckDB's query of what was saved."""
        return parquet(self.folder / name)

    def oracle(self, rules: tuple[FlightRule, ...] = FLIGHT_RULES, source: str | None = None) -> Oracle:
        """DuckDB over the flights, or over another source, with these rules."""
        return Oracle(source or self.rows, rules)

    @contextmanager
    def conf(self, **settings: str) -> Iterator[None]:
        """Spark SQL settings for a while; __ stands for a dot."""
        names = {name.replace("__", "."): value for name, value in settings.items()}
        before = {name: self.spark.conf.get(name, None) for name in names}
        for name, value in names.items():
            self.spark.conf.set(name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    self.spark.conf.unset(name)
                else:
                    self.spark.conf.set(name, value)


def counts_of(stats: RunStats) -> Truth | None:
    """The counts of a run's statistics; None where they are unknown. What is said must hold together, whatever was counted."""
    if not stats.exact:
        assert (stats.input_count, stats.error_count, stats.dropped_count, stats.output_count) == (None, None, None, None)
        assert (stats.error_percentage, stats.output_percentage, stats.success_percentage, stats.error_drop_percentage) == (None,) * 4
        assert {(rule.status, rule.failed_count, rule.failed_percentage) for rule in stats.rules} <= {("unknown", None, None)}
        assert stats.status != "passed"
        return None
    assert stats.input_count is not None
    assert stats.error_count is not None
    assert stats.dropped_count is not None
    assert stats.output_count == stats.input_count - stats.dropped_count
    for rule in stats.rules:
        assert rule.status == ("failed" if rule.failed_count else "passed")
    return Truth(stats.input_count, stats.error_count, stats.dropped_count, {r.name: r.failed_count or 0 for r in stats.rules})


def assert_stats(stats: RunStats | None, truth: Truth, must: str = "exact") -> None:
    """The counts are right, or unknown where `must` is not exact; and unknown where it must be."""
    assert stats is not None
    found = counts_of(stats)
    if found is None:
        assert must != "exact", f"{stats.counting} said unknown where it must know"
    else:
        assert found == truth, f"{stats.counting} was WRONG"
        assert must != "unknown", f"{stats.counting} said exact where nobody can know"
