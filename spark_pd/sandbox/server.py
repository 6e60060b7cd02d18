"""A threaded HTTP server on loopback that ends at once, whatever its connections are doing."""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any, cast

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from spark_pd.model.errors import UsageError
from spark_pd.sandbox.wire import DRAINED

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOST = "127.0.0.1"
_BACKLOG = 128
_POLL = 0.02  # seconds between two looks at whether to end
_PATIENCE = 0.3  # seconds in all that `stop` gives connections to end
_DRAIN = 0.2  # seconds without a byte after which a body that nobody wants is taken to have ended

_log = logging.getLogger("spark_pd.sandbox")


class _Handler(WSGIRequestHandler):
    def setup(self) -> None:
        """Make the connection known to the server, then shake hands where it speaks TLS."""
        server = cast("_Server", self.server)
        if server.tls is not None:
            # The handshake is here, in the connection's own thread: a client that never makes one holds up nobody else.
            self.request = server.tls.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False)
        server.opened(self.request)
        try:
            if server.tls is not None:
                self.request.do_handshake()
            super().setup()
        except BaseException:
            server.closed(self.request)
            raise

    def finish(self) -> None:
        """End the connection, and have the server forget it."""
        try:
            super().finish()
        finally:
            cast("_Server", self.server).closed(self.request)

    def run_wsgi(self) -> None:
        """Serve one request, and keep the connection for the next, as PagerDuty does; werkzeug's own closes each.

        It is kept where the next request begins right behind this one: the application read the body to its end (DRAINED says so).
        """
        environ = self.environ = self.make_environ()
        try:
            self._serve(environ)
        except ConnectionError as error:
            self.connection_dropped(error, environ)
        except Exception:
            self.close_connection = True
            _log.debug("a request ended in an error", exc_info=True)

    def _serve(self, environ: WSGIEnvironment) -> None:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            """Take the status and the headers; they are sent with the first piece of the body."""
            started.append((status, headers))

        pieces = self.server.app(environ, cast("StartResponse", start_response))
        try:
            for piece in itertools.chain(pieces, [b""]):  # an empty one at least: headers without a body have to go too
                if started:
                    self._begin(*started.pop(), drained=bool(environ.get(DRAINED)))
                self.wfile.write(piece)
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
        if not environ.get(DRAINED):
            # Closed with bytes unread, the connection is reset, and the client may never see the answer.
            self.connection.settimeout(_DRAIN)
            with contextlib.suppress(OSError):
                while self.rfile.read(65_536):
                    pass

    def _begin(self, status: str, headers: list[tuple[str, str]], *, drained: bool) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if not drained or "content-length" not in {name.lower() for name, _ in headers}:
            self.send_header("Connection", "close")  # which closes it, too
        self.end_headers()

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """The client or an ordered fault ended the connection."""
        self.close_connection = True  # or the handler waits for a next request on it

    def log(self, type: str, message: str, *args: Any) -> None:
        """Log for developers only: werkzeug would write on stderr."""
        _log.debug(message, *args)


class _Server(ThreadedWSGIServer):
    daemon_threads = True

    def __init__(self, app: WSGIApplication, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        self.tls = tls
        self._ending = False
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._serving: set[threading.Thread] = set()
        # werkzeug is given a socket that listens already, since it ends the whole process where it cannot bind a port.
        super().__init__(HOST, listener.getsockname()[1], app, handler=_Handler, fd=listener.fileno())
        self.ssl_context = tls  # only what it takes for the URL's scheme: the handler does the wrapping

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection, so that `end` can end it."""
        with self._lock:
            self._connections.add(connection)
            if self._ending:
                _hang_up(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection that has ended."""
        with self._lock:
            self._connections.discard(connection)
        if self.tls is not None:
            connection.close()  # the wrapped socket; the base class knows only the bare one

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection in this thread, which `end` waits for."""
        thread = threading.current_thread()
        with self._lock:
            self._serving.add(thread)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._serving.discard(thread)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log for developers only: the base class would write a traceback on stderr."""
        _log.debug("a connection ended in an error", exc_info=True)

    def log(self, type: str, message: str, *args: Any) -> None:
        """Log for developers only: werkzeug would write on stderr."""
        _log.debug(message, *args)

    def end(self) -> None:
        """End the loop and every connection."""
        self.shutdown()
        with self._lock:
            self._ending = True
            connections, threads = list(self._connections), list(self._serving)
        for connection in connections:
            _hang_up(connection)
        deadline = time.monotonic() + _PATIENCE
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may have ended by itself
        connection.shutdown(socket.SHUT_RDWR)


class LoopbackServer:
    """Serves a WSGI application on 127.0.0.1 from `start` to `stop`. Port 0 takes a free one; `port` is the one it has."""

    def __init__(self, app: WSGIApplication, port: int, tls: ssl.SSLContext | None = None) -> None:
        with _listen(port) as listener:
            self._server = _Server(app, listener, tls)
        self.port: int = self._server.port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL,), name="spark_pd-sandbox", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering, end every connection and free the port."""
        self._server.end()
        self._thread.join()


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise UsageError(f"sandbox: port {port} on {HOST} cannot be had ({error}); use another one, or port=0 for a free one") from None
    return listener
