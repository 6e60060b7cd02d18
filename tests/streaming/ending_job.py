"""A job that a streaming query ends by its failure, and whose session is stopped while another one goes on."""

from __future__ import annotations

import sys
import time

from pyspark.sql import SparkSession

import spark_pd
from spark_pd import user_config


def main(folder: str, url: str, key: str) -> None:
    config = {
        user_config.se_notifications_enable_pagerduty: True,
        user_config.se_notifications_pagerduty_integration_key: key,
        user_config.se_notifications_pagerduty_webhook_url: url,
        user_config.spark_pd_outbox_path: f"{folder}/outbox",
    }
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.driver.host", "127.0.0.1")
    spark = builder.config("spark.sql.warehouse.dir", f"{folder}/warehouse").config("spark.driver.bindAddress", "127.0.0.1").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    monitor = spark_pd.install(spark, config)
    rate = spark.readStream.format("rate").option("rowsPerSecond", 10).load()
    watched = monitor.watch(rate.writeStream.format("noop").queryName("goes_on").start())
    try:
        with monitor.run("ticks", rules=[{"rule": "r", "expectation": "value >= 0"}]) as run:
            broken = run.check(rate).selectExpr("if(value >= 0, raise_error('boom'), value) AS value")
            query = broken.writeStream.format("noop").queryName("breaks").start()
            monitor.watch(query)
            query.awaitTermination()
    finally:
        before = time.monotonic()
        spark.stop()
        took = time.monotonic() - before
        watched.settle()
        print(f"STOPPED {[alert.state for alert in watched.alerts if alert.state == 'firing']} after {took:.2f} s", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
