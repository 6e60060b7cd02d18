"""A real HTTP proxy on loopback: it takes CONNECT, wants a password if it was given one, and connects every name to one port."""

from __future__ import annotations

import base64
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """`asked` has the targets of all CONNECTs, `given` the credentials that came with them."""

    def __init__(self, to: int, login: str | None = None) -> None:
        self.asked: list[str] = []
        self.given: list[str | None] = []
        self._to = to
        self._login = login
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def url(self) -> str:
        """Its URL, with the login that it wants."""
        return f"http://{self._login + '@' if self._login else ''}127.0.0.1:{self.port}"

    def close(self) -> None:
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, ValueError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1) or b"\r\n\r\n"
            lines = head.decode("latin-1").split("\r\n")
            method, target, _ = lines[0].split(" ", 2)
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            given = headers.get("proxy-authorization")
            login = base64.b64decode(given.partition(" ")[2]).decode() if given else None
            self.asked.append(f"{method} {target}")
            self.given.append(login)
            if self._login is not None and login != self._login:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                client.close()
                return
            upstream = socket.create_connection(("127.0.0.1", self._to))
            self._open.append(upstream)
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._carry(client, upstream)

    def _carry(self, client: socket.socket, upstream: socket.socket) -> None:
        while True:
            for ready in select.select([client, upstream], [], [])[0]:
                data = ready.recv(65_536)
                if not data:
                    client.close()
                    upstream.close()
                    return
                (upstream if ready is client else client).sendall(data)


@contextmanager
def proxy_to(url: str, login: str | None = None) -> Iterator[Proxy]:
    """A proxy that connects every name to the server at `url`."""
    proxy = Proxy(int(url.rpartition(":")[2]), login)
    try:
        yield proxy
    finally:
        proxy.close()
