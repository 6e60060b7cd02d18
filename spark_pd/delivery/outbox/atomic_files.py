"""Files that are whole or not there, and locks that a crash lets go."""

from __future__ import annotations

import errno
import importlib.util
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_POLL = 0.02  # seconds between two looks at a lock that another has
_NO_RENAME = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM)
PART = ".part"


class _Held:
    """The locks that this process holds. A forked child closes its copies: else the parent's locks would outlive the parent in it."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._close_copies)

    def add(self, fd: int) -> None:
        self._open.add(fd)

    def discard(self, fd: int) -> bool:
        """Whether it was still ours: the child of a fork has closed its copy."""
        if fd not in self._open:
            return False
        self._open.discard(fd)
        return True

    def _close_copies(self) -> None:
        for fd in self._open:
            with suppress(OSError):
                os.close(fd)
        self._open = set()


_held = _Held()


def write_whole(path: Path, data: bytes, *, durable: bool = True, aside: str = "") -> None:
    """Write a file aside and rename it into place; with `durable` its bytes are on the disk first. Raises OSError, and leaves nothing then.

    The rename itself is on the disk once `settle` was called for the folder. Where there is no rename, it is written in place: readers
    tell half a file by its checksum. Where several may write one path at once, each has an `aside` of its own.
    """
    part = path.with_name(f".{path.name}{aside}{PART}")
    try:
        _write(part, data, durable)
        try:
            part.replace(path)
        except FileNotFoundError:  # somebody tidied it away, whose clock has jumped
            _write(part, data, durable)
            part.replace(path)
        except OSError as error:
            if error.errno not in _NO_RENAME:
                raise
            _write(path, data, durable)
            part.unlink(missing_ok=True)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _write(path: Path, data: bytes, durable: bool) -> None:
    with path.open("wb", buffering=0) as file:
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]
        if durable:
            os.fsync(file.fileno())


def settle(folder: Path) -> None:
    """Put a folder's renames on the disk. Some file systems refuse that, and have nothing better to offer."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextmanager
def locked(path: Path, *, until: float) -> Iterator[bool]:
    """Hold the lock that the file at `path` stands for, and tell whether it was to be had before `until` (time.monotonic's clock).

    It ends with the block or the process, whichever is first. Where there are no locks, everybody has it: a double send is harmless.
    """
    if importlib.util.find_spec("fcntl") is None:
        yield True
        return
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
    except OSError:
        yield True
        return
    _held.add(fd)
    try:
        yield _take(fd, until)
    finally:
        if _held.discard(fd):
            _release(fd)


def _take(fd: int, until: float) -> bool:
    import fcntl

    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_POLL)
        except OSError:
            return True  # a file system without locks
        else:
            return True


def _release(fd: int) -> None:
    import fcntl

    # By its own word, not by closing alone: a child that was just forked may have a copy.
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_UN)
    with suppress(OSError):
        os.close(fd)
