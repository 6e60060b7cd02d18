"""What a process of the harness has to put up with: a disk that fails, a clock that jumps, and its own death between any two steps.

The product has no hooks for this. Python's audit events mark the steps on files and sockets, and a trace function those in between.
"""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tests.faults.scenario import Disk, Kill

_FILE_STEPS = ("open", "os.rename", "os.remove", "os.mkdir", "os.scandir")
_OTHER_STEPS = ("fcntl.flock", "socket.connect", "socket.sendto")
_OURS = tuple(str(Path("spark_pd") / part) for part in ("outbox", "dispatch", "pagerduty", "run"))
_HALF = 300  # bytes; an entry has more
_REAL_TIME, _REAL_TIME_NS, _REAL_FSYNC, _REAL_ACCESS = time.time, time.time_ns, os.fsync, os.access


class FailingDisk:
    """The disk under one folder. `now` is what is wrong with it at the moment."""

    def __init__(self, folder: Path, seed: str) -> None:
        self._folder = str(folder)
        self._rng = random.Random(seed)
        self.now: Disk | None = None

    def become(self, state: Disk | None) -> None:
        """Be so from now on."""
        self.now = state
        half = _HALF if state == "half written" else resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_FSIZE, (half, resource.RLIM_INFINITY))

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        """Refuse a step on the folder's files where the disk would. An audit hook."""
        if self.now is None or event not in _FILE_STEPS or event == "os.scandir" or not str(args[0]).startswith(self._folder):
            return
        writes = event != "open" or _writes(args)
        if self.now == "full" and (event == "os.mkdir" or (event == "open" and writes and not Path(str(args[0])).exists())):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(args[0]))
        if self.now == "read-only" and writes:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(args[0]))
        if self.now == "flaky" and writes and self._rng.random() < 0.2:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(args[0]))

    def access(self, path: Any, mode: int, **options: Any) -> bool:
        """os.access, as of a read-only file system."""
        refuses = self.now == "read-only" and mode & os.W_OK and str(path).startswith(self._folder)
        return not refuses and _REAL_ACCESS(path, mode, **options)

    def fsync(self, fd: int) -> None:
        """os.fsync, where the disk can."""
        if self.now == "unsynced":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        _REAL_FSYNC(fd)


def _writes(args: tuple[Any, ...]) -> bool:
    flags = args[2] if len(args) > 2 and isinstance(args[2], int) else 0
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


class Clock:
    """The wall clock, off by so many seconds."""

    def __init__(self) -> None:
        self.off = 0.0

    def time(self) -> float:
        """As time.time."""
        return _REAL_TIME() + self.off

    def time_ns(self) -> int:
        """As time.time_ns."""
        return _REAL_TIME_NS() + int(self.off * 1e9)


def install(disk: FailingDisk, clock: Clock) -> None:
    """Have this process live with that disk and that clock."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write over the limit is an error then, as on a full disk
    sys.addaudithook(disk.hook)
    os.fsync, os.access = disk.fsync, disk.access
    time.time, time.time_ns = clock.time, clock.time_ns


def arm(kill: Kill, folder: Path, tell: Callable[..., None]) -> None:
    """Have this process die as by kill -9. `tell` learns where, just before."""
    if kill.by == "step":
        sys.addaudithook(_step_hook(kill.n, str(folder), tell))
    elif kill.by == "line":
        trace = _line_trace(kill.n, tell)
        threading.settrace(trace)
        sys.settrace(trace)


def _die(tell: Callable[..., None], where: str) -> None:
    tell(killed=where)
    os.kill(os.getpid(), signal.SIGKILL)


def _step_hook(n: int, folder: str, tell: Callable[..., None]) -> Callable[[str, tuple[Any, ...]], None]:
    count = [0]

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if (event in _FILE_STEPS and folder in str(args[0])) or event in _OTHER_STEPS:
            count[0] += 1
            if count[0] == n:
                _die(tell, f"step {n}: {event}")

    return hook


def _line_trace(n: int, tell: Callable[..., None]) -> Callable[..., Any]:
    count = [0]

    def line(frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            count[0] += 1
            if count[0] == n:
                _die(tell, f"line: {Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        return line

    def call(frame: FrameType, event: str, arg: Any) -> Any:
        return line if any(part in frame.f_code.co_filename for part in _OURS) else None

    return call
