"""Replaces the driver's Python under `spark-pd exec`, so that spark-submit's job runs as under `spark-pd run`.

PYSPARK_DRIVER_PYTHON -> a shell script in the journal's folder -> the user's own Python, with driver_main.py before the job's script
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from spark_pd.runs.exec.spark_submit import spark_submit_of, why_not_watched

VARIABLE = "PYSPARK_DRIVER_PYTHON"
_PYTHON, _MAIN, _HANDOVER, _UNWATCHED = "driver-python", "spark_pd_driver.py", "application.json", "unwatched"

# bash, as Spark's own scripts: dash drops variables whose names are no names to it. Only the job's script is watched: spark-submit runs
# other things with the driver's Python too. The job does not see the variable, so what it starts is not watched.
_SCRIPT = """\
#!/usr/bin/env bash
set -- {python} "$@"
{restore}
if [ "${{2##*/}}" = {script} ] && [ -r {main} ]; then
  set -- "$1" {main} "${{@:2}}"
fi
exec "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What `exec` passes to the application's run in the driver, in a file that only its owner can read: conf may hold a key."""

    name: str
    config_file: str | None = None
    """An absolute path."""
    conf: Mapping[str, str] = field(default_factory=dict, repr=False)


def watched_environ(
    command: Sequence[str], folder: Path, handover: Handover, environ: Mapping[str, str]
) -> tuple[dict[str, str], str | None]:
    """The environment in which a spark-submit of a Python script has its driver watched; and why it is not, where that is not possible."""
    submission = spark_submit_of(command)
    if submission is None or submission.script is None:
        return dict(environ), None
    if why := why_not_watched(submission, environ):
        return dict(environ), why
    try:
        return {**environ, VARIABLE: str(_put(folder, submission.script, handover, environ.get(VARIABLE)))}, None
    except OSError as error:
        return dict(environ), str(error)


def _put(folder: Path, script: str, handover: Handover, chosen: str | None) -> Path:
    """Write the script that replaces the driver's Python and starts the `chosen` one. Raises OSError where the folder cannot hold it."""
    python, main = folder / _PYTHON, folder / _MAIN
    if shlex.quote(str(python)) != str(python):
        raise OSError(f"Spark's scripts cannot run what lies in {folder}")
    text = _SCRIPT.format(
        python=shlex.quote(chosen) if chosen else '"${PYSPARK_PYTHON:-python3}"',
        restore=f"export {VARIABLE}={shlex.quote(chosen)}" if chosen else f"unset {VARIABLE}",
        script=shlex.quote(script),
        main=main,
    )
    main.write_bytes((files("spark_pd.runs.application") / "driver_main.py").read_bytes())
    content = json.dumps({"name": handover.name, "config_file": handover.config_file, "conf": dict(handover.conf)})
    _write(folder / _HANDOVER, content, mode=0o600)
    _write(python, text, mode=0o700)
    if not os.access(python, os.X_OK):
        raise OSError(f"nothing can be run from {folder}")
    return python


def take_handover(folder: Path) -> Handover:
    """Read and remove what `exec` passed. Raises OSError and ValueError."""
    path = folder / _HANDOVER
    found = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    return Handover(name=found["name"], config_file=found["config_file"], conf=found["conf"])


def why_unwatched(folder: Path, *, ended_well: bool) -> str | None:
    """Why the job was not watched after all, in words; None where it was, or may have ended before."""
    with suppress(OSError):
        return (folder / _UNWATCHED).read_text(encoding="utf-8", errors="replace")
    return "its driver had another Python" if ended_well and (folder / _HANDOVER).exists() else None


def _write(path: Path, text: str, *, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
