"""Which process an alert belongs to, as long as that lives."""

from __future__ import annotations

import os
import socket

from spark_pd.delivery.outbox.entry import Entry


def this_process() -> str:
    """This process, as entries name their owner: host:pid."""
    return f"{socket.gethostname()}:{os.getpid()}"


def owner_lives(entry: Entry) -> bool | None:
    """Whether the process that made the entry still runs; None where nobody can tell, since it is another machine's."""
    host, _, pid = entry.owner.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit() or os.name != "posix":  # elsewhere kill(pid, 0) is no question
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
