"""Where an outbox is, and what its file system can be trusted with."""

from __future__ import annotations

import os
import sys
from pathlib import Path

STATE_HOME = "SPARK_PD_STATE_HOME"  # the pytest plugin sets it: a test suite leaves nothing in the user's own state
_WEAK_ROOTS = ("/dbfs", "/Volumes", "/Workspace")  # Databricks' own mounts, which are not always in the mount table under their kind
# Kinds of file systems whose locks or renames do not hold between machines, or at all.
_WEAK_KINDS = ("nfs", "cifs", "smb", "fuse", "9p", "afs", "ceph", "gluster", "lustre", "gpfs", "davfs", "s3fs")


def default_folder() -> Path | None:
    """The outbox under the user's state directory (XDG_STATE_HOME, else ~/.local/state); None where there is no home."""
    ours = os.environ.get(STATE_HOME)
    if ours:
        return Path(ours) / "outbox"
    # The XDG Base Directory Specification: a relative path is to be ignored.
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if state.is_absolute():
        return state / "spark_pd" / "outbox"
    try:
        return Path.home() / ".local" / "state" / "spark_pd" / "outbox"
    except RuntimeError:
        return None


def is_local(folder: Path) -> bool:
    """Whether locks and renames in `folder` can be trusted: a disk of this machine, as far as its path and the mount table say."""
    path = Path(os.path.realpath(folder))
    if sys.platform != "darwin" and any(path.is_relative_to(root) for root in _WEAK_ROOTS):
        return False
    kind = ""
    longest = -1
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True  # no mount table to read, as on macOS
    for mount in mounts:
        fields = mount.split(" ")
        if len(fields) < 3:
            continue
        where = fields[1].replace("\\040", " ")
        if path.is_relative_to(where) and len(where) >= longest:
            kind, longest = fields[2], len(where)
    return not kind.startswith(_WEAK_KINDS)
