"""One Settings value from code, Spark's configuration, the environment and a YAML file; every mistake in one error.

    settings = load_settings({"spark.pd.deadline": 3}, spark_conf=dict(spark.sparkContext.getConf().getAll()))

`table` declares every setting, `user_config` has the names to use as keys.
"""

from __future__ import annotations

from spark_pd.settings import user_config
from spark_pd.settings.definitions import SETTINGS
from spark_pd.settings.loading import load_settings
from spark_pd.settings.names import setting_names
from spark_pd.settings.setting import Setting
from spark_pd.settings.trigger_definitions import TRIGGERS
from spark_pd.settings.values import Settings

__all__ = ["SETTINGS", "TRIGGERS", "Setting", "Settings", "load_settings", "setting_names", "user_config"]
