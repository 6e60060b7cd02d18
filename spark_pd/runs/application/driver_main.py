"""What the driver's Python runs before the job's script, copied into the journal's folder by `spark-pd exec`.

It may run in any Python 3, and spark_pd may be missing or of another version: then the job is run as without spark_pd.
"""

from __future__ import annotations

import os
import sys


def _run_unwatched(folder: str, error: BaseException) -> None:
    try:
        with open(os.path.join(folder, "unwatched"), "w", encoding="utf-8") as file:  # noqa: PTH118, PTH123
            file.write(f"{type(error).__name__}: {error}")
    except OSError:
        pass
    given = getattr(sys, "orig_argv", None) or [sys.executable, *sys.argv]  # Python 3.9 and before
    place = len(given) - len(sys.argv)
    os.execv(sys.executable, [*given[:place], *given[place + 1 :]])


def _main() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    try:
        from spark_pd.runs.application.watched_script import watched_driver

        run = watched_driver(folder, sys.argv[1:])
    except Exception as error:
        _run_unwatched(folder, error)
    else:
        run()


if __name__ == "__main__":
    _main()
