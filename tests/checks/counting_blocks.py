"""What blocks do with a checked frame before they end, and which countings must know what of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from counting_world import World
from pyspark import StorageLevel
from pyspark.sql import functions as F

EXACT, UNKNOWN, EITHER = "exact", "unknown", "either"


def always_fails(column: str = "id") -> Any:
    """A function that fails in the last file's rows, so that others were read before."""

    @F.udf("long")
    def fail(x: int) -> int:
        if x == 5990:
            raise ValueError("always")
        return x

    return fail(column)


def fails_once(marker: Path, at: int) -> Any:
    """A function that fails at one row the first time."""

    @F.udf("long")
    def fail(x: int) -> int:
        if x == at and not marker.exists():
            marker.touch()
            raise ValueError("once")
        return x

    return fail("id")


def loses_shuffle_files(world: World) -> Any:
    """A function that deletes the shuffle's files the first time: the stage before it must run again."""
    marker, local = world.folder / "lost", Path(world.spark.conf.get("spark.local.dir"))

    @F.udf("long")
    def lose(x: int) -> int:
        if not marker.exists():
            marker.touch()
            for file in local.glob("**/shuffle_*"):
                file.unlink(missing_ok=True)
        return x

    return lose("id")


def show_then_write(w: World, d: Any) -> None:
    d.show(3)
    w.save(d)


def many_looks_then_write(w: World, d: Any) -> None:
    d.take(5), d.isEmpty(), d.count(), d.limit(7).collect(), d.filter("1 = 0").collect()
    w.save(d)


def write_then_looks(w: World, d: Any) -> None:
    w.save(d)
    d.take(5), d.count(), d.orderBy("id").collect()


def two_writes(w: World, d: Any) -> None:
    w.save(d)
    w.save(d.orderBy("distance"), "second")


def two_halves(w: World, d: Any) -> None:
    w.save(d.filter("distance < 1000"))
    d.filter("distance >= 1000").write.mode("append").parquet(str(w.out))


def limited_write_and_whole_write(w: World, d: Any) -> None:
    w.save(d.limit(5), "some")
    w.save(d)


def two_threads_write_one(w: World, d: Any) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: w.save(d.orderBy("distance"), name), ["out", "second"]))


def cached_written_twice(w: World, d: Any) -> None:
    with cached(d):
        w.save(d)
        w.save(d.filter("id >= 0"), "second")


class cached:
    """The frame is cached inside."""

    def __init__(self, df: Any, level: Any = StorageLevel.MEMORY_ONLY) -> None:
        self._df = df
        df.persist(level)

    def __enter__(self) -> Any:
        return self._df

    def __exit__(self, *_: object) -> None:
        self._df.unpersist(True)


def cached_looked_at_then_written(w: World, d: Any) -> None:
    with cached(d):
        d.take(1)
        w.save(d)


def cached_on_disk_counted_then_written(w: World, d: Any) -> None:
    with cached(d, StorageLevel.DISK_ONLY):
        d.count()
        w.save(d)


def cached_counted_dropped_then_written(w: World, d: Any) -> None:
    with cached(d):
        d.count()
    w.save(d)


def cached_derived(w: World, d: Any) -> None:
    with cached(d.groupBy("carrier").count()) as counts:
        counts.count()
        w.save(counts)


def cached_limit(w: World, d: Any) -> None:
    with cached(d.limit(10)) as some:
        w.save(some)


def cache_table(w: World, d: Any) -> None:
    d.createOrReplaceTempView("checked_cached")
    w.spark.sql("CACHE TABLE checked_cached")
    w.save(w.spark.table("checked_cached"))
    w.spark.sql("UNCACHE TABLE checked_cached")


def local_checkpoint(w: World, d: Any) -> None:
    made = d.localCheckpoint()
    w.save(made)
    w.save(made, "second")


def lazy_checkpoint(w: World, d: Any) -> None:
    w.save(d.localCheckpoint(eager=False))


def reliable_checkpoint(w: World, d: Any) -> None:
    w.spark.sparkContext.setCheckpointDir(str(w.folder / "checkpoints"))
    w.save(d.checkpoint())


def failed_then_written(w: World, d: Any) -> None:
    failed_only(w, d)
    w.save(d)


def failed_only(w: World, d: Any) -> None:
    with pytest.raises(Exception, match="always"):
        w.save(d.withColumn("z", always_fails()))


def failed_behind_a_shuffle(w: World, d: Any) -> None:
    with pytest.raises(Exception, match="always"):  # the check's own stage has completed by then
        w.save(d.repartition(4, "carrier").withColumn("z", always_fails()))


def failed_then_limited_write(w: World, d: Any) -> None:
    failed_behind_a_shuffle(w, d)
    w.save(d.limit(10))


def counted_then_limited_write(w: World, d: Any) -> None:
    d.count()
    w.save(d.limit(10))


def counted_only(w: World, d: Any) -> None:
    assert d.count() == len(d.collect()) == sum(1 for _ in d.toLocalIterator())
    d.foreach(lambda row: None), d.rdd.count(), d.tail(3)


def another_frame_written(w: World, d: Any) -> None:
    d.count()
    w.save(w.read())


def only_cached(w: World, d: Any) -> None:
    with cached(d):
        d.count()


def only_viewed(w: World, d: Any) -> None:
    d.createOrReplaceTempView("checked_view")
    w.spark.sql("CACHE TABLE checked_view2 AS SELECT * FROM checked_view")
    w.spark.sql("DROP VIEW checked_view2")
    d.explain()


def retried_task(w: World, d: Any) -> None:
    w.save(d.withColumn("z", fails_once(w.folder / "retried", 3990)))
    assert (w.folder / "retried").exists()


def retried_map_task(w: World, d: Any) -> None:
    w.save(d.withColumn("z", fails_once(w.folder / "retried", 3990)).orderBy("z"))
    assert (w.folder / "retried").exists()


def retried_stage(w: World, d: Any) -> None:
    w.save(d.repartition(8, "id").withColumn("z", loses_shuffle_files(w)))
    assert (w.folder / "lost").exists()


def retried_stage_of_a_range(w: World, d: Any) -> None:
    w.save(d.repartitionByRange(8, "id").withColumn("z", loses_shuffle_files(w)))
    assert (w.folder / "lost").exists()


def to_noop(w: World, d: Any) -> None:
    d.write.format("noop").mode("overwrite").save()


def to_table_and_back(w: World, d: Any) -> None:
    with table(w, "t_saved"):
        d.write.saveAsTable("t_saved")
        w.save(w.spark.table("t_saved"))


class table:
    """A table that is gone afterwards."""

    def __init__(self, w: World, name: str) -> None:
        self._drop = lambda: w.spark.sql(f"DROP TABLE IF EXISTS {name}")
        self._drop()

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._drop()


def inserted(w: World, d: Any) -> None:
    with table(w, "t_inserted"):
        w.read().limit(0).write.saveAsTable("t_inserted")
        d.write.insertInto("t_inserted")
        w.save(w.spark.table("t_inserted"))


def created_through_a_view(w: World, d: Any) -> None:
    with table(w, "t_created"):
        d.createOrReplaceTempView("checked_view")
        w.spark.sql("CREATE TABLE t_created USING parquet AS SELECT * FROM checked_view")
        w.save(w.spark.table("t_created"))


def inserted_by_sql(w: World, d: Any) -> None:
    with table(w, "t_sql"):
        d.createOrReplaceTempView("checked_view")
        w.read().limit(3).write.saveAsTable("t_sql")
        w.spark.sql("INSERT OVERWRITE t_sql WITH c AS (SELECT * FROM checked_view) SELECT * FROM c WHERE id >= 0")
        w.save(w.spark.table("t_sql"))


def inserted_into_a_directory(w: World, d: Any) -> None:
    d.createOrReplaceTempView("checked_view")
    w.spark.sql(f"INSERT OVERWRITE DIRECTORY '{w.out}' USING parquet SELECT * FROM checked_view")


def written_to_by_v2(w: World, d: Any) -> None:
    with table(w, "t_v2"):
        d.writeTo("t_v2").using("parquet").create()
        w.save(w.spark.table("t_v2"))


def bucketed(w: World, d: Any) -> None:
    with table(w, "t_bucketed"):
        d.write.bucketBy(3, "id").sortBy("id").saveAsTable("t_bucketed")
        w.save(w.spark.table("t_bucketed"))


def by_jdbc(w: World, d: Any) -> None:
    url = "jdbc:derby:memory:spark_pd_tests;create=true"
    d.select("id", "flight").write.mode("overwrite").jdbc(url, "checked")
    w.save(w.spark.read.jdbc(url, "checked").selectExpr("ID AS id").join(w.read(), "id"))


def from_another_session(w: World, d: Any) -> None:
    d.createOrReplaceGlobalTempView("checked_global")
    w.save(w.spark.newSession().table("global_temp.checked_global"))


@dataclass(frozen=True)
class Block:
    """What a block does with the checked frame, and which countings must know what of it."""

    do: Callable[[World, Any], None]
    operator: str = EXACT
    two_pass: str = EXACT
    observation: str = EITHER
    rows: str | None = "SELECT * FROM kept"
    """What must stand in the folder that was written, in DuckDB's SQL."""

    def must(self, counting: str) -> str:
        return {"operator": self.operator, "two_pass": self.two_pass, "observation": self.observation}[counting]


def never(do: Callable[[World, Any], None], rows: str | None = None) -> Block:
    """Nothing that was checked was written: nobody may claim to know."""
    return Block(do, UNKNOWN, UNKNOWN, UNKNOWN, rows)


WITH_Z = "SELECT *, id AS z FROM kept"

BLOCKS = [
    Block(show_then_write, observation=EXACT),
    Block(many_looks_then_write, observation=EXACT),
    Block(write_then_looks, observation=EXACT),
    Block(two_writes),
    Block(two_halves, observation=EXACT),
    Block(limited_write_and_whole_write),
    Block(two_threads_write_one),
    Block(cached_written_twice),
    Block(cached_looked_at_then_written),
    Block(cached_on_disk_counted_then_written),
    Block(cached_counted_dropped_then_written, observation=EXACT),
    Block(cached_derived, rows="SELECT carrier, count(*) AS count FROM kept GROUP BY carrier"),
    Block(cached_limit, operator=UNKNOWN, observation=UNKNOWN, rows=None),
    Block(cache_table),
    Block(local_checkpoint),
    Block(lazy_checkpoint, operator=EITHER),
    Block(reliable_checkpoint),
    Block(failed_then_written, observation=EXACT),
    never(failed_only),
    never(failed_behind_a_shuffle),
    Block(failed_then_limited_write, operator=UNKNOWN, observation=UNKNOWN, rows=None),
    Block(counted_then_limited_write, operator=UNKNOWN, observation=UNKNOWN, rows=None),
    never(counted_only),
    never(another_frame_written, "SELECT * FROM input"),
    never(only_cached),
    never(only_viewed),
    never(lambda w, d: None),
    Block(retried_task, rows=WITH_Z),
    Block(retried_map_task, rows=WITH_Z),
    Block(retried_stage, rows=WITH_Z),
    Block(retried_stage_of_a_range, rows=WITH_Z),
    Block(to_noop, observation=EXACT, rows=None),
    Block(to_table_and_back, observation=EXACT),
    Block(inserted, observation=EXACT),
    Block(created_through_a_view, observation=EXACT),
    Block(inserted_by_sql, observation=EXACT),
    Block(inserted_into_a_directory, observation=EXACT),
    Block(written_to_by_v2, observation=EXACT),
    Block(bucketed),
    Block(by_jdbc),
    Block(from_another_session, operator=EITHER, observation=EXACT),  # that session does not plan by our strategy
]
