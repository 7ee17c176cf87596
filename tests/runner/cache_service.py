"""The services of GitHub Actions for caches and artifacts over HTTP, and the ways in which they can fail."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from artifact_service import Artifacts, run_of, token

PREFIX = "/twirp/github.actions.results.api.v1."
TOKEN = token()
# As the store answers once a signature has run out, and while it is busy.
BLOBS_FAIL = {"refusing blobs": 403, "failing blobs": 503}


@dataclass
class Store:
    """What the service holds, and how it behaves.

    Attributes:
        entries: (key, version) to blob, in the order they were finished.
        behaviour: well; read-only or unreadable; limited, failing, flaky, or hanging, which takes a call and does
            not answer; truncated, slow, refusing blobs, failing blobs, or lossy, which takes half of a blob.
        artifacts: those that runs have left.
        asked: the methods that were called, in order.
        lock: around changes.
        closed: set once the test is over, and with it all waiting.
    """

    behaviour: str = "well"
    entries: dict[tuple[str, str], bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    blocks: dict[str, bytes] = field(default_factory=dict)
    pending: dict[tuple[str, str], str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    artifacts: Artifacts = field(default_factory=Artifacts)
    lock: threading.RLock = field(default_factory=threading.RLock)
    closed: threading.Event = field(default_factory=threading.Event)

    def call(self, method: str, request: dict[str, object], base: str) -> tuple[int, dict[str, object]]:
        """Answer one call of the service."""
        key, version = str(request.get("key", "")), str(request.get("version", ""))
        assert set(request) <= {"key", "version", "restore_keys", "size_bytes"}, request
        if not re.fullmatch(r"[0-9a-f]{64}", version) or not key or "," in key or len(key) > 512:
            return 400, {"code": "invalid_argument", "msg": "key or version"}
        with self.lock:
            if method == "CreateCacheEntry":
                return self._create(key, version, base)
            if method == "FinalizeCacheEntryUpload":
                return self._finalize(key, version, request)
            return 200, self._look_up(key, version, request, base)

    def _create(self, key: str, version: str, base: str) -> tuple[int, dict[str, object]]:
        if self.behaviour == "read-only":
            return 200, {"ok": False, "message": "cache write denied: token has no writable scopes"}
        if (key, version) in self.entries or (key, version) in self.pending:
            return 409, {
                "code": "already_exists",
                "msg": "cache entry with the same key, version, and scope exists",
            }
        blob = f"blob{len(self.blobs) + len(self.pending)}"
        self.pending[key, version] = blob
        return 200, {"ok": True, "signed_upload_url": f"{base}/{blob}?sig=secret"}

    def _finalize(self, key: str, version: str, request: dict[str, object]) -> tuple[int, dict[str, object]]:
        blob = self.blobs.get(self.pending.pop((key, version), ""))
        if blob is None or str(len(blob)) != request.get("size_bytes"):
            return 200, {"ok": False, "message": "size does not fit"}
        self.entries[key, version] = blob
        return 200, {"ok": True, "entry_id": "1"}

    def _look_up(self, key: str, version: str, request: dict[str, object], base: str) -> dict[str, object]:
        if self.behaviour == "unreadable":
            return {"ok": False, "message": "cache read denied: token has no readable scopes"}
        prefixes = [key, *request.get("restore_keys", [])]  # type: ignore[misc]
        assert len(prefixes) <= 10
        known = [one for one, its in self.entries if its == version]
        exact = [one for one in known if one == key]
        found = exact or [one for prefix in prefixes for one in reversed(known) if one.startswith(str(prefix))]
        if not found:
            return {"ok": False}
        name = f"entry-{len(self.blobs)}-{time.monotonic_ns()}"
        self.blobs[name] = self.entries[found[0], version]
        # The other spelling: answers may come in either.
        return {"ok": True, "signedDownloadUrl": f"{base}/{name}?sig=secret", "matchedKey": found[0], "new": 1}


class _Handler(BaseHTTPRequestHandler):
    store: Store

    def do_POST(self) -> None:
        """A call of the service."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        service, method = self.path.removeprefix(PREFIX).split("/")
        self.store.asked.append(method)
        run = run_of(self.headers["Authorization"])
        if run is None:
            self._send(401, b"{}")
        elif self.store.behaviour == "limited":
            self._send(429, b'{"code": "resource_exhausted", "msg": "slow down"}', {"retry-after": "60"})
        elif self.store.behaviour == "hanging":
            self.store.closed.wait()
        elif self.store.behaviour == "failing":
            self._send(500, b"<html>oops</html>")
        elif self.store.behaviour == "flaky" and len(self.store.asked) % 2:
            self._send(503, b"")
        elif self.store.behaviour == "babbling":
            self._send(200, b"<html>hello</html>")
        else:
            request, base = json.loads(body), f"http://{self.headers['Host']}"
            if service == "CacheService":
                status, answer = self.store.call(method, request, base)
            else:
                status, answer = self.store.artifacts.call(method, request, run, self.store.blobs, base)
            self._send(status, json.dumps(answer).encode())

    def do_PUT(self) -> None:
        """An upload to the blob store: whole, one block, or the list of blocks."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.store.headers.append({name.lower(): value for name, value in self.headers.items()})
        query = parse_qs(urlsplit(self.path).query)
        name = urlsplit(self.path).path[1:]
        if query.get("sig") != ["secret"] or "Authorization" in self.headers:
            self._send(403, b"")
        elif self.store.behaviour in BLOBS_FAIL:
            self._send(BLOBS_FAIL[self.store.behaviour], b"<Error/>")
        elif query.get("comp") == ["block"]:
            base64.b64decode(query["blockid"][0], validate=True)
            self.store.blocks[name + query["blockid"][0]] = body
            self._send(201, b"")
        elif query.get("comp") == ["blocklist"]:
            listed = re.findall(r"<Latest>(.*?)</Latest>", body.decode())
            self.store.blobs[name] = b"".join(self.store.blocks[name + one] for one in listed)
            self._send(201, b"")
        elif self.headers["x-ms-blob-type"] != "BlockBlob":
            self._send(400, b"")
        else:
            self.store.blobs[name] = body[: len(body) // 2] if self.store.behaviour == "lossy" else body
            self._send(201, b"")

    def do_GET(self) -> None:
        """A download from the blob store."""
        blob = self.store.blobs.get(urlsplit(self.path).path[1:], b"")
        if "Authorization" in self.headers or "sig=secret" not in self.path:
            self._send(403, b"")
        elif self.store.behaviour in BLOBS_FAIL:
            self._send(BLOBS_FAIL[self.store.behaviour], b"<Error/>")
        elif self.store.behaviour == "truncated":
            self._send(200, blob[: len(blob) // 2], length=len(blob))
        elif self.store.behaviour == "slow":
            self._start(200, {}, len(blob))
            for byte in blob:
                try:
                    self.wfile.write(bytes([byte]))
                except OSError:
                    return
                time.sleep(0.05)
        else:
            self._send(200, blob)

    def _start(self, status: int, headers: dict[str, str], length: int) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int = -1) -> None:
        self._start(status, headers or {}, len(body) if length < 0 else length)
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(store: Store, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve it; gives the address."""
    handler = type("Handler", (_Handler,), {"store": store})
    with ThreadingHTTPServer((host, 0), handler) as server:
        # A blob that trickles is nobody's business after the test.
        server.daemon_threads, server.block_on_close = True, False
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://{host}:{server.server_port}/"
        store.closed.set()
        server.shutdown()
        thread.join()
