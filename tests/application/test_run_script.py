"""`spark-pd run` of scripts without Spark: all that Python would do, and an incident where the application fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.application.conftest import SPARK_PD
from tests.crash.conftest import EXEC, finished, markers, triggers, until_ready

KEY = "spark_pd/test/-/job.py/failure"

SCRIPTS = {
    "ends well": "print('hello')",
    "raises": "import atexit; atexit.register(print, input())\ndef f():\n    raise ValueError('no')\nf()",
    "raises from": "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise RuntimeError('x') from error",
    "syntax": "print('a'\n",
    "exits with 3": "import sys; sys.exit(3)",
    "exits with a text": "import sys; sys.exit('gone')",
    "exits with 256": "import sys; sys.exit(256)",
    "os._exit": "import os; os._exit(7)",
    "interrupted": "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)",
    "killed": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "a thread goes on": "import threading\nthreading.Timer(0.2, print, ['thread']).start(); raise KeyError('k')",
    "a pool is left": "import concurrent.futures as c\np = c.ThreadPoolExecutor(1); p.submit(print, 'x').result(); raise KeyError('k')",
    "main": """if __name__ == '__main__':
    import sys, __main__
    print(sys.argv, __file__, __name__, __package__, __spec__, __doc__, __main__.__dict__ is globals(), sys.path[0], sorted(globals()))
""",
    "a module beside it": "import helper; print(helper.__file__)",
    "a module of our name": "import settings, model; print(settings.mine, model.mine)",
    "an excepthook": "import sys; sys.excepthook = lambda *a: print('mine', a[0]); raise KeyError('k')",
    "pickles": "import pickle\nclass C: pass\nprint(type(pickle.loads(pickle.dumps(C()))) is C)",
    "processes": """import multiprocessing
def f(x): return x + 1
if __name__ == '__main__':
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        print(pool.map(f, [1, 2]))
""",
    "its source": "import inspect\ndef f(): pass\nprint(inspect.getsource(f))",
}  # fmt: skip


def as_seen(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("case", SCRIPTS)
def test_a_script_does_what_it_does_under_python(ended, script, environ, case) -> None:
    for module in ("helper", "settings", "model"):
        script("mine = 'mine'", f"{module}.py")
    path = script(SCRIPTS[case])
    alone = as_seen(ended(sys.executable, path, "--day", "1", only=environ, input="typed\n"))
    assert as_seen(ended(*SPARK_PD, "run", path, "--day", "1", only=environ, input="typed\n")) == alone


def test_a_script_that_is_not_there_ends_as_under_python(ended, sandbox) -> None:
    assert as_seen(ended(*SPARK_PD, "run", "none.py")) == as_seen(ended(sys.executable, "none.py"))
    assert triggers(sandbox) == ["spark_pd/test/-/none.py/failure"]


def test_a_failure_opens_one_incident_of_the_application_and_its_next_good_end_closes_it(ended, script, sandbox) -> None:
    failing = ended(*SPARK_PD, "run", script("raise ValueError(\"no 'secret' here\")"))
    assert failing.returncode == 1
    (incident,) = sandbox.open_incidents()
    assert (incident.dedup_key, incident.severity) == (KEY, "critical")
    assert incident.summary.startswith("[test] job.py failed: ValueError: no ")
    assert "secret" not in incident.summary
    assert ended(*SPARK_PD, "run", script("import sys; sys.exit(0)")).returncode == 0
    assert sandbox.open_incidents() == []
    assert ended(*SPARK_PD, "run", "--name", "nightly", script("import sys; sys.exit(3)")).returncode == 3
    assert [incident.dedup_key for incident in sandbox.open_incidents()] == ["spark_pd/test/-/nightly/failure"]


def test_ctrl_c_pages_nobody_and_closes_nothing(ended, script, sandbox) -> None:
    ended(*SPARK_PD, "run", script("raise ValueError"))
    assert ended(*SPARK_PD, "run", script(SCRIPTS["interrupted"])).returncode == -signal.SIGINT
    assert len(sandbox.open_incidents()) == 1
    assert triggers(sandbox) == [KEY]


RUNS = """
from spark_pd.model.errors import RuleFailed
from tests.crash.job import run_of
"""
TOLD = {
    "its exception": "with run_of('orders'):\n    raise ValueError('x')",
    "one that was raised from it": """
try:
    with run_of('orders'):
        raise ValueError('x')
except ValueError as error:
    raise RuntimeError('the job failed') from error
""",
    "an exit code after it": """
import sys
try:
    with run_of('orders'):
        raise ValueError('x')
except ValueError:
    pass
sys.exit(1)
""",
}
OF_THE_RUN = "spark_pd/test/-/orders/failure"


@pytest.mark.parametrize("case", TOLD)
def test_what_a_run_of_the_script_told_is_not_told_again(ended, script, sandbox, case) -> None:
    assert ended(*SPARK_PD, "run", script(RUNS + TOLD[case])).returncode == 1
    assert triggers(sandbox) == [OF_THE_RUN]


def test_another_failure_than_a_run_told_is_told(ended, script, sandbox) -> None:
    body = "try:\n    with run_of('orders'):\n        raise ValueError('x')\nexcept ValueError:\n    pass\nraise KeyError('later')"
    assert ended(*SPARK_PD, "run", script(RUNS + body)).returncode == 1
    assert triggers(sandbox) == [OF_THE_RUN, KEY]


def test_under_exec_the_same_failure_is_told_once_and_under_the_same_key(ended, script, sandbox) -> None:
    under = [*EXEC, "--", *SPARK_PD, "run"]
    assert ended(*under, script("raise ValueError('x')")).returncode == 1
    assert triggers(sandbox) == [KEY]
    assert ended(*under, script("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")).returncode == -signal.SIGKILL
    assert triggers(sandbox) == [KEY, KEY]
    assert [incident.dedup_key for incident in sandbox.open_incidents()] == [KEY]
    assert ended(*under, script("pass")).returncode == 0
    assert sandbox.open_incidents() == []


OPEN = """
import os, sys, time
from spark_pd.runs.application.watched_script import without_spark
from spark_pd.settings import load_settings
from tests.crash.job import ready, run_of
with without_spark("job.py", load_settings(environ=os.environ)), run_of("orders"):
    print(os.getpid(), file=sys.stderr, flush=True)
    ready()
    time.sleep(100)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_what_kills_the_application_is_told_by_the_run_that_was_open_alone(start, enabled, sandbox, outbox_folder, number) -> None:
    process = start(OPEN, env=enabled, under=[*EXEC, "--name", "job.py", "--"])
    until_ready(process)
    os.kill(int(process.stderr.readline()), number)
    assert finished(process)[0] == -number
    assert triggers(sandbox) == [OF_THE_RUN]
    assert markers(outbox_folder) == []


def test_an_application_that_leaves_its_interpreter_at_once_has_ended_as_its_exit_code_says(start, enabled, sandbox, outbox_folder) -> None:
    for code, told in ((0, "resolve"), (3, "trigger")):
        body = OPEN.replace(', run_of("orders")', "").partition("    print")[0] + f"    os._exit({code})\n"
        assert finished(start(body, env=enabled, under=[*EXEC, "--name", "job.py", "--"]))[0] == code
        assert [(event["event_action"], event["dedup_key"]) for event in sandbox.events[-1:]] == [(told, KEY)]
        assert markers(outbox_folder) == []


ORPHANED = """
import subprocess
from spark_pd.runs.application.watched_script import without_spark
from spark_pd.settings import load_settings
if "PYSPARK_GATEWAY_PORT" not in os.environ:
    environ = os.environ | {"PYSPARK_GATEWAY_PORT": "1"}
    driver = subprocess.Popen([sys.executable, *sys.orig_argv[1:]], env=environ, stdin=subprocess.DEVNULL)
    os.read(0, 1)
    os._exit(1)
with without_spark("job.py", load_settings(environ=os.environ)):
    parent = os.getppid()
    ready()
    while os.getppid() == parent: time.sleep(0.01)
    raise ConnectionRefusedError("x")
"""


def test_a_driver_whose_spark_submit_was_killed_says_so(start, enabled, sandbox) -> None:
    launcher = start(ORPHANED, env=enabled, stdin=subprocess.PIPE)
    until_ready(launcher)
    launcher.kill()
    finished(launcher)  # the driver has its streams
    assert [incident.summary for incident in sandbox.open_incidents()] == [
        "[test] job.py failed: its spark-submit is gone: ConnectionRefusedError: x"
    ]


def test_settings_are_judged_before_the_script_begins(ended, script) -> None:
    path = script("print('began')")
    done = ended(*SPARK_PD, "run", "--conf", "spark.pd.deadlien=3", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean spark.pd.deadline?" in done.stderr
    done = ended(*SPARK_PD, "run", "--conf", "spark.executor.memory=3g", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--conf spark.executor.memory is no setting of spark_pd" in done.stderr


def test_a_failure_before_the_last_attempt_is_a_warning(ended, script, sandbox) -> None:
    path = script("raise ValueError('no')")
    for attempt, severity in ((1, "warning"), (2, "critical")):
        tried = {"--conf": f"spark.pd.attempt={attempt}"}
        options = [*(word for pair in tried.items() for word in pair), "--conf", "spark.pd.max_attempts=2"]
        assert ended(*SPARK_PD, "run", *options, path).returncode == 1
        (incident,) = sandbox.open_incidents()
        assert incident.dedup_key == KEY
        assert incident.severity == severity
        assert f"attempt {attempt} of 2" in incident.summary
