"""A spark-submit command: what it runs, under which name, and whether its driver will be a process of this machine.

Where that is not certain the driver is not watched: YARN and Kubernetes pass PYSPARK_DRIVER_PYTHON to a driver in the cluster, where a file
of this machine does not exist.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath

LAUNCHERS = ("spark-submit", "spark-submit.sh", "spark-submit2", "spark3-submit")
_FLAGS = ("--verbose", "-v", "--supervise", "--version", "--help", "-h", "--usage-error", "--load-spark-defaults")  # that take no value
_SHORT = {"-c": "--conf"}
_PYTHONS = ("spark.pyspark.driver.python", "spark.pyspark.python")  # either is stronger than PYSPARK_DRIVER_PYTHON
_HERE = ("local", "spark://")  # masters that take no Python driver into the cluster
_UNSURE = "whether its driver runs on this machine is not in the command; --deploy-mode client says so"


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkSubmit:
    """The arguments of a spark-submit."""

    launcher: str
    resource: str | None = None
    """What it runs: a script, a jar, or one of Spark's own shells."""
    options: Mapping[str, str] = field(default_factory=dict)
    conf: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str | None:
        """What it calls the application: its own name, else that of what it runs."""
        given = self.options.get("--name") or self.conf.get("spark.app.name")
        return given or (PurePath(self.resource).name if self.resource else None)

    @property
    def script(self) -> str | None:
        """The name of the Python script that it runs; None where it runs something else, or `spark-pd` itself."""
        path = PurePath(self.resource or "")
        return path.name if path.suffix == ".py" and path.parts[-2:] != ("spark_pd", "__main__.py") else None


def spark_submit_of(command: Sequence[str]) -> SparkSubmit | None:
    """The arguments, where the command is a spark-submit; None where it is not."""
    if PurePath(command[0]).name not in LAUNCHERS:
        return None
    options: dict[str, str] = {}
    conf: dict[str, str] = {}
    resource = None
    words = list(command[1:])
    while words and resource is None:
        word, given, value = words.pop(0).partition("=")
        if not word.startswith("-"):
            resource = word + given + value
        elif word not in _FLAGS:
            if not given:
                value = words.pop(0) if words else ""
            name = _SHORT.get(word, word)
            if name == "--conf":
                key, _, one = value.partition("=")
                conf[key] = one
            else:
                options[name] = value
    return SparkSubmit(launcher=command[0], resource=resource, options=options, conf=conf)


def why_not_watched(submission: SparkSubmit, environ: Mapping[str, str]) -> str | None:
    """Why PYSPARK_DRIVER_PYTHON may not choose the driver's Python, in words; None where it certainly does."""
    given = [submission.conf]
    if file := submission.options.get("--properties-file"):
        given.append(_properties(Path(file)))
    defaults = _defaults(submission, environ)
    known = [*given, defaults or {}]
    for name in _PYTHONS:
        if _first(known, name) is not None:
            return f"{name} chooses its driver's Python"
    for found, sure in ((given, True), (known, defaults is not None)):
        mode = submission.options.get("--deploy-mode") or _first(found, "spark.submit.deployMode")
        master = submission.options.get("--master") or _first(found, "spark.master")
        if mode == "cluster":
            return "its driver runs in the cluster"
        if sure and (mode == "client" or "--remote" in submission.options or (master or "").startswith(_HERE)):
            return None
    if defaults is None or environ.get("DEPLOY_MODE", "client") != "client":
        return _UNSURE
    return None


def _first(found: Sequence[Mapping[str, str]], name: str) -> str | None:
    return next((one[name] for one in found if name in one), None)


def _defaults(submission: SparkSubmit, environ: Mapping[str, str]) -> Mapping[str, str] | None:
    """What spark-defaults.conf says; None where it is not certain which one Spark will read."""
    folders = (
        [Path(environ["SPARK_CONF_DIR"])] if environ.get("SPARK_CONF_DIR") else [home / "conf" for home in _homes(submission, environ)]
    )
    # spark-env.sh may say anything, also where else the defaults are.
    if not folders or any((folder / "spark-env.sh").exists() for folder in folders):
        return None
    found: dict[str, str] = {}
    for folder in folders:
        found |= _properties(folder / "spark-defaults.conf")
    return found


def _homes(submission: SparkSubmit, environ: Mapping[str, str]) -> Iterator[Path]:
    """The folders where Spark may be; none where the program may be a wrapper that chooses another."""
    if environ.get("SPARK_HOME"):
        yield Path(environ["SPARK_HOME"])
        return
    program = shutil.which(submission.launcher, path=environ.get("PATH"))
    if program is None:
        return
    folder = Path(program).absolute().parent
    if (folder / "find_spark_home.py").exists():  # PySpark as pip installs it
        yield from folder.parent.glob("lib*/python*/site-packages/pyspark")
    elif (folder / "spark-class").exists():
        yield folder.parent


def _properties(file: Path) -> dict[str, str]:
    """The pairs of a file of Java properties, as far as Spark's own files use their grammar."""
    found = {}
    with suppress(OSError):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            pair = re.fullmatch(r"\s*([^#!=:\s][^=:\s]*)(?:\s*[=:]\s*|\s+|\s*$)(.*?)\s*", line)
            if pair:
                found[pair[1]] = pair[2]
    return found
