"""Where GitHub keeps artifacts: another server than its own, which knows signed addresses and no token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REPOSITORY_ID = 42


@dataclass
class Storage:
    """The artifacts of one repository.

    Attributes:
        url: the server's address.
        artifacts: what the list of them tells, oldest first.
        events: number of a workflow run to the event that started it.
        files: number of an artifact to its zip file.
        behaviour: well, gone, trickling, endless, silent, broken-off or moved.
        headers: of each request for a file, names in small letters.
        released: set once nobody waits any more.
    """

    url: str = ""
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    events: dict[int, str] = field(default_factory=dict)
    files: dict[int, bytes] = field(default_factory=dict)
    behaviour: str = "well"
    headers: list[dict[str, str]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def add(self, name: str, content: bytes, *, event: str = "push", **changes: Any) -> int:
        """One more artifact, by default of a push to main; gives its number."""
        number = len(self.artifacts) + 1
        run: dict[str, Any] = {
            "id": 1000 + number,
            "repository_id": REPOSITORY_ID,
            "head_repository_id": REPOSITORY_ID,
        }
        run |= {"head_branch": "main"}
        self.events[1000 + number], self.files[number] = event, content
        told: dict[str, Any] = {"id": number, "name": name, "size_in_bytes": len(content), "expired": False}
        told["workflow_run"] = run | changes.pop("run", {})
        self.artifacts.append(told | changes)
        return number

    def listed(self, name: str | None) -> list[dict[str, Any]]:
        """Those of a name, newest first."""
        return [one for one in reversed(self.artifacts) if name in (None, one["name"])]


class _Handler(BaseHTTPRequestHandler):
    store: Storage

    def do_GET(self) -> None:
        """A file, by its number."""
        self.store.headers.append({name.lower(): value for name, value in self.headers.items()})
        number, _, signature = self.path[1:].partition("?sig=")
        behaviour, content = self.store.behaviour, self.store.files.get(int(number), b"")
        if signature != "secret" or "Authorization" in self.headers:
            self._start(403, 0)
        elif behaviour == "gone":
            self._start(404, 0)
        elif behaviour == "moved":
            self._start(302, 0, Location=f"{self.store.url}/{number}?sig=secret")
        elif behaviour == "silent":
            self.store.released.wait()
        elif behaviour == "endless":
            self._start(200)
            self._send(bytes(1 << 16), 0.0, 1000)
        elif behaviour == "trickling":
            self._start(200)
            self._send(b"P", 0.02, 250)
        else:
            self._start(200, len(content))
            self.wfile.write(content[: len(content) // 2] if behaviour == "broken-off" else content)

    def _start(self, status: int, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        lengths = {} if length is None else {"Content-Length": str(length)}
        for name, value in {**headers, **lengths}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, piece: bytes, seconds: float, times: int) -> None:
        """The same again and again, until nobody takes it any more."""
        try:
            for _ in range(times):
                self.store.released.wait(seconds)
                self.wfile.write(piece)
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def storing(host: str) -> Iterator[Storage]:
    """A storage that answers on an address of this machine until the block ends."""
    store = Storage()
    handler = type("Handler", (_Handler,), {"store": store})
    with ThreadingHTTPServer((host, 0), handler) as server:
        server.daemon_threads = True
        store.url = f"http://{host}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield store
        finally:
            store.released.set()
            server.shutdown()
            thread.join()
