"""Runs the child: its streams, signals, process group and exit are those that it would have without a parent."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from spark_pd.model.errors import UsageError

CANNOT_BE_RUN, NOT_FOUND = 126, 127  # as shells have it (POSIX, Shell Command Language, 2.8.2)
BY_SIGNAL = 128  # what a shell adds to the number of the signal
_FROM_KERNEL = 0x80  # siginfo's si_code SI_KERNEL: the terminal's own signals, which the whole foreground group gets
# A stopped job is for the shell to see, in the parent and the child alike. The others cannot be caught, or are about the process itself.
_LEFT_ALONE = ("SIGKILL", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGCONT", "SIGCHLD")
_OWN_FAULTS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGABRT", "SIGSYS", "SIGPIPE", "SIGXFSZ", "SIGXCPU")
_PYTHON_IGNORES = ("SIGPIPE", "SIGXFSZ")  # in itself; the child should not begin with that


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended: its exit code, or the number of the signal that killed it."""

    code: int = 0
    signal: int = 0

    @property
    def good(self) -> bool:
        """Whether it ended well."""
        return self.code == 0 and self.signal == 0

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped by Ctrl-C: by the signal itself, or by the exit code that shells and the JVM use for it."""
        return signal.SIGINT in (self.signal, self.code - BY_SIGNAL)

    def __str__(self) -> str:
        if not self.signal:
            return f"ended with exit code {self.code}"
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(self.signal).name}"
        return f"was killed by signal {self.signal}"

    def leave(self) -> NoReturn:
        """End this process as the child ended: by the same signal, so that shells and cluster managers see the same."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # it may be closed
                stream.flush()
        if self.signal:
            import resource  # there is none on Windows

            # One core dump is enough.
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            with contextlib.suppress(OSError, ValueError):
                signal.signal(self.signal, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {self.signal})
            os.kill(os.getpid(), self.signal)
            # Still here: the first process of a container cannot kill itself.
            os._exit(BY_SIGNAL + self.signal)
        os._exit(self.code)


def run_child(command: Sequence[str], environ: Mapping[str, str]) -> Ending:
    """Run a command to its end with this process's own streams, in its own process group, and pass on the signals that arrive.

    Signals stay blocked afterwards, so that they do not interrupt the report of the child's end. A command that cannot be run ends with
    126 or 127, and a message. Raises UsageError where the system has no POSIX processes.
    """
    if not hasattr(os, "posix_spawnp"):
        raise UsageError("spark-pd exec needs a POSIX system, such as Linux or macOS")
    passed = _passed_on()
    # If it is ignored, the system discards the child's exit code.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, passed | {signal.SIGCHLD})
    try:
        pid = _spawn(command, environ, before)
    except OSError as error:
        print(f"spark-pd exec: {command[0]}: {error.strerror}", file=sys.stderr)
        return Ending(NOT_FOUND if error.errno in (errno.ENOENT, errno.ENOTDIR) else CANNOT_BE_RUN)
    while True:
        number, sent_to_us = _next_signal(passed | {signal.SIGCHLD})
        if number != signal.SIGCHLD:
            if sent_to_us:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            continue
        ending = _collected(pid)
        if ending is not None:
            return ending


def _passed_on() -> set[int]:
    """The signals to pass on: all that are sent to end a process, except those that this process ignores (nohup)."""
    alone = {getattr(signal, name) for name in (*_LEFT_ALONE, *_OWN_FAULTS) if hasattr(signal, name)}
    ignored = {number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN}
    return {int(number) for number in signal.valid_signals() - alone - ignored}


def _spawn(command: Sequence[str], environ: Mapping[str, str], mask: set[int]) -> int:
    defaults = {getattr(signal, name) for name in _PYTHON_IGNORES if hasattr(signal, name)}
    try:
        return os.posix_spawnp(command[0], list(command), dict(environ), setsigmask=mask, setsigdef=defaults)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    # A script without its first line: shells run it as their own.
    return os.posix_spawnp("/bin/sh", ["/bin/sh", *command], dict(environ), setsigmask=mask, setsigdef=defaults)


def _next_signal(awaited: set[int]) -> tuple[int, bool]:
    """The next signal, and whether it was sent to this process alone, as far as the system says."""
    if hasattr(signal, "sigwaitinfo"):
        info = signal.sigwaitinfo(awaited)
        # A terminal that closes sends SIGHUP to its session's leader alone.
        hung_up = info.si_signo == signal.SIGHUP and os.getsid(0) == os.getpid()
        return info.si_signo, info.si_code != _FROM_KERNEL or hung_up
    number = signal.sigwait(awaited)
    return number, number not in (signal.SIGINT, signal.SIGQUIT)


def _collected(pid: int) -> Ending | None:
    """How the child ended; None where it did not."""
    # The first process of a container inherits orphans, and has to collect their exit codes too.
    which = -1 if os.getpid() == 1 else pid
    while True:
        try:
            found, status = os.waitpid(which, os.WNOHANG)
        except ChildProcessError:
            return Ending(1)  # another part of this process collected it
        if found == 0:
            return None
        if found == pid:
            code = os.waitstatus_to_exitcode(status)
            return Ending(code) if code >= 0 else Ending(signal=-code)
