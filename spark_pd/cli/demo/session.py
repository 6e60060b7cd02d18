"""A Spark session for the demo: on this machine, quiet, and gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Spark's own console appender, at the level of errors: its warnings about this machine are no part of the story.
# The last logger is the one that PySpark looks at: with a level other than the root's it announces a new one.
LOGGING = """\
rootLogger.level = error
rootLogger.appenderRef.stdout.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n
logger.pyspark.name = org.apache.spark.api.python.PythonGatewayServer
logger.pyspark.level = error
"""


@contextmanager
def local_session(folder: Path, jars: Sequence[str] = ()) -> Iterator[SparkSession]:
    """A local session that keeps its files in `folder`, until the block ends; with `jars`, which are Delta's, it reads and writes Delta."""
    from pyspark.sql import SparkSession

    logging = folder / "log4j2.properties"
    logging.write_text(LOGGING)
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={logging.as_uri()}",
        "spark.local.dir": str(folder / "local"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    if jars:
        settings |= {
            "spark.jars": ",".join(jars),
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            # Tables of a few files: Delta would look for them by 50 tasks.
            "spark.databricks.delta.snapshotPartitions": "2",
        }
    builder = SparkSession.builder.master("local[*]").appName("spark_pd demo")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    try:
        yield spark
    finally:
        spark.stop()
