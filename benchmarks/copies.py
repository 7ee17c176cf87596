"""A registry that has one image under any number of tags, each time in a layer that the daemon has never seen.

An image that was removed to be pulled again would not do: the machine's file system may take a minute to get over
so many files that were deleted, and makes new ones slowly until then.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

from imitation import DOCKER

PIECE = 1 << 18
MEDIA = "application/vnd.docker.distribution.manifest.v2+json"
PARTS = {
    "config": "application/vnd.docker.container.image.v1+json",
    "layer": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}


class Copies:
    """Copies of an image.

    Args:
        origin: the image; the daemon pulls it.
        folder: where the files of all copies are kept.
    """

    def __init__(self, origin: str, folder: Path) -> None:
        subprocess.run([DOCKER, "pull", "--quiet", origin], check=True, capture_output=True)
        about = json.loads(_docker("image", "inspect", origin))[0]
        self.size: int = about["Size"]
        """Bytes of the image, unpacked."""
        self._about = {name.lower(): about[name] for name in ("Architecture", "Os")}
        self._about["config"] = about["Config"]
        self._tar, self._packed = folder / "image.tar", folder / "image.tar.gz"
        container = _docker("create", origin).strip()
        _docker("export", "--output", str(self._tar), container)
        _docker("rm", "--volumes", container)
        with self._tar.open("rb") as tar, gzip.open(self._packed, "wb", compresslevel=6) as packed:
            shutil.copyfileobj(tar, packed)
        self.manifests: dict[str, bytes] = {}
        """Tag or digest to manifest."""
        self.blobs: dict[str, tuple[bytes, Path | None]] = {}
        """Digest to content: what it begins with, and the file that follows."""

    def add(self, tag: str) -> None:
        """Make one more copy; a file in front of all others makes its layer another one."""
        first = io.BytesIO()
        with tarfile.open(fileobj=first, mode="w") as tar:
            file = tarfile.TarInfo("benchmark")
            file.size = len(tag)
            tar.addfile(file, io.BytesIO(tag.encode()))
        # Header and content; the zeros after them would end the archive.
        head = first.getvalue()[: 2 * tarfile.BLOCKSIZE]
        content = _digest(head, self._tar)
        layer = self._keep(gzip.compress(head), self._packed)
        rootfs = {"type": "layers", "diff_ids": [content]}
        config = self._keep(json.dumps({**self._about, "rootfs": rootfs, "history": [{}]}).encode())
        about = {"schemaVersion": 2, "mediaType": MEDIA}
        parts = {
            "config": {**config, "mediaType": PARTS["config"]},
            "layers": [{**layer, "mediaType": PARTS["layer"]}],
        }
        manifest = json.dumps({**about, **parts}).encode()
        self.manifests[tag] = self.manifests[_digest(manifest)] = manifest

    def _keep(self, head: bytes, rest: Path | None = None) -> dict[str, Any]:
        digest = _digest(head, rest)
        self.blobs[digest] = head, rest
        return {"digest": digest, "size": len(head) + (rest.stat().st_size if rest else 0)}


@contextmanager
def serving(copies: Copies, rate: float) -> Iterator[str]:
    """Serve them under any name; gives the registry's.

    Args:
        copies: what it has.
        rate: bytes a second that it sends at most, 0 for as fast as it can.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, kind, what = self.path.rsplit("/", 2) if self.path != "/v2/" else ("", "", "")
            head, rest = b"", None
            if kind == "manifests":
                head = copies.manifests.get(what, b"")
            elif kind == "blobs":
                head, rest = copies.blobs.get(what, (b"", None))
            self.send_response(200 if head or not kind else 404)
            self.send_header("Content-Length", str(len(head) + (rest.stat().st_size if rest else 0)))
            if kind == "manifests" and head:
                self.send_header("Content-Type", MEDIA)
                self.send_header("Docker-Content-Digest", _digest(head))
            self.end_headers()
            if self.command == "GET":
                _send(self.wfile, head, rest, rate)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"localhost:{server.server_port}"
        server.shutdown()
        thread.join()


def _send(out: BinaryIO, head: bytes, rest: Path | None, rate: float) -> None:
    began, sent = time.monotonic(), len(head)
    out.write(head)
    if rest is None:
        return
    with rest.open("rb") as file:
        while piece := file.read(PIECE):
            out.write(piece)
            sent += len(piece)
            if rate:
                time.sleep(max(0.0, began + sent / rate - time.monotonic()))


def _digest(head: bytes, rest: Path | None = None) -> str:
    hashed = hashlib.sha256(head)
    if rest is not None:
        with rest.open("rb") as file:
            while piece := file.read(PIECE):
                hashed.update(piece)
    return f"sha256:{hashed.hexdigest()}"


def _docker(*words: str) -> str:
    return subprocess.run([DOCKER, *words], check=True, capture_output=True, text=True).stdout
