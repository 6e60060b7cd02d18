"""The sandbox in a terminal: what to paste, then a line for each event, until it is told to end."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from spark_pd.sandbox.received import ReceivedRequest
from spark_pd.sandbox.sandbox import Sandbox

_LINE = 160  # characters of an event's line, so that a long summary does not fill the screen


def serve(
    port: int = 0,
    *,
    key: str | None = None,
    rate_limit: int | None = None,
    echo: Callable[[str], object] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Run a sandbox until Ctrl-C, SIGTERM or `stop` is set; `echo` gets each line (default: print).

    First the url, the integration key, the REST token and the three settings as `name=value`, then a line for each request.
    Signals are handled only when called from the main thread, and are as they were afterwards. Raises UsageError as Sandbox does.
    """
    say = echo or _print
    stop = stop or threading.Event()
    requests: queue.SimpleQueue[ReceivedRequest] = queue.SimpleQueue()
    with _ended_by_signals(stop), Sandbox(port, key, rate_limit, on_request=requests.put) as sandbox:
        for line in greeting(sandbox):
            say(line)
        while not stop.is_set():
            with contextlib.suppress(queue.Empty):
                # A short wait: a signal's handler only sets the event, it does not wake the queue.
                say(event_line(requests.get(timeout=0.1)))


def greeting(sandbox: Sandbox) -> list[str]:
    """What a user must know of a running sandbox: where it is, its keys and the settings to paste."""
    settings = [f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in sandbox.config.items()]
    return [
        f"url: {sandbox.url}",
        f"integration key: {sandbox.key}",
        f"REST token: {sandbox.rest_token}",
        "",
        "Settings to paste:",
        *settings,
        "",
        "Ctrl-C ends it. Events:",
    ]


def event_line(request: ReceivedRequest) -> str:
    """One request in one line of printable characters: when, status, what, and the reasons where it was refused."""
    body = request.body or {}
    payload = body.get("payload")
    payload = payload if isinstance(payload, dict) else {}
    fault = f"(fault {request.fault})" if request.fault else None
    told: list[Any] = [request.received_at.astimezone().strftime("%H:%M:%S"), request.status or "---", fault]
    if request.path == "/v2/change/enqueue":
        told += ["change", payload.get("summary")]
    elif request.path == "/v2/enqueue":
        told += [body.get("event_action"), payload.get("severity"), body.get("dedup_key"), payload.get("summary")]
    else:
        told += [request.method, request.path]
    text = "  ".join(str(part) for part in told if part is not None)
    if request.errors:
        text += f"  refused: {'; '.join(request.errors)}"
    text = "".join(character if character.isprintable() else " " for character in text)
    return text if len(text) <= _LINE else f"{text[: _LINE - 1]}…"


def _print(line: str) -> None:
    print(line, flush=True)


@contextlib.contextmanager
def _ended_by_signals(stop: threading.Event) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        """Have the loop end; it looks at the event by itself."""
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
