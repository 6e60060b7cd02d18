"""A script, run in this process as `python script.py` would: its name, its arguments, its path, its traceback, its exit code."""

from __future__ import annotations

import atexit
import io
import os
import signal
import sys
import types
from collections.abc import Sequence
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from typing import NoReturn

CANNOT_OPEN = 2  # as Python has it


def run_script(path: str, arguments: Sequence[str]) -> BaseException | None:
    """Run it, and return the exception that left it; None where there was none. The traceback has only the script's own frames."""
    file = os.path.abspath(path)  # noqa: PTH100 (a link stays a link, as for Python)
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=file, __builtins__=__builtins__, __cached__=None, __loader__=SourceFileLoader("__main__", file))
    if sys.version_info < (3, 14):
        main.__annotations__ = {}
    sys.modules["__main__"] = main
    sys.argv = [path, *arguments]
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.path.dirname(os.path.realpath(path))  # noqa: PTH120
    try:
        with io.open_code(file) as opened:
            source = opened.read()
    except OSError as error:
        print(f"{sys.executable}: can't open file {file!r}: [Errno {error.errno}] {error.strerror}", file=sys.stderr)
        return SystemExit(CANNOT_OPEN)
    try:
        code = compile(source, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return error.with_traceback(None)
    try:
        exec(code, main.__dict__)
    except BaseException as error:
        trace = error.__traceback__
        return error.with_traceback(None if trace is None else trace.tb_next)
    return None


def is_good(error: BaseException | None) -> bool:
    """Whether Python's exit code for it is 0."""
    if not isinstance(error, SystemExit):
        return error is None
    code = error.code
    return code is None or (isinstance(code, int) and code & 0xFF == 0)


def show(error: BaseException | None) -> None:
    """Print what Python prints of an exception that left a script."""
    if error is not None and not isinstance(error, SystemExit):
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
        sys.excepthook(type(error), error, error.__traceback__)


def leave(error: BaseException | None) -> NoReturn:
    """End this process as Python would: by SystemExit, and after Ctrl-C by that signal at the very end."""
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, KeyboardInterrupt):
        _interrupted.append(True)
    raise SystemExit(0 if error is None else 1)


_interrupted: list[bool] = []


def _end_by_sigint() -> None:
    """A shell stops its own script only where the signal itself ended the command."""
    if _interrupted:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # it may be closed
                stream.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


def register_interrupt() -> None:
    """Register the end by SIGINT, before the script registers anything: atexit calls what was registered first last."""
    atexit.register(_end_by_sigint)
