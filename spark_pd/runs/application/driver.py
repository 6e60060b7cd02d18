"""The driver of a spark-submit under `spark-pd exec`: its script, run as `spark-pd run` does, with the settings of `exec`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from spark_pd.model.errors import UsageError
from spark_pd.runs.application.watched_script import Application, run_watched
from spark_pd.runs.exec.driver_python import take
from spark_pd.settings import load_settings


def watched(folder: str, command: Sequence[str]) -> Callable[[], NoReturn]:
    """What runs a script and its arguments, watched. Raises anything where that cannot be; nothing has been done then."""
    options = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv)]
    if not all(option.startswith("-") for option in options):
        raise UsageError(f"{options} is run by Python, and not the script")
    handover = take(Path(folder))
    file = Path(handover.config_file) if handover.config_file else None
    settings = load_settings(spark_conf=handover.conf, environ=os.environ, config_file=file)
    return partial(run_watched, Application(handover.name, settings, handover.conf, file), command[0], command[1:])
