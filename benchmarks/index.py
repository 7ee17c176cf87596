"""A package index across a network: another one's pages and files, kept here and sent on slowly."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

import requests

JSON = "application/vnd.pypi.simple.v1+json"
PIECE = 1 << 16
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Pages:
    """What was asked for so far.

    Args:
        upstream: the address of the index's simple API.
        own: how this index is reached.
    """

    def __init__(self, upstream: str, own: str) -> None:
        self._upstream = upstream.rstrip("/")
        self._own = own
        self._kept: dict[str, tuple[int, str, bytes]] = {}

    def get(self, path: str) -> tuple[int, str, bytes]:
        """Status, kind and content of a path; links in a page lead here."""
        if path not in self._kept:
            is_file = path.startswith("/files/")
            url = (
                unquote(path.removeprefix("/files/")) if is_file else self._upstream + path.removeprefix("/simple")
            )
            answer = requests.get(url, headers={} if is_file else {"Accept": JSON}, timeout=60)
            content = answer.content
            if not is_file and answer.ok:
                page = answer.json()
                for file in page["files"]:
                    file["url"] = f"{self._own}/files/{quote(file['url'], safe='')}"
                content = json.dumps(page).encode()
            self._kept[path] = answer.status_code, answer.headers["Content-Type"], content
        return self._kept[path]


@contextmanager
def serving(upstream: str, host: str, rate: float, latency: float) -> Iterator[str]:
    """Serve it; gives the address of its simple API.

    Args:
        upstream: the address of the index's simple API.
        host: where to listen.
        rate: bytes a second that each answer is sent with at most.
        latency: seconds before each answer.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, kind, whole = pages.get(self.path)
            time.sleep(latency)
            part = RANGE.fullmatch(self.headers.get("Range", ""))
            first, last = _limits(part[1], part[2], len(whole)) if part else (0, len(whole))
            content = whole[first:last]
            self.send_response(206 if part else status)
            self.send_header("Content-Type", kind)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(content)))
            if part:
                self.send_header("Content-Range", f"bytes {first}-{last - 1}/{len(whole)}")
            self.end_headers()
            if self.command == "HEAD":
                return
            began = time.monotonic()
            for start in range(0, len(content), PIECE):
                self.wfile.write(content[start : start + PIECE])
                time.sleep(max(0.0, began + (start + PIECE) / rate - time.monotonic()))

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((host, 0), Handler) as server:
        server.daemon_threads = True
        own = f"http://{host}:{server.server_port}"
        pages = Pages(upstream, own)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"{own}/simple/"
        server.shutdown()
        thread.join()


def _limits(first: str, last: str, size: int) -> tuple[int, int]:
    """Where a range of HTTP begins and ends; without a first byte it is so many from the end."""
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size
