"""The driver of a spark-submit under `spark-pd exec`, without its JVM: a launcher starts the driver's Python as Spark's own scripts do.

Spark itself is in test_exec_submit.py.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.application.conftest import SPARK_PD
from tests.application.test_run_script import RUNS, SCRIPTS, TOLD, as_seen
from tests.crash.conftest import EXEC, triggers

KEY = "spark_pd/test/-/job.py/failure"
OF_THE_RUN = "spark_pd/test/-/orders/failure"
# find-spark-home has the driver's Python run a script of Spark's own first.
LAUNCHER = """#!/usr/bin/env bash
while [ "${1#--}" != "$1" ]; do shift 2; done
driver="${PYSPARK_DRIVER_PYTHON:-${PYSPARK_PYTHON:-python3}}"
[ "$($driver "$(dirname "$0")/find_spark_home.py")" = home ] || exit 99
exec "$driver" "$@"
"""


@pytest.fixture
def spark_submit(tmp_path: Path) -> list[str]:
    """A launcher of that name, whose driver is here."""
    folder = tmp_path / "spark" / "bin"
    folder.mkdir(parents=True)
    (folder / "spark-submit").write_text(LAUNCHER)
    (folder / "spark-submit").chmod(0o755)
    (folder / "find_spark_home.py").write_text("print('home')")
    return [str(folder / "spark-submit"), "--master", "local[1]"]


@pytest.fixture
def python(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """An environment that chooses the driver's Python: somebody's script, which runs this one with options."""

    def write(options: str) -> dict[str, str]:
        path = tmp_path / "their-python"
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {options} "$@"\n')
        path.chmod(0o755)
        return {"PYSPARK_DRIVER_PYTHON": str(path)}

    return write


@pytest.fixture
def enabled(enabled: dict[str, str]) -> dict[str, str]:
    """What is tried here is what is told, not how fast a busy machine is."""
    return enabled | {"SPARK_PD_DEADLINE": "60"}


def of_the_job(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    """What was seen of it, without what exec says in its own name."""
    code, output, errors = as_seen(done)
    return code, output, "".join(line for line in errors.splitlines(keepends=True) if not line.startswith("spark-pd exec: "))


SAME = ["raises", "exits with a text", "interrupted", "killed", "main", "a module of our name", "processes"]


@pytest.mark.parametrize("case", SAME)
def test_a_script_does_what_it_does_without(ended, script, environ, spark_submit, case) -> None:
    for module in ("settings", "model"):
        script("mine = 'mine'", f"{module}.py")
    path = script(SCRIPTS[case])
    alone = as_seen(ended(*spark_submit, path, "--day", "a  b", only=environ, input="typed\n"))
    assert of_the_job(ended(*EXEC, "--", *spark_submit, path, "--day", "a  b", only=environ, input="typed\n")) == alone


ENVIRONMENT = """
import json, os, sys
environ = {name: value for name, value in os.environ.items() if name != "SPARK_PD_EXEC_JOURNAL"}
watched = "spark_pd.runs.application.watched_script" in sys.modules
print(json.dumps([environ, sys.argv, sys.warnoptions, sys.executable, watched], sort_keys=True))
"""


@pytest.mark.parametrize("options", [None, "-Werror::ResourceWarning"], ids=["by PYSPARK_PYTHON", "by PYSPARK_DRIVER_PYTHON"])
def test_the_environment_and_the_python_are_those_that_it_has_without(ended, script, environ, spark_submit, python, options) -> None:
    """Also a variable whose name is none to most shells, and those that a shell script might use itself."""
    mine = {**environ, "spark.of.mine": "x y", "python": "mine", "QUOTED": "'\"$x"} | (python(options) if options else {})
    path = script(ENVIRONMENT)
    alone = ended(*spark_submit, path, only=mine)
    assert (alone.returncode, alone.stderr) == (0, "")
    under = ended(*EXEC, "--", *spark_submit, path, only=mine)
    assert (under.returncode, under.stdout, under.stderr) == (0, alone.stdout.replace("false]", "true]"), "")


RUNNER = "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.mark.parametrize(("options", "why"), [("-I -S", "ModuleNotFoundError"), ("runner.py", "UsageError")])
def test_where_the_drivers_python_cannot_watch_it_does_what_it_did_and_exec_says_so(
    ended, script, environ, spark_submit, python, options, why
) -> None:
    """A Python without spark_pd, and one (as IPython) that runs a program, and that the job's script."""
    mine = environ | python(options.replace("runner.py", script(RUNNER, "runner.py")))
    path = script("import sys; print(sys.argv, sys.flags.isolated, sys.flags.no_site, __name__, __file__, sys.path[0])")
    alone = ended(*spark_submit, path, "x", only=mine)
    under = ended(*EXEC, "--", *spark_submit, path, "x", only=mine)
    assert alone.returncode == 0
    assert of_the_job(under) == as_seen(alone)
    assert f"spark-pd exec: the job was not watched as spark-pd run does it: {why}" in under.stderr


def test_no_lifecycle_leaves_the_driver_alone(ended, script, environ, spark_submit) -> None:
    path = script(ENVIRONMENT)
    alone = ended(*spark_submit, path, only=environ)
    assert as_seen(ended(*EXEC, "--no-lifecycle", "--", *spark_submit, path, only=environ)) == as_seen(alone)
    assert alone.stdout.endswith("false]\n")


def test_a_driver_that_may_be_in_the_cluster_is_left_alone_and_exec_says_so(ended, script, environ, spark_submit) -> None:
    path = script(ENVIRONMENT)
    done = ended(*EXEC, "--", *spark_submit, "--deploy-mode", "cluster", path, only=environ)
    assert done.stdout.endswith("false]\n")
    assert done.stderr == "spark-pd exec: the job was not watched as spark-pd run does it: its driver runs in the cluster\n"


def test_a_folder_that_sparks_scripts_cannot_run_from_costs_nothing_but_the_watching(
    ended, script, environ, spark_submit, tmp_path
) -> None:
    (tmp_path / "a folder").mkdir()
    done = ended(*EXEC, "--", *spark_submit, script(ENVIRONMENT), only=environ | {"TMPDIR": str(tmp_path / "a folder")})
    assert done.returncode == 0
    assert "Spark's scripts cannot run what lies in" in done.stderr


def test_a_python_that_sparks_own_scripts_choose_is_left_alone_and_exec_says_so(ended, script, environ, spark_submit) -> None:
    """As spark-env.sh may."""
    launcher = Path(spark_submit[0])
    launcher.write_text(LAUNCHER.replace("driver=", f"export PYSPARK_DRIVER_PYTHON={sys.executable}\ndriver="))
    done = ended(*EXEC, "--", *spark_submit, script(ENVIRONMENT), only=environ)
    assert done.stdout.endswith("false]\n")
    assert done.stderr == "spark-pd exec: the job was not watched as spark-pd run does it: its driver had another Python\n"


SHOWN = """
import os, pathlib
def text(path):
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""
processes = [text(path / name) for path in pathlib.Path("/proc").glob("[0-9]*") for name in ("cmdline", "environ")]
folder = pathlib.Path(os.environ["SPARK_PD_EXEC_JOURNAL"])
print([kept for kept in [*processes, *map(text, folder.iterdir())] if "env:OF_THE" + "_TEST" in kept], oct(folder.stat().st_mode & 0o777))
raise ValueError("x")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_settings_of_exec_reach_the_driver_by_a_file_that_is_gone_by_then(
    ended, script, environ, spark_submit, sandbox, outbox_folder
) -> None:
    """The environment has none of them. What exec itself was given is on its own command line, by the user's will: here it is a file."""
    settings = script(
        f"""
        spark.expectations.notifications.pagerduty.enabled: true
        spark.expectations.notifications.pagerduty.webhook.url: {sandbox.url}
        spark.pd.outbox.path: {outbox_folder}
        """,
        "settings.yaml",
    )
    conf = ["--conf", "spark.pd.environment=test", "--config-file", settings]
    key = ["--conf", "spark.expectations.notifications.pagerduty.integration.key=env:OF_THE_TEST"]
    mine = environ | {"OF_THE_TEST": sandbox.key}
    done = ended(*EXEC, *conf, *key, "--", *spark_submit, script(SHOWN), only=mine)
    assert done.returncode == 1
    shown, _, mode = done.stdout.strip().rpartition(" ")
    assert (shown.count("--config-file"), shown.count("OF_THE"), mode) == (1, 1, "0o700")  # exec's own command line
    (incident,) = sandbox.open_incidents()
    assert incident.dedup_key == KEY
    assert incident.summary == "[test] job.py failed: ValueError: x"  # exec alone knows no more than an exit code
    assert triggers(sandbox) == [KEY]


@pytest.mark.parametrize("case", ["its exception", "an exit code after it"])
def test_what_a_run_of_the_job_told_is_told_by_nobody_else(ended, script, sandbox, spark_submit, case) -> None:
    assert ended(*EXEC, "--", *spark_submit, script(RUNS + TOLD[case])).returncode == 1
    assert triggers(sandbox) == [OF_THE_RUN]


def test_the_application_has_the_name_that_exec_or_spark_submit_gives_it(ended, script, sandbox, spark_submit) -> None:
    path = script("raise ValueError")
    ended(*EXEC, "--", *spark_submit, "--name", "nightly", path)
    ended(*EXEC, "--name", "mine", "--", *spark_submit, "--name", "nightly", path)
    assert triggers(sandbox) == ["spark_pd/test/-/nightly/failure", "spark_pd/test/-/mine/failure"]


def test_under_two_execs_the_inner_one_watches(ended, script, sandbox, spark_submit, tmp_path) -> None:
    """As where somebody's spark-submit is a wrapper around exec: the inner one finds the outer one's Python."""
    wrapper = tmp_path / "spark-submit"
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.join([*EXEC, "--name", "inner", "--", spark_submit[0]])} "$@"\n')
    wrapper.chmod(0o755)
    path = script("import sys; print(sys.argv, sys.path[0] in __file__); raise ValueError('x')")
    done = ended(*EXEC, "--name", "outer", "--", str(wrapper), *spark_submit[1:], path, "a")
    assert (done.returncode, done.stdout) == (1, f"{[path, 'a']} True\n")
    inner, outer = sandbox.open_incidents()
    assert inner.summary == "[test] inner failed: ValueError: x"
    assert outer.summary == "[test] outer failed: the job ended with exit code 1"  # it has no word of what the inner one's job told


def test_a_script_that_calls_spark_pd_run_leaves_the_watching_to_that(ended, script, sandbox) -> None:
    inner = script("print('inner')")
    outer = script(f"from spark_pd.cli import main; main(['run', {inner!r}])", "outer.py")
    assert as_seen(ended(*SPARK_PD, "run", outer)) == (0, "inner\n", "")
    assert [event["dedup_key"] for event in sandbox.events] == [KEY]
