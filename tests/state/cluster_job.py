"""One run on a cluster of its own: its own driver, its own disk, and the stats table that all share. Prints what became of its alerts.

python cluster_job.py URL KEY STATS OUTBOX ROWS
"""

from __future__ import annotations

import json
import sys

from pyspark.sql import SparkSession

import spark_pd
from spark_pd import user_config
from tests.end_to_end.shared import THRESHOLD_ON, write

TENS = {"rule": "tens", "expectation": "id % 10 <> 0", "action_if_failed": "drop"}


def main(url: str, key: str, stats: str, outbox: str, rows: str) -> None:
    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    config = {
        user_config.se_notifications_enable_pagerduty: True,
        user_config.se_notifications_pagerduty_webhook_url: url,
        user_config.se_notifications_pagerduty_integration_key: key,
        user_config.spark_pd_limit_error_drop_threshold: 10,
        user_config.spark_pd_stats_table: stats,
        user_config.spark_pd_outbox_path: outbox,
        **THRESHOLD_ON,
    }
    with spark_pd.install(spark, config).run("orders", rules=[TENS]) as run:
        write(run.check(spark.range(1, 1 + int(rows))))
    print("FOUND " + json.dumps([[d.alert.trigger, d.alert.state, d.status] for d in run.deliveries]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
