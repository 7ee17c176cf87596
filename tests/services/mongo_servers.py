"""Real MongoDB servers for tests, and a way to lose the connection to one at the worst moment."""

import contextlib
import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from typing import Self
from urllib.parse import urlsplit

from realdb_ci import services
from realdb_ci.config import Config
from realdb_ci.servers import Servers
from realdb_ci.services.contract import Server


@contextlib.contextmanager
def mongodb(engine: str, mirror: str) -> Iterator[Server]:
    """A server by that engine while the body runs."""
    wish = services.wishes(Config(engine=engine, mirror=mirror))["mongodb"]
    with Servers() as servers:
        yield servers.get(wish)


class Line(socketserver.ThreadingTCPServer):
    """The way to a server, which can break between a command and its answer. Use it as a context manager.

    Args:
        url: of the server at its end.
    """

    def __init__(self, url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        parts = urlsplit(url)
        self.end = (parts.hostname, parts.port)
        self.url = parts._replace(
            netloc=f"{parts.username}:{parts.password}@127.0.0.1:{self.server_address[1]}"
        ).geturl()
        self.breaks_after = b""
        self.breaks = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def break_after(self, command: bytes) -> None:
        """Let the server get the next message that holds these bytes, and the client no answer to it."""
        self.breaks_after = command


class _Connection(socketserver.BaseRequestHandler):
    """One connection of a line."""

    server: Line

    def handle(self) -> None:
        client = self.request
        with socket.create_connection(self.server.end) as server:
            is_breaking = False
            while True:
                readable, _, _ = select.select([client, server], [], [])
                data = readable[0].recv(65536)
                if not data:
                    return
                if readable[0] is client:
                    if self.server.breaks_after and self.server.breaks_after in data:
                        self.server.breaks_after, is_breaking = b"", True
                    server.sendall(data)
                elif is_breaking:
                    self.server.breaks += 1
                    return
                else:
                    client.sendall(data)
