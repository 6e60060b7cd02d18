"""One verdict per run, however it ends: exceptions, exits, threads, signals, the interpreter's end. Real processes, real signals."""

from __future__ import annotations

import signal
import time

import pytest

from tests.crash.conftest import finished, markers, triggers, until_ready

KEY = "spark_pd/test/-/{}/failure"
ORDERS = KEY.format("orders")

ENDINGS = {
    # name: the job's body, its exit code, what was told of "orders"
    "passed": ("with run_of(): pass", 0, ["resolve"]),
    "exception": ("with run_of(): 1 / 0", 1, ["trigger"]),
    "sys_exit_0": ("with run_of(): sys.exit(0)", 0, []),
    "sys_exit_none": ("with run_of(): sys.exit()", 0, []),
    "sys_exit_3": ("with run_of(): sys.exit(3)", 3, ["trigger"]),
    "exception_in_a_threads_block": (
        """
        def work():
            with run_of(): 1 / 0
        thread = threading.Thread(target=work); thread.start(); thread.join()
        """,
        0,
        ["trigger"],
    ),
    "exception_in_a_thread_that_holds_a_run_open": (
        """
        def work():
            run_of().__enter__()
            1 / 0
        thread = threading.Thread(target=work); thread.start(); thread.join()
        """,
        0,
        ["trigger"],
    ),
    "exception_in_a_thread_that_holds_none": (
        """
        with run_of():
            thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()
        """,
        0,
        ["resolve"],
    ),
    "sys_exit_in_a_thread": (
        """
        def work():
            with run_of(): sys.exit(4)
        thread = threading.Thread(target=work); thread.start(); thread.join()
        """,
        0,
        ["trigger"],
    ),
    "generator_never_resumed": (
        """
        def steps():
            with run_of(): yield
        held = steps(); next(held)
        """,
        0,
        [],
    ),
    "entered_and_left_open": ("run = run_of(); run.__enter__()", 0, []),
    "entered_and_then_an_exception": ("run = run_of(); run.__enter__(); 1 / 0", 1, ["trigger"]),
    "daemon_thread_cut_off": (
        """
        def work():
            with run_of():
                entered.set(); time.sleep(600)
        entered = threading.Event()
        threading.Thread(target=work, daemon=True).start(); entered.wait()
        """,
        0,
        ["trigger"],
    ),
    "daemon_thread_cut_off_by_ctrl_c": (
        """
        def work():
            with run_of():
                entered.set(); time.sleep(600)
        entered = threading.Event()
        threading.Thread(target=work, daemon=True).start(); entered.wait()
        raise KeyboardInterrupt
        """,
        -signal.SIGINT,
        [],
    ),
    "not_watched": ("run = run_of(watching=False); run.__enter__(); 1 / 0", 1, []),
}


@pytest.mark.parametrize(("body", "code", "told"), ENDINGS.values(), ids=ENDINGS)
def test_a_run_gets_one_verdict_and_the_job_its_own_exit_code(start, sandbox, outbox_folder, body, code, told) -> None:
    returned, errors = finished(start(body))
    assert returned == code, errors
    assert [event["event_action"] for event in sandbox.events if event["dedup_key"] == ORDERS] == told
    assert markers(outbox_folder) == []


SLEEP = "with run_of({}):\n    ready(); time.sleep(600)"


def test_sigterm_tells_once_and_ends_the_process_as_it_would_have(start, sandbox, outbox_folder) -> None:
    job = start(SLEEP.format(""))
    until_ready(job)
    assert len(markers(outbox_folder)) == 1
    job.send_signal(signal.SIGTERM)
    assert finished(job)[0] == -signal.SIGTERM
    assert triggers(sandbox) == [ORDERS]
    (incident,) = sandbox.open_incidents()
    assert "terminated by SIGTERM" in incident.summary
    assert incident.details["status"] == "errored"
    assert markers(outbox_folder) == []


def test_sigterm_again_and_again_still_tells_once(start, sandbox) -> None:
    sandbox.fault("slow", seconds=0.5)
    job = start(SLEEP.format(""))
    until_ready(job)
    for _ in range(5):
        job.send_signal(signal.SIGTERM)
        time.sleep(0.05)
    assert finished(job)[0] == -signal.SIGTERM
    assert triggers(sandbox) == [ORDERS]


def test_sigterm_with_20_runs_open_in_threads_tells_each_of_them(start, sandbox, outbox_folder) -> None:
    job = start(
        """
        def work(n):
            with run_of(f"t{n}"):
                entered.release(); time.sleep(600)
        entered = threading.Semaphore(0)
        with run_of():
            for n in range(19): threading.Thread(target=work, args=(n,), daemon=True).start()
            for n in range(19): entered.acquire()
            ready(); time.sleep(600)
        """
    )
    until_ready(job)
    job.send_signal(signal.SIGTERM)
    assert finished(job)[0] == -signal.SIGTERM
    assert sorted(triggers(sandbox)) == sorted([ORDERS, *(KEY.format(f"t{n}") for n in range(19))])
    assert markers(outbox_folder) == []


def test_sigterm_while_pagerduty_hangs_ends_within_the_deadline_and_leaves_the_alert_in_the_outbox(start, sandbox, outbox_folder) -> None:
    sandbox.fault("hang")
    job = start(SLEEP.format("deadline=1.0"))
    until_ready(job)
    job.send_signal(signal.SIGTERM)
    assert finished(job)[0] == -signal.SIGTERM
    assert len(list((outbox_folder / "queue").glob("*.json"))) == 1
    assert markers(outbox_folder) == []


def test_sigterm_while_the_main_thread_waits_in_a_lock_or_a_socket(start, sandbox) -> None:
    waits = {
        "lock": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
        "socket": "import socket; pair = socket.socketpair(); pair[0].recv(1)",
        "busy": "sum(i for i in iter(int, 1))",
    }
    for name, wait in waits.items():
        job = start(f"a = run_of({name!r})\nwith a:\n    ready(); {wait}")
        until_ready(job)
        job.send_signal(signal.SIGTERM)
        assert finished(job)[0] == -signal.SIGTERM
    assert triggers(sandbox) == [KEY.format(name) for name in waits]


def test_sigterm_during_the_verdict_lets_it_be_told_and_is_not_lost(start, sandbox) -> None:
    sandbox.fault("slow", seconds=1.0)
    job = start(
        """
        told = threading.Event()
        def hook(event, args):
            if event == "socket.connect" and not told.is_set():
                told.set(); ready()
        with run_of(): sys.addaudithook(hook)
        time.sleep(600)
        """
    )
    until_ready(job)
    job.send_signal(signal.SIGTERM)
    assert finished(job)[0] == -signal.SIGTERM
    assert [event["event_action"] for event in sandbox.events] == ["resolve"]


def test_ctrl_c_is_cancelled_and_pages_nobody(start, sandbox, outbox_folder) -> None:
    job = start(SLEEP.format(""))
    until_ready(job)
    job.send_signal(signal.SIGINT)
    assert finished(job)[0] == -signal.SIGINT
    assert sandbox.events == []
    assert markers(outbox_folder) == []


HANDLERS = {
    # a handler that the user had: the exit code, what was told
    "exits_7": ("lambda *_: sys.exit(7)", 7, ["trigger"]),
    "exits_0": ("lambda *_: sys.exit(0)", 0, ["trigger"]),
    "interrupts": ("signal.default_int_handler", -signal.SIGINT, ["trigger"]),
    "goes_on": ("lambda *_: going.set()", 0, ["resolve"]),
    "leaves_at_once": ("lambda *_: os._exit(5)", 5, []),
    "ignores": ("signal.SIG_IGN", None, []),
}


@pytest.mark.parametrize(("handler", "code", "told"), HANDLERS.values(), ids=HANDLERS)
def test_a_handler_of_the_users_has_its_effect(start, sandbox, handler, code, told) -> None:
    job = start(
        f"""
        going = threading.Event()
        mine = {handler}
        signal.signal(signal.SIGTERM, mine)
        with run_of():
            ready()
            going.wait(600)
        assert signal.getsignal(signal.SIGTERM) is mine
        """
    )
    until_ready(job)
    job.send_signal(signal.SIGTERM)
    if code is None:
        time.sleep(0.5)
        assert job.poll() is None
        return
    returned, errors = finished(job)
    assert returned == code, errors
    assert [event["event_action"] for event in sandbox.events] == told


def test_an_exception_of_the_users_handler_that_the_block_catches_is_no_failure(start, sandbox) -> None:
    job = start(
        """
        class Stop(Exception): pass
        def stop(*_): raise Stop
        signal.signal(signal.SIGTERM, stop)
        with run_of():
            try:
                ready(); time.sleep(600)
            except Stop:
                pass
        """
    )
    until_ready(job)
    job.send_signal(signal.SIGTERM)
    assert finished(job)[0] == 0
    assert [event["event_action"] for event in sandbox.events] == ["resolve"]


def test_the_handler_is_there_only_while_a_run_is_open_and_gives_way_to_others(start) -> None:
    job = start(
        """
        now = lambda: signal.getsignal(signal.SIGTERM)
        outer, inner = run_of("a"), run_of("b")
        assert now() is signal.SIG_DFL and threading.excepthook is threading.__excepthook__
        with outer:
            ours = now()
            assert ours is not signal.SIG_DFL
            with inner: assert now() == ours
            assert now() == ours
        assert now() is signal.SIG_DFL and threading.excepthook is threading.__excepthook__
        with run_of("c", on_signal=False): assert now() is signal.SIG_DFL
        with run_of("d", watching=False): assert now() is signal.SIG_DFL
        entered, leave = threading.Event(), threading.Event()
        def work():
            with run_of("e"): entered.set(); leave.wait()
        thread = threading.Thread(target=work); thread.start(); entered.wait()
        assert now() is signal.SIG_DFL  # only the main thread may have a handler
        with run_of("f"): pass
        leave.set(); thread.join()
        with run_of("g"): theirs = signal.signal(signal.SIGTERM, print)
        assert now() is print
        signal.signal(signal.SIGTERM, theirs)  # ours, put back when it is nobody's any more
        ready()
        while True: time.sleep(0.1)  # a signal just before a long sleep is handled by Python only after it
        """
    )
    until_ready(job)
    job.send_signal(signal.SIGTERM)
    assert finished(job)[0] == -signal.SIGTERM


@pytest.mark.parametrize("inner", [True, False])
def test_a_handler_over_ours_that_calls_it_decides(start, sandbox, inner) -> None:
    job = start(
        f"""
        with run_of():
            ours = signal.getsignal(signal.SIGTERM)
            def both(*args): ours(*args); going.set()
            going = threading.Event()
            signal.signal(signal.SIGTERM, both)
            assert signal.getsignal(signal.SIGTERM) is both
            if {inner}:
                with run_of("inner"): assert signal.getsignal(signal.SIGTERM) == ours
            ready(); going.wait(600)
        assert signal.getsignal(signal.SIGTERM) is both
        """
    )
    until_ready(job)
    job.send_signal(signal.SIGTERM)
    returned, errors = finished(job)
    assert returned == 0, errors
    assert {event["event_action"] for event in sandbox.events} == {"resolve"}


def test_a_forked_child_owns_none_of_its_parents_runs(start, sandbox, outbox_folder) -> None:
    job = start(
        """
        with run_of():
            pid = os.fork()
            if pid == 0:
                assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
                raise RuntimeError("the child's own business")
            os.waitpid(pid, 0)
            killed = os.fork()
            if killed == 0:
                os.kill(os.getpid(), signal.SIGTERM); time.sleep(600)
            assert os.waitstatus_to_exitcode(os.waitpid(killed, 0)[1]) == -signal.SIGTERM
            mine = os.fork()
            if mine == 0:
                with run_of("childs"): pass
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(mine, 0)[1]) == 0
            assert len(os.listdir(os.environ["JOB_OUTBOX"] + "/open")) == 1
        """
    )
    returned, errors = finished(job)
    assert returned == 0, errors
    assert [(event["event_action"], event["dedup_key"]) for event in sandbox.events] == [
        ("resolve", KEY.format("childs")),
        ("resolve", ORDERS),
    ]


def test_strict_and_the_jobs_own_exception_stay_as_they_were(start, sandbox) -> None:
    returned, errors = finished(
        start(
            """
            error = KeyError("x")
            try:
                with run_of(strict=True): raise error
            except KeyError as caught:
                assert caught is error and caught.__context__ is None and not getattr(caught, "__notes__", None)
            """
        )
    )
    assert returned == 0, errors


def test_nothing_of_ours_stays_behind_a_run(start) -> None:
    returned, errors = finished(
        start(
            """
            with run_of(): assert "spark_pd-open-runs" in {t.name for t in threading.enumerate()}
            until = time.monotonic() + 60
            while "spark_pd-open-runs" in {t.name for t in threading.enumerate()} and time.monotonic() < until: time.sleep(0.01)
            assert "spark_pd-open-runs" not in {t.name for t in threading.enumerate()}
            """
        )
    )
    assert returned == 0, errors


def test_a_job_survives_a_marker_that_cannot_be_written(start, sandbox, outbox_folder) -> None:
    outbox_folder.mkdir()
    (outbox_folder / "open").write_text("in the way")
    returned, errors = finished(start("with run_of(): pass"))
    assert returned == 0
    assert "no marker could be written" in errors
    assert (outbox_folder / "open").read_text() == "in the way"


def test_ctrl_c_while_the_verdict_is_given_leaves_no_marker(start, sandbox, outbox_folder) -> None:
    job = start(
        """
        run = run_of()
        def interrupted(*args): raise KeyboardInterrupt
        run._judge = interrupted
        with run: pass
        """
    )
    assert finished(job)[0] == -signal.SIGINT
    assert markers(outbox_folder) == []
