"""Which process it is, and whether it is still alive. A process id alone does not say: the system uses it again."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_STATE, _START = 0, 19  # of the fields of /proc/PID/stat that follow the command's name (proc(5): 3 and 22)


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `place` is where its id means anything; `start` distinguishes it from a later process with the same id."""

    host: str
    place: str
    """The host, and on Linux the boot and the namespace of process ids: containers may share a host's name, and a folder."""
    pid: int
    start: str | None
    """When it started, in the kernel's own count; None where the system does not say."""


def this_process() -> Process:
    """This process."""
    host, pid = socket.gethostname(), os.getpid()
    return Process(host, _place(host), pid, _start_of(pid))


def is_alive(process: Process, *, here: Process) -> bool | None:
    """Whether it is alive, as seen from `here`, a process of this machine. None where it belongs to another place, which cannot be seen."""
    if process.place != here.place or os.name != "posix":
        return None
    if process.start is not None:
        return _start_of(process.pid) == process.start
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _place(host: str) -> str:
    boot, namespace = "", ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return "/".join(part for part in (host, boot, namespace) if part)


def _start_of(pid: int) -> str | None:
    """When the process with that id started; None where there is none, or only what its parent did not fetch yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command's name is in brackets, and may hold brackets and spaces itself.
    fields = stat.rpartition(")")[2].split()
    return None if len(fields) <= _START or fields[_STATE] in "ZX" else fields[_START]
