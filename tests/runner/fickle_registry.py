"""A registry in front of the tests' own one: it fails at first, and wants to know who asks."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen

NAME, PASSWORD = "octo", "fickle-words-1"
LIMITED = b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit."}]}'
COPIED = ("Content-Type", "Content-Length", "Docker-Content-Digest", "Docker-Distribution-Api-Version")


@dataclass
class Fickle:
    """How it behaves.

    Attributes:
        behind: the registry that has the images.
        failures: how many manifests it does not give, before it does.
        limited: whether it says then that one has asked too often.
        credentials: whether it asks for them.
    """

    behind: str
    failures: int = 0
    credentials: bool = False
    limited: bool = False


@contextmanager
def serving(fickle: Fickle) -> Iterator[str]:
    """Serve it; gives its name, as images have it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if fickle.credentials and self.headers.get("Authorization") != auth():
                self._send(401, b"{}", {"WWW-Authenticate": 'Basic realm="fickle"'})
                return
            if "/manifests/" in self.path and fickle.failures > 0:
                fickle.failures -= 1
                self._send(429, LIMITED) if fickle.limited else self._send(503, b"")
                return
            accept = {"Accept": ", ".join(self.headers.get_all("Accept", []))}
            asked = Request(f"http://{fickle.behind}{self.path}", headers=accept, method=self.command)
            try:
                with urlopen(asked) as answer:  # noqa: S310  # our own registry
                    body = answer.read()
                    kept = {name: answer.headers[name] for name in COPIED if answer.headers.get(name)}
                    self._send(answer.status, body, kept)
            except HTTPError as problem:
                self._send(problem.code, problem.read())

        def do_HEAD(self) -> None:
            self.do_GET()

        def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"localhost:{server.server_port}"
        server.shutdown()
        thread.join()


def auth() -> str:
    """The header of somebody it knows."""
    return "Basic " + base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()


def auth_config(registry: str) -> str:
    """The value of DOCKER_AUTH_CONFIG that knows the registry, after one where nobody answers."""
    entry = {"auth": auth().removeprefix("Basic ")}
    return json.dumps({"auths": {"localhost:9": entry, registry: entry}})
