"""A job whose streaming query fails, or whose session is stopped while it runs. Run by test_streaming_restarts.py."""

from __future__ import annotations

import sys
import time

from pyspark.sql import SparkSession

import spark_pd
from spark_pd import user_config


def main(ending: str, folder: str, url: str, key: str) -> None:
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.warehouse.dir", f"{folder}/warehouse")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    config = {
        user_config.se_notifications_enable_pagerduty: True,
        user_config.se_notifications_pagerduty_integration_key: key,
        user_config.se_notifications_pagerduty_webhook_url: url,
        user_config.spark_pd_outbox_path: f"{folder}/outbox",
    }
    monitor = spark_pd.install(spark, config)
    rate = spark.readStream.format("rate").option("rowsPerSecond", 10).load()
    with monitor.run("ticks", rules=[{"rule": "r", "expectation": "value >= 0"}]) as run:
        ticks = run.check(rate)
        if ending == "fails":
            ticks = ticks.selectExpr("if(value >= 0, raise_error('boom'), value) AS value")
        query = ticks.writeStream.format("noop").option("checkpointLocation", f"{folder}/checkpoint").queryName("ticks").start()
        watched = monitor.watch(query)
        if ending == "fails":
            query.awaitTermination()
    until = time.monotonic() + 60
    while not watched.batches and time.monotonic() < until:
        time.sleep(0.1)
    spark.stop()
    print("STOPPED", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
