"""`spark-pd exec`: transparent while the job lives, and told once what the job could not tell. Real processes, terminals and signals."""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.crash.conftest import EXEC, ROOT, finished, markers, triggers, until_ready

ORDERS = "spark_pd/test/-/orders/failure"
APPLICATION = "spark_pd/test/-/nightly/failure"
UNDER = [*EXEC, "--name", "nightly", "--"]


@pytest.fixture
def run(environ) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command under exec, to its end."""

    def go(*command: str, given: str | None = None, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*UNDER, *command], cwd=ROOT, env=env or environ, input=given, capture_output=True, text=True, check=False, timeout=120
        )

    return go


# ---- transparent -----------------------------------------------------------------------------------------------------------------

CODES = {
    "0": (["true"], 0),
    "7": (["sh", "-c", "exit 7"], 7),
    "255": (["sh", "-c", "exit 255"], 255),
    "not_found": (["no-such-command-anywhere"], 127),
    "no_such_folder": (["/no/such/command"], 127),
    "below_a_file": (["/etc/passwd/x"], 127),
    "not_executable": (["/etc/passwd"], 126),
    "a_folder": (["/tmp"], 126),
    "kill_9": (["sh", "-c", "kill -9 $$"], -9),
    "sigterm": (["sh", "-c", "kill -TERM $$"], -15),
    "sigsegv": (["sh", "-c", "kill -SEGV $$"], -11),
    "python_exits": ([sys.executable, "-c", "import sys; sys.exit(3)"], 3),
    "options_of_the_command": (["sh", "-c", "test $# = 2 && test $1 = --conf", "sh", "--conf", "--name"], 0),
}


@pytest.mark.parametrize(("command", "code"), CODES.values(), ids=CODES)
def test_the_exit_code_is_the_commands(run, command, code) -> None:
    assert run(*command).returncode == code


def test_a_script_without_its_first_line_runs_as_in_a_shell(run, tmp_path) -> None:
    script = tmp_path / "job"
    script.write_text("exit 9\n")
    script.chmod(0o755)
    assert run(str(script)).returncode == 9


def test_streams_are_the_commands_own(run) -> None:
    code = "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.stderr.write('said')"
    done = run(sys.executable, "-c", code, given="hello\n" * 10_000)
    assert (done.returncode, done.stdout, done.stderr) == (0, "HELLO\n" * 10_000, "said")


def test_closed_streams_stay_closed_and_harm_nobody(environ) -> None:
    under = " ".join(map(shlex.quote, UNDER))
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        done = subprocess.run(["sh", "-c", f"exec {under} sh -c 'exit 3' {closed}"], cwd=ROOT, env=environ, check=False, timeout=120)
        assert done.returncode == 3


def test_other_open_files_signals_and_the_environment_are_the_commands_own(environ) -> None:
    reading, writing = os.pipe()
    code = f"""if True:
        import os, signal
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        os.write({writing}, repr((sorted(blocked), os.environ["MINE"], os.getpgid(0), os.getsid(0))).encode())
    """
    subprocess.run([*UNDER, sys.executable, "-c", code], cwd=ROOT, env=environ | {"MINE": "x"}, pass_fds=[writing], check=True, timeout=120)
    assert os.read(reading, 1000).decode() == repr(([], "x", os.getpgid(0), os.getsid(0)))
    os.close(reading)
    os.close(writing)


def test_signals_that_python_ignores_are_not_ignored_by_the_command(run) -> None:
    def ignored(output: str) -> int:
        return int(output.split()[1], 16) & 0x7FFFFFFF  # above are the C library's own two, which posix_spawn leaves ignored

    plain = subprocess.run(["grep", "SigIgn", "/proc/self/status"], capture_output=True, text=True, check=True)
    assert ignored(run("grep", "SigIgn", "/proc/self/status").stdout) == ignored(plain.stdout)


def test_nohup_stays_nohup(environ, start) -> None:
    job = start("ready(); time.sleep(2); sys.exit(4)", under=["nohup", *UNDER])
    until_ready(job)
    job.send_signal(signal.SIGHUP)
    assert finished(job)[0] == 4


def in_a_terminal(command: list[str], environ: dict[str, str], typed: bytes = b"", wait_for: bytes = b"") -> tuple[int, bytes]:
    """Run a command with a terminal of its own, type something once it has written `wait_for`, and give its status and all output."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execvpe(command[0], command, environ)
    output = b""
    until = time.monotonic() + 120
    with suppress(OSError):  # how a terminal says that it is closed
        while time.monotonic() < until:
            read = os.read(terminal, 4096)
            if not read:
                break
            output += read
            if typed and wait_for in output:
                os.write(terminal, typed)
                typed = b""
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    return status, output


def test_a_terminal_stays_one(environ) -> None:
    code, output = in_a_terminal([*UNDER, "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && stty size && echo yes"], environ)
    assert (code, b"yes" in output) == (0, True)


def test_ctrl_c_in_a_terminal_reaches_the_command_once_and_pages_nobody(enabled, sandbox) -> None:
    code = """if True:
        import time
        try:
            print("ready", flush=True); time.sleep(600)
        except KeyboardInterrupt:
            time.sleep(1); print("once", flush=True)
            raise
    """
    status, output = in_a_terminal([*UNDER, sys.executable, "-c", code], enabled, typed=b"\x03", wait_for=b"ready")
    assert status == -signal.SIGINT
    assert b"once" in output
    assert sandbox.events == []


def test_a_terminal_that_goes_away_hangs_the_command_up(environ, tmp_path) -> None:
    mark = tmp_path / "hung up"
    body = f"""if True:
        import signal, sys, time
        def hung_up(*_):
            open({str(mark)!r}, "w").close(); sys.exit()
        signal.signal(signal.SIGHUP, hung_up)
        print("ready", flush=True); time.sleep(600)
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execvpe(UNDER[0], [*UNDER, sys.executable, "-c", body], environ)
    while b"ready" not in os.read(terminal, 4096):
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert mark.exists()


def test_ctrl_c_that_the_command_survives_is_its_own_business(environ) -> None:
    code = "import time\ntry:\n    print('ready', flush=True); time.sleep(600)\nexcept KeyboardInterrupt:\n    print('survived')"
    status, output = in_a_terminal([*UNDER, sys.executable, "-c", code], environ, typed=b"\x03", wait_for=b"ready")
    assert (status, b"survived" in output) == (0, True)


def test_stop_and_continue_work_as_without(environ) -> None:
    """Ctrl-Z stops the whole group, which an interactive shell sees; SIGCONT continues it."""
    process = subprocess.Popen(
        [*UNDER, sys.executable, "-c", "print('ready', flush=True); input(); print('done')"],
        cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
    os.killpg(process.pid, signal.SIGCONT)
    assert process.communicate("\n", timeout=120)[0] == "done\n"
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGQUIT", "SIGWINCH", "SIGRTMIN"])
def test_signals_are_passed_on(start, name) -> None:
    body = f"signal.signal(signal.{name}, lambda *_: sys.exit(40)); ready(); time.sleep(600)"
    job = start(body, under=UNDER)
    until_ready(job)
    job.send_signal(getattr(signal, name))
    assert finished(job)[0] == 40


def test_a_command_that_ignores_sigterm_goes_on(start) -> None:
    job = start("signal.signal(signal.SIGTERM, signal.SIG_IGN); ready(); time.sleep(1); sys.exit(6)", under=UNDER)
    until_ready(job)
    job.send_signal(signal.SIGTERM)
    assert finished(job)[0] == 6


def test_usage_and_settings_are_wrong_before_the_command_begins(environ, tmp_path) -> None:
    began = tmp_path / "began"
    for options in (
        [],
        ["--conf", "spark.pd.deadline=soon", "--", "touch", str(began)],
        ["--config-file", "none.yaml", "touch", str(began)],
    ):
        done = subprocess.run([*EXEC, *options], cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 2
        assert "Error" in done.stderr
    assert not began.exists()


def test_the_parent_is_light() -> None:
    code = """if True:
        import sys
        import spark_pd.cli.exec_command, spark_pd.runs.exec.report_job_end, spark_pd.settings
        spark_pd.settings.load_settings(environ={})
        print([name for name in ("pyspark", "requests", "flask", "tenacity") if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- told ------------------------------------------------------------------------------------------------------------------------


def sent(sandbox) -> list[tuple[str, str]]:
    return [(event["event_action"], event["dedup_key"]) for event in sandbox.events]


DEATHS = {
    # the job's body, its exit code, what is told in all by the job and its parent
    "os__exit_in_a_run": ("with run_of(): os._exit(1)", 1, [("trigger", ORDERS)]),
    "os__exit_0_in_a_run": ("with run_of(): os._exit(0)", 0, [("trigger", ORDERS)]),
    "kill_9_in_a_run": ("with run_of(): os.kill(os.getpid(), 9)", -9, [("trigger", ORDERS)]),
    "crash_in_a_run": ("with run_of():\n    import ctypes; ctypes.string_at(0)", -11, [("trigger", ORDERS)]),
    "kill_9_before_any_run": ("os.kill(os.getpid(), 9)", -9, [("trigger", APPLICATION)]),
    "exit_3_without_a_run": ("sys.exit(3)", 3, [("trigger", APPLICATION)]),
    "kill_9_after_a_good_run": (
        "with run_of(): pass\nos.kill(os.getpid(), 9)",
        -9,
        [("resolve", ORDERS), ("trigger", APPLICATION)],
    ),
    "a_run_that_told_its_own_failure": ("with run_of(): 1 / 0", 1, [("trigger", ORDERS)]),
    "a_run_that_told_it_and_then_a_kill": (
        "try:\n    with run_of(): 1 / 0\nexcept ZeroDivisionError: os.kill(os.getpid(), 9)",
        -9,
        [("trigger", ORDERS)],
    ),
    "good": ("with run_of(): pass", 0, [("resolve", ORDERS), ("resolve", APPLICATION)]),
    "good_without_a_run": ("pass", 0, [("resolve", APPLICATION)]),
    "sys_exit_0_in_a_run": ("with run_of(): sys.exit(0)", 0, [("resolve", APPLICATION)]),
    "ctrl_c": ("with run_of(): os.kill(os.getpid(), signal.SIGINT); time.sleep(600)", -2, []),
    "ctrl_c_as_shells_put_it": ("sys.exit(130)", 130, []),
    "cut_off_by_ctrl_c": ("with run_of(): os._exit(130)", 130, []),
    "the_driver_dies_below_its_launcher": (
        "import subprocess; from tests.crash import job\n"
        "sys.exit(subprocess.run([sys.executable, '-c', 'import os; from tests.crash.job import run_of\\n"
        "with run_of(): os._exit(1)']).returncode)",
        1,
        [("trigger", ORDERS)],
    ),
}


@pytest.mark.parametrize(("body", "code", "told"), DEATHS.values(), ids=DEATHS)
def test_the_end_is_told_once(start, sandbox, outbox_folder, enabled, body, code, told) -> None:
    returned, errors = finished(start(body, under=UNDER, env=enabled))
    assert returned == code, errors
    assert sent(sandbox) == told, errors
    assert markers(outbox_folder) == []
    assert list((outbox_folder / "queue").glob("*.json")) == []


def test_the_next_good_run_closes_what_exec_told(start, sandbox, enabled) -> None:
    finished(start("with run_of(): os.kill(os.getpid(), 9)", under=UNDER, env=enabled))
    (incident,) = sandbox.open_incidents()
    assert incident.summary == "[test] orders failed: the job was killed by SIGKILL while a run was open"
    finished(start("with run_of(): pass", under=UNDER, env=enabled))
    assert sandbox.open_incidents() == []
    assert triggers(sandbox) == [ORDERS]


def test_20_runs_open_at_once_are_told_each_once(start, sandbox, enabled) -> None:
    body = """
    from contextlib import ExitStack
    with ExitStack() as stack:
        for n in range(20): stack.enter_context(run_of(f"t{n}"))
        os.kill(os.getpid(), 9)
    """
    assert finished(start(body, under=UNDER, env=enabled))[0] == -9
    assert sorted(triggers(sandbox)) == sorted(f"spark_pd/test/-/t{n}/failure" for n in range(20))


def test_sigterm_to_exec_is_told_once_by_the_run_itself(start, sandbox, enabled, outbox_folder) -> None:
    job = start("with run_of():\n    ready(); time.sleep(600)", under=UNDER, env=enabled, start_new_session=True)
    until_ready(job)
    os.killpg(job.pid, signal.SIGTERM)  # to the parent, who passes it on, and to the job besides
    assert finished(job)[0] == -signal.SIGTERM
    assert sent(sandbox) == [("trigger", ORDERS)]
    assert "terminated by SIGTERM" in sandbox.open_incidents()[0].summary
    assert markers(outbox_folder) == []


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.1, 0.2, 0.4])
def test_kill_9_at_any_point_leaves_one_incident_or_none_if_the_run_had_ended(start, sandbox, enabled, seconds) -> None:
    """From before the first run to after the last of many."""
    body = """
    print(os.getpid(), flush=True)
    for n in range(1000):
        with run_of(): pass
    """
    job = start(body, under=UNDER, env=enabled)
    assert job.stdout is not None
    pid = int(job.stdout.readline())
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    assert finished(job)[0] == -9
    assert triggers(sandbox) in ([ORDERS], [APPLICATION])
    assert len(sandbox.open_incidents()) == 1


def test_not_enabled_only_says_what_it_would_have_done(start, sandbox, outbox_folder, environ) -> None:
    returned, errors = finished(start("with run_of(): os._exit(1)", under=UNDER, env=environ))
    assert returned == 1
    assert "the job ended with exit code 1 while a run was open; nobody is told, since PagerDuty is not enabled" in errors
    assert sandbox.events == []
    assert len(markers(outbox_folder)) == 1  # for the next run, which may be


def test_a_key_that_exec_does_not_have_leaves_the_alert_to_who_has_it(start, sandbox, outbox_folder, enabled) -> None:
    other = enabled | {"SPARK_EXPECTATIONS_NOTIFICATIONS_PAGERDUTY_INTEGRATION_KEY": "0" * 32, "SPARK_PD_ENVIRONMENT": "test"}
    body = "os.environ['JOB_KEY'] = 'a' * 32\nwith run_of(): os._exit(1)"
    returned, errors = finished(start(body, under=UNDER, env=other))
    assert returned == 1
    assert "queued" in errors
    assert triggers(sandbox) == []
    assert len(list((outbox_folder / "queue").glob("*.json"))) == 1


def test_pagerduty_that_hangs_costs_the_deadline_and_no_more(start, sandbox, outbox_folder, enabled) -> None:
    sandbox.fault("hang")
    started = time.monotonic()
    returned, _ = finished(start("with run_of(): os._exit(9)", under=UNDER, env=enabled | {"SPARK_PD_DEADLINE": "1"}))
    assert returned == 9
    assert time.monotonic() - started < 40
    assert len(list((outbox_folder / "queue").glob("*.json"))) == 1


def test_a_run_that_lives_on_in_a_process_of_its_own_is_left_alone(start, sandbox, outbox_folder, enabled) -> None:
    body = """
    reading, writing = os.pipe()
    if os.fork():
        os.read(reading, 1); os._exit(1)
    os.setsid()
    for fd in (0, 1, 2): os.close(fd)
    with run_of():
        os.write(writing, b"x"); time.sleep(0.3)
    """
    assert finished(start(body, under=UNDER, env=enabled))[0] == 1
    assert sent(sandbox)[0] == ("resolve", ORDERS)  # it ended well while it was waited for
    assert markers(outbox_folder) == []


def test_the_journal_is_removed_and_where_there_is_no_place_for_one_the_command_runs(start, sandbox, enabled, tmp_path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    body = "assert os.path.exists(os.environ['SPARK_PD_EXEC_JOURNAL'])\nwith run_of(): os._exit(1)"
    finished(start(body, under=UNDER, env=enabled | {"TMPDIR": str(folder)}))
    assert triggers(sandbox) == [ORDERS]
    assert list(folder.iterdir()) == []


def test_a_job_that_its_scheduler_tries_again_is_a_warning_and_its_last_attempt_is_critical(run, sandbox, enabled) -> None:
    for attempt, severity, told in (("1", "warning", "attempt 1 of 2, a retry follows"), ("2", "critical", "attempt 2 of 2")):
        env = {**enabled, "AIRFLOW_CTX_TRY_NUMBER": attempt, "SPARK_PD_MAX_ATTEMPTS": "2"}
        assert run("sh", "-c", "exit 3", env=env).returncode == 3
        (incident,) = sandbox.open_incidents()
        assert (incident.severity, incident.dedup_key) == (severity, APPLICATION)
        assert f"nightly failed ({told}): the job ended with exit code 3" in incident.summary
